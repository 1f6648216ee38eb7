"""What the demo shows: an image out of scikit-image's wheel, and prompts on it.

The image is a photograph of ancient coins (303 x 384, grey, uneven light): round
things on a dark ground, much as nuclei are. The wheel has no picture of such cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam.prompt_files import ObjectPrompts
from napari_sam.prompts import BoxPrompt, Click

IMAGE_NAME = "coins"

OBJECTS = (
    ObjectPrompts((Click(119, 271),), (), 1),
    ObjectPrompts((Click(124, 45),), (), 2),
    ObjectPrompts((Click(124, 205),), (), 3),
    ObjectPrompts((Click(126, 102),), (), 4),
    ObjectPrompts((Click(187, 347),), (), 5),
    ObjectPrompts((Click(194, 274),), (), 6),
    ObjectPrompts((Click(196, 102), Click(196, 128, positive=False)), (), 7),
    ObjectPrompts((BoxPrompt(35, 22, 75, 68),), (), 8),
    ObjectPrompts((BoxPrompt(106, 317, 146, 357),), (), 9),
    ObjectPrompts((BoxPrompt(109, 133, 146, 174),), (), 10),
    ObjectPrompts((BoxPrompt(178, 134, 218, 175),), (), 11),
)


def demo_pixels() -> NDArray[np.uint8]:
    """The demo's image; comes with scikit-image, no network."""
    # scikit-image is slow to load, and only the demo's own image comes from it.
    from skimage import data  # noqa: PLC0415

    pixels: NDArray[np.uint8] = getattr(data, IMAGE_NAME)()
    return pixels
