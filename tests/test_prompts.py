"""What a person says about an object, and how it reaches a window and SAM."""

from math import floor, inf, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.prompts import (
    BoxPrompt,
    Click,
    MaskPrompt,
    Prompt,
    check_inside,
    in_window,
    sam_box,
    sam_points,
)

PLANE = Box(0, 0, 40, 40)
COORDINATES = st.floats(0, 39.9)
FACTORS = st.sampled_from([(1.0, 1.0), (2.0, 2.0), (4.0, 2.0), (1.0, 3.0)])
WINDOWS = st.builds(
    lambda y, x, h, w: Box(y, x, y + h, x + w),
    *[st.integers(0, 30)] * 2,
    *[st.integers(1, 12)] * 2,
)
BOXES = st.builds(
    lambda y, x, h, w: BoxPrompt(y, x, y + h, x + w),
    *[COORDINATES] * 2,
    *[st.floats(0.5, 20)] * 2,
)


@st.composite
def masks(draw: st.DrawFn) -> MaskPrompt:
    shape = draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))
    corner = draw(st.tuples(st.integers(0, 28), st.integers(0, 28)))
    mask = draw(arrays(bool, shape).filter(np.any))
    return MaskPrompt.from_mask(mask, Box.of_shape(shape).shift(*corner))


def painted(prompt: MaskPrompt, shape: tuple[int, int]) -> np.ndarray:
    """The mask prompt as a whole bool array."""
    pixels = np.zeros(shape, dtype=bool)
    pixels[prompt.box.slices] = prompt.mask
    return pixels


@given(COORDINATES, COORDINATES, st.booleans(), WINDOWS, FACTORS)
def test_a_click_lands_on_the_level_pixel_that_covers_it(
    y: float, x: float, positive: bool, window: Box, factors: tuple[float, float]
) -> None:
    row, column = floor(floor(y) / factors[0]), floor(floor(x) / factors[1])
    found = in_window(Click(y, x, positive), window, factors)
    if window.contains_point(row, column):
        assert found == Click(row - window.y0, column - window.x0, positive)
    else:
        assert found is None


@given(BOXES, WINDOWS, FACTORS)
def test_a_box_is_clipped_to_the_window(
    prompt: BoxPrompt, window: Box, factors: tuple[float, float]
) -> None:
    fy, fx = factors
    y0, y1 = max(prompt.y0 / fy, window.y0), min(prompt.y1 / fy, window.y1)
    x0, x1 = max(prompt.x0 / fx, window.x0), min(prompt.x1 / fx, window.x1)
    found = in_window(prompt, window, factors)
    if found is None:
        assert y0 >= y1 or x0 >= x1 or min(y1 - y0, x1 - x0) < 1e-9
        return
    assert isinstance(found, BoxPrompt)
    sides = (found.y0, found.x0, found.y1, found.x1)
    expected = (y0 - window.y0, x0 - window.x0, y1 - window.y0, x1 - window.x0)
    assert sides == pytest.approx(expected, abs=1e-9)
    assert Box.of_shape(window.shape).contains(found.box)


@given(masks(), WINDOWS)
def test_a_mask_at_its_own_level_is_cut_out(prompt: MaskPrompt, window: Box) -> None:
    expected = painted(prompt, (50, 50))[window.slices]
    found = in_window(prompt, window)
    if found is None:
        assert not expected.any()
    else:
        assert isinstance(found, MaskPrompt)
        np.testing.assert_array_equal(painted(found, window.shape), expected)


@given(masks(), WINDOWS, FACTORS)
def test_a_mask_at_a_coarser_level_is_sampled_at_pixel_centres(
    prompt: MaskPrompt, window: Box, factors: tuple[float, float]
) -> None:
    fine = painted(prompt, (400, 400))
    rows, columns = (
        ((np.arange(start, stop) + 0.5) * factor).astype(int)
        for start, stop, factor in (
            (window.y0, window.y1, factors[0]),
            (window.x0, window.x1, factors[1]),
        )
    )
    expected = fine[np.ix_(rows, columns)]
    found = in_window(prompt, window, factors)
    shown = (
        painted(found, window.shape)
        if isinstance(found, MaskPrompt)
        else np.zeros(window.shape, dtype=bool)
    )
    # At the rim of its box a mask is continued by up to one coarse pixel.
    box = prompt.box
    inner = np.ix_(
        (rows >= box.y0) & (rows < box.y1), (columns >= box.x0) & (columns < box.x1)
    )
    np.testing.assert_array_equal(shown[inner], expected[inner])
    assert not (expected & ~shown).any()


