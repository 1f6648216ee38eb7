"""Boxes behave as the sets of pixels that they stand for."""

from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.errors import GeometryError
from napari_sam.geometry import Box

Pixels = set[tuple[int, int]]

STARTS = st.integers(-6, 6)
SIDES = st.integers(1, 7)
BOXES = st.builds(
    lambda y, x, h, w: Box(y, x, y + h, x + w), STARTS, STARTS, SIDES, SIDES
)


def pixels_of(box: Box) -> Pixels:
    return {(y, x) for y in range(box.y0, box.y1) for x in range(box.x0, box.x1)}


@given(BOXES)
def test_area_and_shape_count_pixels(box: Box) -> None:
    height, width = box.shape
    assert box.area == height * width == len(pixels_of(box))


@given(BOXES, BOXES)
def test_clipping_is_the_intersection(a: Box, b: Box) -> None:
    shared = pixels_of(a) & pixels_of(b)
    assert a.intersects(b) == bool(shared)
    if shared:
        assert pixels_of(a.clip(b)) == shared
    else:
        with pytest.raises(GeometryError, match="share none"):
            a.clip(b)


@given(BOXES, BOXES)
def test_containing_is_being_a_superset(a: Box, b: Box) -> None:
    assert a.contains(b) == (pixels_of(a) >= pixels_of(b))


@given(BOXES, st.tuples(STARTS, STARTS))
def test_a_point_is_inside_where_its_pixel_is(box: Box, pixel: tuple[int, int]) -> None:
    y, x = pixel
    inside = pixel in pixels_of(box)
    assert box.contains_point(y, x) == box.contains_point(y + 0.9, x + 0.9) == inside


@given(st.lists(BOXES, min_size=1, max_size=4))
def test_around_is_the_smallest_that_holds_all(boxes: list[Box]) -> None:
    around = Box.around(boxes)
    assert all(around.contains(box) for box in boxes)
    assert around.y0 in {box.y0 for box in boxes}
    assert around.x1 in {box.x1 for box in boxes}


def test_around_nothing_says_what_is_needed() -> None:
    with pytest.raises(GeometryError, match="at least one, got none"):
        Box.around([])


@given(BOXES, STARTS, STARTS)
def test_a_shift_can_be_taken_back(box: Box, dy: int, dx: int) -> None:
    moved = box.shift(dy, dx)
    assert pixels_of(moved) == {(y + dy, x + dx) for y, x in pixels_of(box)}
    assert moved.shift(-dy, -dx) == box


@given(BOXES, BOXES)
def test_a_relative_box_indexes_the_array_of_its_origin(a: Box, b: Box) -> None:
    frame = Box.around([a, b])
    relative = a.relative_to(frame)
    assert relative.shape == a.shape
    assert Box.of_shape(frame.shape).contains(relative)


@given(BOXES, st.integers(0, 5))
def test_growing_adds_the_margin_on_every_side(box: Box, margin: int) -> None:
    grown = box.grow(margin)
    assert grown.contains(box)
    assert grown.shape == tuple(side + 2 * margin for side in box.shape)
    assert grown.center == box.center


@given(BOXES, st.sampled_from([0.125, 0.25, 0.5, 1.0, 2.0, 4.0]))
def test_a_scaled_box_covers_and_is_tight(box: Box, factor: float) -> None:
    scaled = box.scaled(factor, factor)
    assert scaled.y0 <= box.y0 * factor < scaled.y0 + 1
    assert scaled.y1 - 1 < box.y1 * factor <= scaled.y1
    if factor > 1:
        assert isclose(scaled.area, box.area * factor**2)


def test_axes_are_scaled_by_themselves() -> None:
    assert Box(2, 2, 4, 4).scaled(0.5, 2) == Box(1, 4, 2, 8)


@pytest.mark.parametrize("sides", [(0, 0, 0, 1), (0, 0, 1, 0), (3, 0, 1, 1)])
def test_an_empty_or_inverted_box_is_refused(sides: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="at least one pixel"):
        Box(*sides)
