"""Labels with the axes of their image, read as lazily as they lie on disk."""

from typing import Any

import numpy as np
import pytest
import zarr

from napari_sam.napari_plugin.layers.label_array import LabelArray, as_shown

SHAPE = (2, 3, 8, 9)  # t, z, y, x


@pytest.fixture
def stored() -> zarr.Array[Any]:
    array = zarr.create_array(
        zarr.storage.MemoryStore(), shape=SHAPE, dtype="uint32", chunks=(1, 1, 4, 4)
    )
    array[...] = np.arange(array.size).reshape(SHAPE)
    return array


KEYS = [
    (0, 1, 2),
    (1, slice(1, 3), 0, slice(2, 7), slice(None)),
    (slice(None), slice(None), 2, slice(0, 8, 2), slice(0, 9, 3)),
    (..., slice(0, 2)),
    (np.int64(1), 2, ..., np.int64(3)),
    1,
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_it_is_indexed_like_the_array_with_channels(
    stored: zarr.Array[Any], key: Any
) -> None:
    expected = np.broadcast_to(np.asarray(stored)[:, None], (2, 4, 3, 8, 9))
    shown = LabelArray(stored, "tzyx", "tczyx", 4)
    np.testing.assert_array_equal(shown[key], expected[key])
    assert (shown.shape, shown.ndim) == (expected.shape, 5)


def test_axes_in_another_order_are_turned(stored: zarr.Array[Any]) -> None:
    shown = LabelArray(stored, "tzyx", "ztxy", 1)
    expected = np.asarray(stored).transpose(1, 0, 3, 2)
    np.testing.assert_array_equal(np.asarray(shown), expected)
    np.testing.assert_array_equal(shown[0, :, 1:3], expected[0, :, 1:3])


def test_a_plane_of_one_channel_takes_no_more_than_the_plane(
    stored: zarr.Array[Any],
) -> None:
    plane = LabelArray(stored, "tzyx", "tczyx", 1000)[0, :, 1]
    assert plane.shape == (1000, 8, 9)
    assert plane.strides[0] == 0


def test_the_same_axes_need_no_wrapping(stored: zarr.Array[Any]) -> None:
    assert as_shown([stored], "tzyx", "tzyx", 1) == [stored]
