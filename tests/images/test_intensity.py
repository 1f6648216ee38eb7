"""Any pixel type becomes 8-bit grey, by one range, without a warning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from pixel_types import NUMBERS

from napari_sam.images.intensity import intensity_range, stretch


def test_the_range_leaves_out_the_extreme_thousandths() -> None:
    sample = np.arange(10_000)
    assert intensity_range(sample) == (9, 9990)


def test_few_bright_specks_in_a_flat_image_still_span_a_range() -> None:
    sample = np.zeros(10_000, dtype=np.uint16)
    sample[7] = 900
    assert intensity_range(sample) == (0, 900)


def test_nan_and_infinite_pixels_do_not_count_for_the_range() -> None:
    sample = np.array([np.nan, -np.inf, 1, 2, 3, np.inf])
    assert intensity_range(sample) == (1, 3)


@pytest.mark.parametrize("sample", [np.full(4, np.nan), np.empty(0, dtype=np.uint8)])
def test_a_sample_without_any_value_has_an_empty_range(sample: NDArray) -> None:
    assert intensity_range(sample) == (0, 0)


def test_bool_spans_false_to_true_whatever_the_sample() -> None:
    assert intensity_range(np.zeros(4, dtype=bool)) == (0, 1)


def test_stretching_is_linear_and_clips() -> None:
    values = np.array([-5, 0, 10, 20, 99])
    np.testing.assert_array_equal(stretch(values, 0, 20), [0, 0, 128, 255, 255])


def test_nan_is_black_and_infinity_the_nearer_end() -> None:
    values = np.array([np.nan, -np.inf, np.inf, 1.0])
    np.testing.assert_array_equal(stretch(values, 0, 2), [0, 0, 255, 128])


@pytest.mark.parametrize("dtype", NUMBERS)
def test_a_constant_image_is_black(dtype: str) -> None:
    values = np.full((3, 1), 7, dtype=dtype)
    assert not stretch(values, *intensity_range(values)).any()


def test_eight_bit_values_stay_as_they_are_over_their_own_range() -> None:
    values = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(stretch(values, 0, 255), values)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_the_limits_of_every_type_become_black_and_white(dtype: str) -> None:
    kind = np.dtype(dtype)
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    values = np.array([info.min, info.max], dtype=dtype)
    np.testing.assert_array_equal(stretch(values, *intensity_range(values)), [0, 255])


@settings(deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.uint8]),
        st.integers(1, 30),
    )
)
def test_brighter_pixels_never_become_darker(values: NDArray) -> None:
    finite = np.sort(values[np.isfinite(values)])
    grey = stretch(finite, *intensity_range(values)).astype(int)
    assert (np.diff(grey) >= 0).all()
