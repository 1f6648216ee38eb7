"""What the demo shows: an image out of scikit-image's wheel, and prompts on it.

The image is a stained section of tissue (immunohistochemistry of colon, 512 x 512,
RGB); its blue nuclei are what the embedded default is trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam.prompt_files import ObjectPrompts
from napari_sam.prompts import BoxPrompt, Click

IMAGE_NAME = "immunohistochemistry"

OBJECTS = (
    ObjectPrompts((Click(143, 492),), (), 1),
    ObjectPrompts((Click(267, 173),), (), 2),
    ObjectPrompts((Click(291, 356),), (), 3),
    ObjectPrompts((BoxPrompt(342, 182, 372, 194),), (), 4),
    ObjectPrompts((BoxPrompt(413, 166, 434, 182),), (), 5),
    ObjectPrompts((Click(252, 297), Click(240, 304, positive=False)), (), 6),
)


def demo_pixels() -> NDArray[np.uint8]:
    """The demo's image, (height, width, 3); comes with scikit-image, no network."""
    # scikit-image is slow to load, and only the demo's own image comes from it.
    from skimage import data  # noqa: PLC0415

    pixels_hwc: NDArray[np.uint8] = getattr(data, IMAGE_NAME)()
    return pixels_hwc
