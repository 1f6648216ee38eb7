from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from skimage.filters import gaussian
from skimage.morphology import disk
from skimage.segmentation import find_boundaries

from napari_sam.evaluation.measures import boundary_f_score, outline, overlap
from napari_sam.geometry import Box


def filled(size: int, box: Box) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[box.slices] = True
    return mask


def test_overlap_of_masks_over_different_boxes() -> None:
    ours, theirs = np.ones((4, 4), bool), np.ones((4, 4), bool)
    value = overlap(ours, Box(0, 0, 4, 4), theirs, Box(0, 2, 4, 6))
    assert value == pytest.approx(8 / 24)
    assert overlap(ours, Box(0, 0, 4, 4), theirs, Box(9, 9, 13, 13)) == 0


def test_an_outline_is_the_rim_of_a_mask() -> None:
    assert outline(filled(9, Box(2, 2, 7, 7))).sum() == 16
    assert outline(np.ones((5, 5), bool)).sum() == 16


def test_outlines_within_two_pixels_agree_wholly() -> None:
    ours, theirs = filled(40, Box(10, 10, 30, 30)), filled(40, Box(12, 10, 32, 30))
    assert boundary_f_score(ours, theirs) == 1.0
    assert boundary_f_score(ours, theirs, tolerance=1.0) < 1.0


def test_an_outline_that_is_half_right_counts_half() -> None:
    # Two squares, of which only one was found: all of ours is right, half of theirs.
    wanted = filled(60, Box(5, 5, 15, 15)) | filled(60, Box(40, 40, 50, 50))
    assert boundary_f_score(filled(60, Box(5, 5, 15, 15)), wanted) == pytest.approx(
        2 * 1.0 * 0.5 / 1.5
    )


def test_the_boundary_score_agrees_with_dilated_outlines() -> None:
    # Near within 2 pixels is what a disc of radius 2 reaches: a second way to count.
    rng = np.random.default_rng(3)
    for _ in range(10):
        ours, theirs = (gaussian(rng.normal(size=(60, 60)), 4) > 0 for _ in range(2))
        # Padded, since a mask is closed at the array's edge.
        rims = [
            find_boundaries(np.pad(mask, 3), connectivity=1, mode="inner")
            for mask in (ours, theirs)
        ]
        wide = [binary_dilation(rim, disk(2)) for rim in rims]
        precision = (rims[0] & wide[1]).sum() / rims[0].sum()
        recall = (rims[1] & wide[0]).sum() / rims[1].sum()
        assert boundary_f_score(ours, theirs) == pytest.approx(
            2 * precision * recall / (precision + recall)
        )


def test_nothing_agrees_with_nothing_only() -> None:
    empty, some = np.zeros((9, 9), bool), filled(9, Box(2, 2, 5, 5))
    assert boundary_f_score(empty, empty) == 1.0
    assert boundary_f_score(empty, some) == 0.0
