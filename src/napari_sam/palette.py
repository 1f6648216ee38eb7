"""The colours of objects: one list for the canvas, the still picture and the overlay.

The first are those of Okabe and Ito, "Color universal design" (2008), which everybody
can tell apart; without their yellow, since that is the candidate's. Further ones are
hues a golden section apart, so that objects that follow each other differ as much as
they can. After the last, the first comes again.
"""

from __future__ import annotations

from colorsys import hsv_to_rgb

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

CANDIDATE: Colour = (255, 221, 0)
PREVIEW: Colour = (80, 220, 255)

_TOLD_APART: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (204, 121, 167),
    (213, 94, 0),
    (0, 114, 178),
)
_GOLDEN = 0.6180339887498949
_HUE_COUNT = 144
_CANDIDATE_HUE, _NEAR = 0.144, 0.03  # of a turn


def _hues() -> tuple[Colour, ...]:
    """Light colours of all hues but those that look like the candidate."""
    hues = (index * _GOLDEN % 1 for index in range(1, _HUE_COUNT + 1))
    return tuple(
        (round(255 * red), round(255 * green), round(255 * blue))
        for red, green, blue in (
            hsv_to_rgb(hue, 0.75, 1.0)
            for hue in hues
            if abs(hue - _CANDIDATE_HUE) > _NEAR
        )
    )


PALETTE: tuple[Colour, ...] = _TOLD_APART + _hues()

_PALETTE_N3 = np.array(PALETTE, dtype=np.uint8)


def colour_of(label_id: int) -> Colour:
    """The colour of an object."""
    return PALETTE[(label_id - 1) % len(PALETTE)]


def colours_of(label_ids: NDArray[np.integer]) -> NDArray[np.uint8]:
    """The colour of each id, (..., 3); that of background means nothing."""
    colours: NDArray[np.uint8] = _PALETTE_N3[
        (label_ids.astype(np.int64) - 1) % len(PALETTE)
    ]
    return colours
