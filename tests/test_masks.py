"""Masks: encoded and back, measured, cleaned, pointed into."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from napari_sam.errors import MaskError
from napari_sam.geometry import Box
from napari_sam.masks import (
    EIGHT_NEIGHBOURS,
    Mask,
    bounding_box,
    deepest_point,
    from_run_lengths,
    iou,
    run_lengths,
    stability_score,
    without_specks,
)

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))
PAIRS = array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


def square(side: int, start: int, stop: int) -> Mask:
    mask = np.zeros((side, side), dtype=bool)
    mask[start:stop, start:stop] = True
    return mask


@given(MASKS)
def test_run_lengths_come_back_as_the_mask(mask: Mask) -> None:
    runs = run_lengths(mask)
    np.testing.assert_array_equal(from_run_lengths(runs, mask.shape), mask)
    assert all(run > 0 for run in runs[1:])


def test_run_lengths_begin_with_the_zeros() -> None:
    assert run_lengths(np.array([[True, True], [False, True]])) == [0, 2, 1, 1]
    assert run_lengths(np.array([[False, True]])) == [1, 1]


@pytest.mark.parametrize(
    "runs", [[], [3], [2, 3], [-1, 5], [10**30], [2**64, 4], [2**63, 2**63, 4]]
)
def test_run_lengths_that_do_not_fit_are_refused(runs: list[int]) -> None:
    with pytest.raises(MaskError, match="add up to 4"):
        from_run_lengths(runs, (2, 2))


@given(MASKS)
def test_the_bounding_box_is_the_smallest(mask: Mask) -> None:
    box = bounding_box(mask)
    if box is None:
        assert not mask.any()
        return
    inside = mask[box.slices]
    assert inside.sum() == mask.sum()
    edges = (inside[0], inside[-1], inside[:, 0], inside[:, -1])
    assert all(edge.any() for edge in edges)


@given(PAIRS)
def test_iou_is_that_of_the_pixel_sets(pair: tuple[Mask, Mask]) -> None:
    first, second = ({tuple(p) for p in np.argwhere(mask)} for mask in pair)
    union = first | second
    expected = len(first & second) / len(union) if union else 1.0
    assert iou(*pair) == iou(*pair[::-1]) == expected


def test_stability_compares_a_loose_and_a_tight_cut() -> None:
    logits = np.array([[-3, -0.5, 0.5, 3]], dtype=np.float32)
    assert stability_score(logits) == pytest.approx(1 / 3)
    assert stability_score(np.full((2, 2), 5, np.float32)) == 1
    assert stability_score(np.full((2, 2), -5, np.float32)) == 0


@given(MASKS.filter(np.any))
def test_the_deepest_point_is_inside_and_no_pixel_is_deeper(mask: Mask) -> None:
    point = deepest_point(mask)
    assert mask[point]
    outside = np.argwhere(~np.pad(mask, 1)) - 1

    def depth(pixel: tuple[int, ...]) -> float:
        return float(np.hypot(*(outside - pixel).T).min())

    assert depth(point) == max(depth(tuple(pixel)) for pixel in np.argwhere(mask))


def test_the_deepest_point_of_a_ring_is_not_in_its_hole() -> None:
    ring = square(11, 1, 10) & ~square(11, 4, 7)
    assert ring[deepest_point(ring)]


def test_the_deepest_point_of_nothing_is_refused() -> None:
    with pytest.raises(MaskError, match="at least one true pixel"):
        deepest_point(np.zeros((3, 3), dtype=bool))


@given(PAIRS, st.floats(0, 1))
def test_cleaning_never_touches_what_is_kept(
    pair: tuple[Mask, Mask], share: float
) -> None:
    mask, keep = pair
    cleaned = without_specks(mask, keep, share)
    np.testing.assert_array_equal(cleaned[keep], mask[keep])


@given(MASKS, st.floats(0, 1))
def test_cleaning_leaves_no_new_island_and_keeps_the_largest(
    mask: Mask, share: float
) -> None:
    cleaned = without_specks(mask, share=share)
    before, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    after, count = ndimage.label(cleaned, EIGHT_NEIGHBOURS)
    for island in range(1, count + 1):
        assert mask[after == island].any()
    if mask.any():
        largest = np.bincount(before.ravel())[1:].max()
        assert np.bincount(after.ravel())[1:].max() >= largest


def test_islands_and_holes_go_and_clicked_ones_stay() -> None:
    clean = square(60, 5, 45)
    mask = clean.copy()
    mask[50, 50] = mask[55, 55] = True
    mask[20, 20] = mask[30, 30] = False
    np.testing.assert_array_equal(without_specks(mask), clean)
    keep = np.zeros_like(mask)
    keep[50, 50] = keep[20, 20] = True
    expected = clean.copy()
    expected[50, 50], expected[20, 20] = True, False
    np.testing.assert_array_equal(without_specks(mask, keep), expected)


def test_the_hole_of_a_removed_ring_is_background() -> None:
    clean = square(80, 5, 65)
    mask = clean.copy()
    mask[70:73, 70:73] = True
    mask[71, 71] = False
    np.testing.assert_array_equal(without_specks(mask), clean)


def test_a_hole_that_is_large_stays() -> None:
    ring = square(40, 2, 38) & ~square(40, 10, 30)
    np.testing.assert_array_equal(without_specks(ring), ring)


def test_a_notch_at_the_border_is_no_hole() -> None:
    mask = square(40, 0, 40)
    mask[0, 20] = False
    np.testing.assert_array_equal(without_specks(mask), mask)


def test_an_empty_mask_has_no_box_and_nothing_to_clean() -> None:
    empty = np.zeros((4, 5), dtype=bool)
    assert bounding_box(empty) is None
    assert not without_specks(empty).any()
    assert bounding_box(square(5, 2, 4)) == Box(2, 2, 4, 4)
