"""Which of many masks of one window are kept: duplicates, cut masks, specks.

Boxes are (n, 4) y0, x0, y1, x1; the last row and column belong to the box here, as
the published thresholds count them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, Mask

NEAR_EDGE = 20  # pixels


def without_duplicates(
    boxes_n4: NDArray[np.integer], scores_n: NDArray[np.floating], threshold: float
) -> NDArray[np.int64]:
    """Indices of boxes that no better box overlaps much, best first; ties stay put.

    Non-maximum suppression: the best box goes, then every box whose intersection over
    union with it is above the threshold is dropped, then the best of the rest goes.
    """
    order = np.argsort(-scores_n, kind="stable")
    # In single precision, so that an overlap of just the threshold falls on the side
    # on which a generator that counts in float32 lets it fall.
    y0, x0, y1, x1 = boxes_n4[order].astype(np.float32).T
    areas = (y1 - y0) * (x1 - x0)
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = i + 1 + np.flatnonzero(alive[i + 1 :])
        height = np.minimum(y1[i], y1[rest]) - np.maximum(y0[i], y0[rest])
        width = np.minimum(x1[i], x1[rest]) - np.maximum(x0[i], x0[rest])
        shared = np.maximum(height, 0) * np.maximum(width, 0)
        union = areas[i] + areas[rest] - shared
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        alive[rest[overlap.astype(np.float64) > threshold]] = False
    return order[alive]


def is_cut_by(
    boxes_n4: NDArray[np.integer], crop: Box, image: Box
) -> NDArray[np.bool_]:
    """Whether a box, in the image, ends near an edge of its crop inside the image."""
    sides = np.array([crop.y0, crop.x0, crop.y1, crop.x1])
    ends = np.array([image.y0, image.x0, image.y1, image.x1])
    near_crop = np.abs(boxes_n4 - sides) <= NEAR_EDGE
    near_image = np.abs(boxes_n4 - ends) <= NEAR_EDGE
    cut: NDArray[np.bool_] = (near_crop & ~near_image).any(axis=1)
    return cut


def without_small_regions(mask: Mask, min_area: int) -> tuple[Mask, bool]:
    """Fill holes and then remove islands of fewer pixels; also whether any was there.

    The largest island stays, however small. A hole may lie at the window's border.
    """
    holes, _ = ndimage.label(~mask, EIGHT_NEIGHBOURS)
    small_hole = np.bincount(holes.ravel()) < min_area
    small_hole[0] = False
    filled = mask | small_hole[holes]
    islands, count = ndimage.label(filled, EIGHT_NEIGHBOURS)
    areas = np.bincount(islands.ravel())
    small = areas < min_area
    small[0] = False
    changed = bool(small_hole.any() or small.any())
    if count and small[1:].all():
        small[1 + int(areas[1:].argmax())] = False
    small[0] = True
    cleaned: Mask = ~small[islands]
    return cleaned, changed
