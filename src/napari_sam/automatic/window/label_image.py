"""Overlapping masks -> one label image.

The rule: masks are painted one over another, larger ones first, so that a small
object on a large one stays visible. Of masks of equal area the one with the lower
score is painted first, and of equal scores the later one; so the same masks give the
same image. Background is 0; mask i has label i + 1 wherever it is seen.

    AAAA            AAAA
    AAAA  +  bb  -> AbbA     b is smaller: it stays on top
    AAAA     bb     AbbA
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import MaskError
from napari_sam.masks import Mask
from napari_sam.model.window_model import PointMasks


def label_image(
    masks: Sequence[Mask], scores: Sequence[float], shape: tuple[int, int]
) -> NDArray[np.uint32]:
    """Paint masks over one another.

    Parameters
    ----------
    masks
        Each of the image's shape.
    scores
        One a mask; higher stays on top of a mask of equal area.
    shape
        (height, width) of the image.

    Returns
    -------
    NDArray[np.uint32]
        (height, width) labels: i + 1 where mask i is seen, 0 where no mask is.
    """
    if len(masks) != len(scores):
        raise MaskError(
            f"Every mask needs a score, got {len(masks)} masks and {len(scores)} "
            "scores."
        )
    wrong = [mask.shape for mask in masks if mask.shape != tuple(shape)]
    if wrong:
        raise MaskError(
            f"Masks of one label image need its shape {tuple(shape)}, got {wrong[0]}."
        )
    areas = [int(np.count_nonzero(mask)) for mask in masks]
    labels = np.zeros(shape, dtype=np.uint32)
    for index in painting_order(areas, scores):
        labels[masks[index]] = index + 1
    return labels


def paint(masks: PointMasks, shape: tuple[int, int]) -> NDArray[np.uint32]:
    """The label image of a window's masks, by the same rule, box by box."""
    crops = [masks.crop(index) for index in range(len(masks))]
    areas = [int(np.count_nonzero(crop)) for crop in crops]
    labels = np.zeros(shape, dtype=np.uint32)
    for index in painting_order(areas, masks.scores_n.tolist()):
        y0, x0, y1, x1 = masks.boxes_n4[index]
        labels[y0:y1, x0:x1][crops[index]] = index + 1
    return labels


def painting_order(areas: Sequence[int], scores: Sequence[float]) -> list[int]:
    """Indices of masks, what stays on top last."""
    return sorted(
        range(len(areas)), key=lambda index: (-areas[index], scores[index], -index)
    )
