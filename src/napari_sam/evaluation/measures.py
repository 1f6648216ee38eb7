"""How well a mask agrees with the one that was wanted."""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import Mask

BOUNDARY_TOLERANCE = 2.0
"""Pixels by which two outlines may differ and still agree."""


def overlap(mask: Mask, box: Box, wanted: Mask, wanted_box: Box) -> float:
    """Intersection over union of two masks, each over a box of the same plane."""
    shared = 0
    if box.intersects(wanted_box):
        both = box.clip(wanted_box)
        here = mask[both.relative_to(box).slices]
        there = wanted[both.relative_to(wanted_box).slices]
        shared = int(np.count_nonzero(here & there))
    union = int(np.count_nonzero(mask)) + int(np.count_nonzero(wanted)) - shared
    return shared / union if union else 1.0


def boundary_f_score(
    mask: Mask, wanted: Mask, tolerance: float = BOUNDARY_TOLERANCE
) -> float:
    """Harmonic mean of the shares of two outlines that lie near the other one.

    Parameters
    ----------
    mask, wanted
        Over the same pixels. The outline is the mask's pixels that have a neighbour
        outside of it, up, down, left or right; what lies beyond the array is outside.
    tolerance
        What is near, in pixels.
    """
    ours, theirs = outline(mask), outline(wanted)
    if not ours.any() or not theirs.any():
        return float(ours.any() == theirs.any())
    precision = _share_near(ours, theirs, tolerance)
    recall = _share_near(theirs, ours, tolerance)
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def outline(mask: Mask) -> Mask:
    """The pixels of a mask that touch what is outside of it."""
    return cast(Mask, mask & ~ndimage.binary_erosion(mask))


def _share_near(outline_hw: Mask, other_hw: Mask, tolerance: float) -> float:
    distance = ndimage.distance_transform_edt(~other_hw)
    return float((distance[outline_hw] <= tolerance).mean())
