"""Duplicates, cut masks and small regions, each on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from straightforward import overlap

from napari_sam.automatic.window.mask_filters import (
    is_cut_by,
    without_duplicates,
    without_small_regions,
)
from napari_sam.geometry import Box

SQUARE = [0, 0, 10, 10]
SHIFTED = [0, 1, 10, 11]  # 90 of 110 shared
FAR = [50, 50, 60, 60]


def kept(boxes: list[list[int]], scores: list[float], threshold: float) -> list[int]:
    return without_duplicates(np.array(boxes), np.array(scores), threshold).tolist()


def test_of_two_boxes_that_overlap_much_the_better_stays() -> None:
    assert kept([SQUARE, SHIFTED, FAR], [0.5, 0.9, 0.7], 0.7) == [1, 2]
    assert kept([SQUARE, SHIFTED, FAR], [0.9, 0.5, 0.7], 0.7) == [0, 2]


def test_boxes_that_overlap_just_as_much_as_allowed_both_stay() -> None:
    assert kept([SQUARE, SHIFTED], [0.9, 0.5], 90 / 110 + 1e-6) == [0, 1]
    assert kept([SQUARE, SHIFTED], [0.9, 0.5], 90 / 110 - 1e-6) == [0]


def test_a_box_that_was_dropped_drops_no_other() -> None:
    chain = [[0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]]
    assert kept(chain, [0.9, 0.8, 0.7], 0.3) == [0, 2]


def test_empty_boxes_are_no_duplicates_of_each_other() -> None:
    assert kept([[0, 0, 0, 0], [0, 0, 0, 0]], [0.5, 0.5], 0.7) == [0, 1]


numbers = st.integers(0, 12)


@given(
    st.lists(
        st.tuples(numbers, numbers, numbers, numbers, st.sampled_from([0.1, 0.5, 0.9])),
        max_size=8,
    ),
    st.sampled_from([0.0, 0.3301, 0.7101]),
)
def test_duplicates_are_those_of_a_plain_loop(
    drawn: list[tuple[int, int, int, int, float]], threshold: float
) -> None:
    boxes = np.zeros((len(drawn), 4), dtype=np.int64)
    for row, (y, x, height, width, _) in zip(boxes, drawn, strict=True):
        row[:] = y, x, y + height, x + width
    scores = np.array([score for *_, score in drawn])
    wanted: list[int] = []
    for i in sorted(range(len(drawn)), key=lambda i: -scores[i]):
        if all(overlap(tuple(boxes[i]), tuple(boxes[j])) <= threshold for j in wanted):
            wanted.append(i)
    assert without_duplicates(boxes, scores, threshold).tolist() == wanted


@pytest.mark.parametrize(
    ("box", "cut"),
    [
        ([130, 130, 170, 170], False),  # well inside the crop
        ([105, 130, 170, 170], True),  # at the crop's upper edge, inside the image
        ([130, 130, 170, 290], False),  # at the crop's right edge: the image's, too
        ([130, 130, 199, 290], True),  # at its lower one
    ],
)
def test_a_mask_is_cut_where_its_crop_ends_and_the_image_does_not(
    box: list[int], cut: bool
) -> None:
    crop, image = Box(100, 100, 200, 300), Box(0, 0, 400, 300)
    assert is_cut_by(np.array([box]), crop, image).tolist() == [cut]


def test_small_holes_are_filled_and_small_islands_go() -> None:
    mask = np.zeros((12, 12), dtype=bool)
    mask[2:10, 2:10] = True
    mask[5, 5] = False
    mask[0, 11] = True
    wanted = np.zeros_like(mask)
    wanted[2:10, 2:10] = True
    cleaned, changed = without_small_regions(mask, 4)
    assert changed
    np.testing.assert_array_equal(cleaned, wanted)
    again, changed = without_small_regions(cleaned, 4)
    assert not changed
    np.testing.assert_array_equal(again, wanted)


def test_the_largest_of_small_islands_stays() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, 0:2] = mask[4, 0:3] = True
    cleaned, changed = without_small_regions(mask, 10)
    assert changed
    assert np.argwhere(cleaned).tolist() == [[4, 0], [4, 1], [4, 2]]


@pytest.mark.parametrize("value", [False, True])
def test_masks_of_nothing_and_of_everything_stay(value: bool) -> None:
    mask = np.full((4, 5), value)
    cleaned, changed = without_small_regions(mask, 4)
    assert not changed
    np.testing.assert_array_equal(cleaned, mask)
