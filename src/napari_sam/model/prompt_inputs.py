"""Prompts in a window's pixels -> what the prompt encoder takes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.transforms import input_shape
from napari_sam.prompts import MASK_PROMPT_LOGIT, MaskPrompt


def encoder_places(
    points_xy: NDArray[np.floating], scale_xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Where the centres of a window's pixels lie in the encoder's pixels.

    Both count from the centre of the first pixel; in an enlarged window the one is not
    the centre of the other.
    """
    return (points_xy + 0.5) * scale_xy - 0.5


def mask_input(
    masks: Sequence[MaskPrompt], shape: tuple[int, int], size: int, side: int
) -> Tensor:
    """Mask prompts as logits of the decoder's size: (1, 1, side, side).

    Parameters
    ----------
    masks
        About one object, in pixels of the window.
    shape
        (height, width) of the window.
    size, side
        Of the encoder's square and of the decoder's, in pixels.
    """
    window_hw = np.full(shape, -MASK_PROMPT_LOGIT, dtype=np.float32)
    for mask in masks:
        part = window_hw[mask.box.slices]
        np.maximum(part, mask.logits_hw, out=part)
    rows, columns = input_shape(shape, size)
    filled = F.interpolate(
        torch.from_numpy(window_hw)[None, None],
        (rows, columns),
        mode="bilinear",
        align_corners=False,
    )
    padding = (0, size - columns, 0, size - rows)
    square = F.pad(filled, padding, value=-MASK_PROMPT_LOGIT)
    return F.interpolate(square, (side, side), mode="bilinear", antialias=True)
