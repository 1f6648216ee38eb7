"""Where windows are: room around prompts, and windows that prompts share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import ArrayLevel

from napari_sam.geometry import Box
from napari_sam.predictor.windows import (
    CLICK_SHARE,
    Sides,
    at_level,
    first_window,
    fits,
    from_level,
    has_margin,
    nearest,
    recentred,
    touched_sides,
)

SHAPE = (2048, 2048)
quick = settings(deadline=None, max_examples=40)
sides = st.integers(1, 700)
shapes = st.tuples(sides, sides)
sizes = st.integers(1, 200)


def pixel(row: int, column: int) -> Box:
    return Box(row, column, row + 1, column + 1)


@quick
@given(shapes, sizes, st.data())
def test_a_first_window_is_in_the_level_and_holds_the_prompt(
    shape: tuple[int, int], size: int, data: st.DataObject
) -> None:
    row = data.draw(st.integers(0, shape[0] - 1))
    column = data.draw(st.integers(0, shape[1] - 1))
    window = first_window(pixel(row, column), size, shape)
    assert Box.of_shape(shape).contains(window)
    assert window.shape == (min(size, shape[0]), min(size, shape[1]))
    assert window.contains(pixel(row, column))


@quick
@given(st.integers(0, 2047), st.integers(0, 2047))
def test_a_click_has_three_eighths_of_a_window_around_it(row: int, column: int) -> None:
    window = first_window(pixel(row, column), 512, SHAPE)
    assert has_margin(window, pixel(row, column), 191, SHAPE)


def test_neighbouring_clicks_share_a_window() -> None:
    windows = {
        first_window(pixel(row, column), 512, SHAPE)
        for row in range(1000, 1064, 8)
        for column in range(1000, 1064, 8)
    }
    assert len(windows) <= 4


@quick
@given(st.integers(0, 1600), st.integers(1, 384))
def test_whatever_fits_keeps_an_eighth_of_the_window_on_each_side(
    start: int, extent: int
) -> None:
    bounds = Box(start, 900, start + extent, 901)
    assert fits(bounds, 512, SHAPE, CLICK_SHARE)
    assert has_margin(first_window(bounds, 512, SHAPE), bounds, 63, SHAPE)


def test_what_spans_more_than_its_share_does_not_fit() -> None:
    assert not fits(Box(0, 0, 385, 10), 512, SHAPE, CLICK_SHARE)


def test_anything_fits_in_a_level_that_is_no_larger_than_a_window() -> None:
    assert fits(Box(0, 0, 512, 500), 512, (512, 500), CLICK_SHARE)


def test_no_margin_is_needed_where_the_image_ends() -> None:
    corner = Box(0, 0, 512, 512)
    assert has_margin(corner, pixel(0, 0), 128, SHAPE)
    assert not has_margin(corner.shift(1, 0), pixel(1, 0), 128, SHAPE)


def test_the_nearest_window_does_not_depend_on_the_order_they_come_in() -> None:
    windows = [Box(0, 10, 5, 15), Box(10, 0, 15, 5)]
    wanted = Box(0, 0, 5, 5)
    assert nearest(windows, wanted) == nearest(windows[::-1], wanted) == windows[0]


def test_a_mask_touches_only_the_sides_at_which_the_image_goes_on() -> None:
    mask = np.ones((512, 512), dtype=bool)
    touched = touched_sides(mask, Box(0, 700, 512, 1212), SHAPE)
    assert touched == Sides(top=False, left=True, bottom=True, right=True)


def test_a_touched_side_gets_the_most_room() -> None:
    mask = np.zeros((512, 512), dtype=bool)
    mask[200:300, 400:] = True
    window = Box(800, 800, 1312, 1312)
    moved = recentred(mask, window, 512, SHAPE)
    assert moved is not None
    # The object's left end, at column 1200, keeps about an eighth of the window.
    assert 32 <= 1200 - moved.x0 <= 96


@pytest.mark.parametrize(
    "rows", [slice(0, 512), slice(0, 480)], ids=["opposite sides", "too long"]
)
def test_what_cannot_fit_is_not_recentred(rows: slice) -> None:
    mask = np.zeros((512, 512), dtype=bool)
    mask[rows, 200:300] = True
    assert recentred(mask, Box(800, 800, 1312, 1312), 512, SHAPE) is None


@quick
@given(st.integers(1, 3000), st.integers(0, 6), st.data())
def test_every_pixel_of_level_0_has_a_pixel_at_each_level_that_covers_it(
    side: int, exponent: int, data: st.DataObject
) -> None:
    factor = 2.0**exponent
    # Some writers round a level's size down: its last pixel is then a larger one.
    level = ArrayLevel((max(int(side / factor), 1), 1), (factor, factor))
    row = data.draw(st.integers(0, side - 1))
    here = at_level(pixel(row, 0), level)
    assert Box.of_shape(level.shape).contains(here)
    assert from_level(here, level, (side, 1)).contains(pixel(row, 0))
