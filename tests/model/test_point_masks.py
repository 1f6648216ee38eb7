"""Masks kept as boxes and bits come out as they went in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_sam.masks import bounding_box
from napari_sam.model.window_model.point_masks import PointMasks, boxes_of, pack


def kept(masks_nhw: NDArray[np.bool_]) -> PointMasks:
    count = len(masks_nhw)
    boxes = boxes_of(masks_nhw)
    numbers = np.arange(count, dtype=np.float32)
    return PointMasks(np.arange(count), numbers, numbers, boxes, pack(masks_nhw, boxes))


sizes = st.tuples(st.integers(0, 4), st.integers(1, 20), st.integers(1, 20))


@given(sizes.flatmap(lambda shape: arrays(np.bool_, shape)))
def test_masks_come_out_as_they_went_in(masks_nhw: NDArray[np.bool_]) -> None:
    masks = kept(masks_nhw)
    assert len(masks) == len(masks_nhw)
    for index, mask in enumerate(masks_nhw):
        np.testing.assert_array_equal(masks.draw(index, mask.shape), mask)
        box = bounding_box(mask)
        assert masks.crop(index).shape == (box.shape if box else (0, 0))


def test_an_empty_mask_has_a_box_of_nothing() -> None:
    assert boxes_of(np.zeros((1, 3, 4), dtype=bool)).tolist() == [[0, 0, 0, 0]]


def test_boxes_are_half_open() -> None:
    masks_nhw = np.zeros((1, 5, 6), dtype=bool)
    masks_nhw[0, 2, 3:5] = True
    assert boxes_of(masks_nhw).tolist() == [[2, 3, 3, 5]]


def test_masks_are_taken_and_joined_in_order() -> None:
    masks = kept(np.eye(6, dtype=bool).reshape(4, 3, 3))
    order = np.array([2, 0])
    joined = PointMasks.joined([masks.take(order), PointMasks.empty(), masks])
    assert joined.clicks_n.tolist() == [2, 0, 0, 1, 2, 3]
    np.testing.assert_array_equal(joined.crop(0), masks.crop(2))
    np.testing.assert_array_equal(joined.boxes_n4[2:], masks.boxes_n4)
