"""How an image of any size fills the encoder's square: its longest side does.

Resizing is Pillow's bilinear, with which the published weights were trained;
other libraries weigh pixels differently.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


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
