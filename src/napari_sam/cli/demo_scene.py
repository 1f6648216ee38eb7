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
    ObjectPrompts((Click(425, 173),), label_id=1),
    ObjectPrompts((Click(393, 181),), label_id=2),
    ObjectPrompts((Click(464, 181),), label_id=3),
    ObjectPrompts((Click(143, 492),), label_id=4),
    ObjectPrompts((BoxPrompt(345, 184, 371, 194),), label_id=5),
    ObjectPrompts((BoxPrompt(379, 233, 410, 245),), label_id=6),
    ObjectPrompts((BoxPrompt(483, 235, 497, 246),), label_id=7),
    ObjectPrompts((Click(452, 195), Click(445, 204, positive=False)), label_id=8),
)


def demo_pixels() -> NDArray[np.uint8]:
    """The demo's image, (height, width, 3); comes with scikit-image, no network."""
    # scikit-image is slow to load, and only the demo's own image comes from it.
    from skimage import data  # noqa: PLC0415

    pixels_hwc: NDArray[np.uint8] = getattr(data, IMAGE_NAME)()
    return pixels_hwc
