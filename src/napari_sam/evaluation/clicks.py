"""The simulated annotator: where someone who knows the object would click.

"Segment Anything" (2023), section 7.1 and appendix D.1: the first click is the point
of the object that is farthest from its boundary, or any point in it; each further one
is the like point of the largest region that is wrong so far.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, Mask, deepest_point

JITTER_SHARE = 0.1
JITTER_PIXELS = 20
"""Noise of a box: standard deviation in sides of the box, and the most, in pixels."""


def first_click(mask: Mask, rng: np.random.Generator | None = None) -> tuple[int, int]:
    """(row, column) of the object's centre, or of any pixel of it, drawn from `rng`."""
    if rng is None:
        return deepest_point(mask)
    pixels = np.argwhere(mask)
    row, column = pixels[rng.integers(len(pixels))]
    return int(row), int(column)


def correcting_click(shown: Mask, wanted: Mask) -> tuple[int, int, bool] | None:
    """The centre of the largest region that is wrong.

    Parameters
    ----------
    shown, wanted
        Masks over the same pixels.

    Returns
    -------
    (row, column, positive) or None
        None where nothing is wrong. A region is missing or too much as a whole: it is
        8-connected pixels of one of the two kinds.
    """
    found: list[tuple[int, bool, Mask]] = []
    for wrong, positive in ((wanted & ~shown, True), (shown & ~wanted, False)):
        regions, count = ndimage.label(wrong, EIGHT_NEIGHBOURS)
        if count:
            areas = np.bincount(regions.ravel())[1:]
            largest = int(areas.argmax())
            found.append((int(areas[largest]), positive, regions == largest + 1))
    if not found:
        return None
    _, positive, region = max(found, key=lambda entry: entry[:2])
    row, column = deepest_point(region)
    return row, column, positive


def jittered_box(box: Box, shape: tuple[int, int], rng: np.random.Generator) -> Box:
    """A box as a hurried annotator draws it, inside a plane of `shape`.

    Each side is off by a tenth of the box's length there, at most 20 pixels.
    """
    height, width = box.shape
    noise = rng.normal(0, JITTER_SHARE, 4) * np.array([height, width, height, width])
    y0, x0, y1, x1 = np.array([box.y0, box.x0, box.y1, box.x1]) + np.rint(
        np.clip(noise, -JITTER_PIXELS, JITTER_PIXELS)
    ).astype(int)
    y0, x0 = min(max(y0, 0), shape[0] - 1), min(max(x0, 0), shape[1] - 1)
    return Box(y0, x0, max(min(y1, shape[0]), y0 + 1), max(min(x1, shape[1]), x0 + 1))


def background_clicks(
    labels_hw: NDArray[np.integer[Any]], count: int, margin: float
) -> list[tuple[int, int]]:
    """Up to `count` points of the background, the emptiest first.

    Each is the point farthest from every object and from the points before it, and
    none is nearer than `margin` pixels to an object.
    """
    distance = ndimage.distance_transform_edt(np.pad(labels_hw == 0, 1))[1:-1, 1:-1]
    points: list[tuple[int, int]] = []
    rows, columns = np.ogrid[: labels_hw.shape[0], : labels_hw.shape[1]]
    for _ in range(count):
        row, column = divmod(int(distance.argmax()), labels_hw.shape[1])
        if distance[row, column] < max(margin, 1.0):
            break
        points.append((row, column))
        distance = np.minimum(distance, np.hypot(rows - row, columns - column))
    return points
