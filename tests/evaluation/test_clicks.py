from __future__ import annotations

import numpy as np
import pytest

from napari_sam.evaluation.clicks import (
    background_clicks,
    correcting_click,
    first_click,
    jittered_box,
)
from napari_sam.geometry import Box


def square(box: Box, shape: tuple[int, int] = (40, 40)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[box.slices] = True
    return mask


def test_the_first_click_is_farthest_from_the_boundary() -> None:
    assert first_click(square(Box(10, 10, 21, 31)))[0] == 15


def test_a_random_first_click_is_on_the_object() -> None:
    mask = square(Box(10, 10, 14, 31))
    clicks = {first_click(mask, np.random.default_rng(seed)) for seed in range(20)}
    assert len(clicks) > 5
    assert all(mask[click] for click in clicks)


def test_a_correction_goes_to_the_centre_of_the_largest_missing_region() -> None:
    wanted = square(Box(0, 0, 20, 40))
    shown = wanted & ~square(Box(0, 0, 3, 3)) & ~square(Box(5, 20, 14, 29))
    assert correcting_click(shown, wanted) == (9, 24, True)


def test_a_large_thin_region_is_corrected_before_a_small_deep_one() -> None:
    wanted = square(Box(0, 0, 40, 40))
    shown = wanted & ~square(Box(2, 0, 5, 40)) & ~square(Box(20, 20, 29, 29))
    click = correcting_click(shown, wanted)
    assert click is not None
    assert click[0] == 3
    assert click[2]


def test_a_correction_is_negative_where_too_much_is_shown() -> None:
    wanted = square(Box(0, 0, 10, 10))
    shown = wanted | square(Box(20, 20, 31, 31))
    assert correcting_click(shown & ~square(Box(0, 0, 2, 2)), wanted) == (25, 25, False)


def test_missing_and_surplus_pixels_beside_each_other_are_two_regions() -> None:
    wanted, shown = square(Box(0, 0, 11, 10)), square(Box(0, 10, 11, 21))
    click = correcting_click(shown, wanted)
    assert click is not None
    row, column, positive = click
    assert (row, positive) == (5, False)
    assert 10 <= column < 21


def test_nothing_is_corrected_where_nothing_is_wrong() -> None:
    mask = square(Box(3, 3, 9, 9))
    assert correcting_click(mask, mask) is None


def test_a_hurried_box_is_off_by_a_tenth_of_its_sides_and_stays_inside() -> None:
    box, rng = Box(100, 200, 150, 400), np.random.default_rng(1)
    drawn = [jittered_box(box, (1000, 1000), rng) for _ in range(2000)]
    sides = np.array([[b.y0, b.x0, b.y1, b.x1] for b in drawn], dtype=float)
    off = sides - [100, 200, 150, 400]
    assert off[:, 0].std() == pytest.approx(5, rel=0.1)
    assert np.abs(off).max() == 20
    edge = [jittered_box(Box(0, 0, 5, 5), (5, 5), rng) for _ in range(200)]
    assert all(Box.of_shape((5, 5)).contains(b) for b in edge)


def test_clicks_on_nothing_are_far_from_objects_and_from_each_other() -> None:
    labels = square(Box(0, 0, 20, 40)).astype(np.uint16)
    points = background_clicks(labels, 3, margin=5)
    assert len(points) == 3
    assert all(row >= 24 for row, _ in points)
    assert background_clicks(labels, 3, margin=50) == []
    assert background_clicks(np.ones((9, 9), np.uint16), 3, margin=0) == []