@given(BOXES)
def test_the_pixels_of_a_box_prompt_are_those_it_touches(prompt: BoxPrompt) -> None:
    box = prompt.box
    assert box.y0 <= prompt.y0 < box.y0 + 1
    assert box.x1 - 1 < prompt.x1 <= box.x1


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_coordinates_that_are_not_numbers_are_refused(bad: float) -> None:
    with pytest.raises(PromptError, match="finite"):
        Click(1, bad)
    with pytest.raises(PromptError, match="finite"):
        BoxPrompt(0, 0, bad, 5)
    with pytest.raises(PromptError, match="finite"):
        MaskPrompt(Box(0, 0, 1, 1), np.array([[bad]], dtype=np.float32))


@pytest.mark.parametrize("sides", [(5, 5, 5, 9), (5, 5, 9, 5), (9, 9, 5, 5)])
def test_an_empty_or_inverted_box_says_which_corner_comes_first(
    sides: tuple[float, ...],
) -> None:
    with pytest.raises(PromptError, match="smaller corner first"):
        BoxPrompt(*sides)


def test_a_mask_prompt_has_its_box_s_shape_and_some_object() -> None:
    with pytest.raises(PromptError, match=r"shape \(2, 3\), got \(3, 2\)"):
        MaskPrompt(Box(0, 0, 2, 3), np.ones((3, 2), dtype=np.float32))
    with pytest.raises(PromptError, match="at least one pixel inside"):
        MaskPrompt.from_mask(np.zeros((2, 3), dtype=bool), Box(0, 0, 2, 3))


@pytest.mark.parametrize(
    "prompt",
    [
        Click(0, 0),
        Click(39.9, 39.9, positive=False),
        BoxPrompt(-5, -5, 1, 1),
        BoxPrompt(39.5, 0, 60, 10),
        MaskPrompt.from_mask(np.ones((3, 3), dtype=bool), Box(38, 38, 41, 41)),
    ],
)
def test_a_prompt_that_meets_the_image_is_taken(prompt: Prompt) -> None:
    check_inside([prompt], PLANE)


@pytest.mark.parametrize(
    "prompt",
    [
        Click(40, 0),
        Click(-0.1, 5),
        Click(5, 1e9, positive=False),
        BoxPrompt(40, 0, 50, 10),
        MaskPrompt.from_mask(np.ones((3, 3), dtype=bool), Box(-3, 0, 0, 3)),
    ],
)
def test_a_prompt_outside_the_image_is_named_with_the_image_s_size(
    prompt: Prompt,
) -> None:
    with pytest.raises(
        PromptError, match=r"outside the image.* 40 rows and 40 columns"
    ):
        check_inside([Click(1, 1), prompt], PLANE)


def test_sam_gets_x_before_y_and_whole_pixels() -> None:
    points, labels = sam_points([Click(20.9, 55.2), Click(3, 4, positive=False)])
    np.testing.assert_array_equal(points, [[55, 20], [4, 3]])
    np.testing.assert_array_equal(labels, [1, 0])
    assert points.dtype == np.float32
    assert labels.dtype == np.int64


def test_sam_gets_the_far_corner_of_a_box_included() -> None:
    np.testing.assert_array_equal(sam_box(BoxPrompt(1, 2, 5, 9)), [2, 1, 8, 4])


def test_no_clicks_are_an_empty_table() -> None:
    points, labels = sam_points([])
    assert points.shape == (0, 2)
    assert labels.shape == (0,)


@given(BOXES)
def test_a_box_prompt_comes_back_from_its_pixels(prompt: BoxPrompt) -> None:
    assert BoxPrompt.from_box(prompt.box).box == prompt.box
