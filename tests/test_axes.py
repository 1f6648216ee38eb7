"""Which axis is which: the rule, the user's word, and letters nobody knows."""

from pathlib import Path

import numpy as np
import pytest

from napari_sam.axes import guess_axes, parse_axes, rename_unknown
from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.labels import LabelGeometry, LabelStore


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((50, 60), "yx"),
        ((50, 60, 3), "yxs"),
        ((50, 60, 4), "yxs"),
        ((50, 60, 1), "yxc"),
        ((50, 60, 2), "yxc"),
        ((20, 50, 60, 2), "zyxc"),
        ((50, 60, 20), "zyx"),
        ((9, 10, 5), "zyx"),
        ((3, 50, 60), "zyx"),
        ((3, 20, 50, 60), "czyx"),
        ((20, 3, 50, 60), "tcyx"),
        ((20, 30, 50, 60), "tzyx"),
        ((20, 50, 60, 3), "zyxs"),
        ((5, 2, 20, 50, 60), "tczyx"),
        ((5, 20, 50, 60, 3), "tzyxs"),
    ],
)
def test_axes_are_guessed_by_the_written_rule(
    shape: tuple[int, ...], axes: str
) -> None:
    assert guess_axes(shape) == axes


@pytest.mark.parametrize("shape", [(), (7,), (2, 2, 2, 2, 5, 6)])
def test_other_numbers_of_axes_need_the_users_word(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="axes="):
        guess_axes(shape)


def test_axes_are_taken_in_any_case() -> None:
    assert parse_axes("TCzYX", 5) == "tczyx"


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("zy", "without x"),
        ("zz", "without y and x"),
        ("yyx", "needs one letter for each"),
        ("yy", "without x"),
        ("y-", "letters"),
        ("", "letters"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes: str, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        parse_axes(axes, 2)


def test_an_axis_named_twice_is_refused() -> None:
    with pytest.raises(ImageError, match="own letter"):
        parse_axes("zzyx", 4)


@pytest.mark.parametrize(
    ("given", "axes"),
    [
        ("IYX", "zyx"),
        ("QQYX", "tzyx"),
        ("ZQYX", "ztyx"),
        ("CYXS", "zyxs"),
        ("QQQYX", "ptzyx"),
    ],
)
def test_unknown_letters_become_free_stack_axes(given: str, axes: str) -> None:
    assert rename_unknown(given) == axes


@pytest.mark.parametrize("axes", ["tczyx", "yxzct", "ctyzx", "xyczt"])
def test_axes_in_any_order_read_the_same_pixels(axes: str) -> None:
    tczyx = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    array = tczyx.transpose(["tczyx".index(letter) for letter in axes])
    image = open_image(array, axes=axes, channels=[2, 0])
    place = {"t": 1, "z": 2}
    plane = tuple(place[letter] for letter in image.stack_axes)
    window = image.read(plane, 0, Box(1, 2, 4, 6))
    np.testing.assert_array_equal(window, tczyx[1, [2, 0], 2, 1:4, 2:6])


def test_the_users_axes_override_the_rule() -> None:
    image = open_image(np.zeros((5, 6, 3), np.uint8), axes="zyx")
    assert (image.stack_shape, image.shape, image.is_rgb) == ((5,), (6, 3), False)


@pytest.mark.parametrize("shape", [(50, 60, 5), (9, 80, 90, 16)])
def test_a_short_last_axis_is_a_question_that_names_the_choices(
    shape: tuple[int, ...],
) -> None:
    with pytest.raises(ImageError, match=r"axes=.*yxc.*or.*zyx"):
        open_image(np.zeros(shape, "u2"))
    assert open_image(np.zeros(shape, "u2"), axes="zyxc"[-len(shape) :]).channels


def test_time_comes_first_whatever_the_file_has(tmp_path: Path) -> None:
    array = np.arange(4 * 3 * 8 * 9, dtype=np.uint16).reshape(4, 3, 8, 9)
    image = open_image(array, axes="ztyx")
    assert (image.stack_axes, image.stack_shape) == ("tz", (3, 4))
    window = image.read((2, 1), 0, Box(0, 0, 8, 9))[0]
    np.testing.assert_array_equal(window, array[1, 2])
    geometry = LabelGeometry.of(image)
    with LabelStore.open(tmp_path / "l.zarr", geometry) as store:
        assert store.geometry.axes == "tzyx"
