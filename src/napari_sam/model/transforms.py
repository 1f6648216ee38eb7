"""How an image of any size fills the encoder's square: its longest side does.

Resizing is Pillow's bilinear, with which the published weights were trained;
other libraries weigh pixels differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.window_model import Embedding

FloatArray = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """A window in the encoder's square.

    Parameters
    ----------
    shape
        (height, width) of the window, in its own pixels.
    side
        Of the square, in pixels of the encoder.
    """

    shape: tuple[int, int]
    side: int

    @property
    def resized(self) -> tuple[int, int]:
        """(height, width) of the part of the square that the window fills."""
        return input_shape(self.shape, self.side)

    @property
    def scale_xy(self) -> NDArray[np.float64]:
        """Pixels of the encoder in one of the window's, along x and y."""
        rows, columns = self.resized
        return np.array([columns / self.shape[1], rows / self.shape[0]])

    def centres(self, points_xy: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where the centres of the window's pixels lie in the encoder's pixels.

        Both count from the centre of the first pixel; in an enlarged window the one is
        not the centre of the other.
        """
        return (points_xy + 0.5) * self.scale_xy - 0.5


def input_shape(shape: tuple[int, int], size: int) -> tuple[int, int]:
    """(height, width) after scaling so that the longest side has `size` pixels."""
    scale = size / max(shape)
    height, width = (int(side * scale + 0.5) for side in shape)
    return max(height, 1), max(width, 1)


def resize_for_encoder(pixels_hwc: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale (height, width, 3) pixels so that the longest side has `size` pixels."""
    height, width = input_shape((pixels_hwc.shape[0], pixels_hwc.shape[1]), size)
    image = Image.fromarray(pixels_hwc)
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR))


def as_embeddings(
    features_bchw: Tensor, windows: Sequence[NDArray[np.uint8]]
) -> list[Embedding]:
    """What the encoder made of windows, as values that are handed out."""
    features = features_bchw.half().cpu().numpy()
    return [
        Embedding(features_chw, (pixels.shape[0], pixels.shape[1]))
        for features_chw, pixels in zip(features, windows, strict=True)
    ]


class ResizeLongestSide:
    """Bring images and prompts to the size that the encoder works at.

    Parameters
    ----------
    target_length
        Pixels of the longest side.
    """

    def __init__(self, target_length: int) -> None:
        self.target_length = target_length

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize (h, w, 3) pixels."""
        return resize_for_encoder(image, self.target_length)

    def apply_image_torch(self, image: Tensor) -> Tensor:
        """Resize (b, 3, h, w) pixels in a tensor; close to `apply_image`, not equal."""
        height, width = image.shape[-2:]
        shape = input_shape((height, width), self.target_length)
        return F.interpolate(
            image, shape, mode="bilinear", align_corners=False, antialias=True
        )

    def apply_coords(
        self, coords: FloatArray, original_size: tuple[int, ...]
    ) -> FloatArray:
        """Scale (..., 2) points (x, y), given the image's (height, width)."""
        height, width = original_size
        new_height, new_width = input_shape((height, width), self.target_length)
        return coords.astype(float) * (new_width / width, new_height / height)

    def apply_boxes(
        self, boxes: FloatArray, original_size: tuple[int, ...]
    ) -> FloatArray:
        """Scale (n, 4) boxes x0, y0, x1, y1."""
        return self.apply_coords(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_coords_torch(
        self, coords: Tensor, original_size: tuple[int, ...]
    ) -> Tensor:
        """Scale (..., 2) points (x, y) in a tensor."""
        height, width = original_size
        new_height, new_width = input_shape((height, width), self.target_length)
        return coords.float() * coords.new_tensor(
            (new_width / width, new_height / height), dtype=torch.float
        )

    def apply_boxes_torch(
        self, boxes: Tensor, original_size: tuple[int, ...]
    ) -> Tensor:
        """Scale (n, 4) boxes x0, y0, x1, y1 in a tensor."""
        scaled = self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size)
        return scaled.reshape(-1, 4)
