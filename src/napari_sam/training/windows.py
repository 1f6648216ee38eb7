"""Crops into the window that a network encodes, and out of it.

TinyViT embeds images of any size, so a crop goes in alone and may lie anywhere in the
window as far as the decoder is concerned: it learns all of the window's positions
from crops of a part of it. ViT has a table of absolute positions, and a crop has to
fill a whole window: it lies in the first corner, as SAM pads images that do not fill
their window.

      TinyViT, small crop             ViT, small crop
      . . . . . . . .                 +-----+--------+
      .   +-----+   .                 |crop |        |
      .   |crop |   .                 +-----+ padding|
      .   +-----+   .                 |              |
      . . . . . . . .                 +--------------+
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_sam.model import EMBEDDING_STRIDE, Sam


def needs_whole_window(sam: Sam) -> bool:
    """Whether the encoder only takes images of its full size."""
    return sam.needs_whole_window


def normalised(sam: Sam, images_chw: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Images as the encoder wants them: (b, 3, h, w), padded for ViT."""
    images = torch.from_numpy(np.stack(images_chw)).to(sam.device, torch.float32)
    if needs_whole_window(sam):
        return sam.preprocess(images)
    images = (images - sam.pixel_mean) / sam.pixel_std
    return images.contiguous(memory_format=torch.channels_last)


def draw_place(sam: Sam, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Where in the window a crop lies, (row, column) in embedding pixels."""
    if needs_whole_window(sam):
        return 0, 0
    room = (sam.image_encoder.img_size - size) // EMBEDDING_STRIDE
    row, column = rng.integers(0, room + 1, 2).tolist()
    return row, column
