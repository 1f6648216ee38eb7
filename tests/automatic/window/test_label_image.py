"""Overlapping masks become one label image by the rule that its module states."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_sam.automatic.window.label_image import label_image, paint
from napari_sam.errors import MaskError
from napari_sam.model.window_model.point_masks import PointMasks, boxes_of, pack

SHAPE = (6, 7)


def mask(*rows: str) -> NDArray[np.bool_]:
    return np.array([[character == "#" for character in row] for row in rows])


def test_a_small_mask_stays_on_top_of_a_large_one_whatever_the_scores() -> None:
    large = mask("####", "####", "####")
    small = mask("....", ".##.", "....")
    wanted = [[1, 1, 1, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    np.testing.assert_array_equal(
        label_image([large, small], [0.9, 0.1], (3, 4)), wanted
    )


def test_of_two_masks_of_equal_area_the_one_with_the_better_score_is_seen() -> None:
    left, right = mask("##."), mask(".##")
    np.testing.assert_array_equal(
        label_image([left, right], [0.9, 0.8], (1, 3)), [[1, 1, 2]]
    )
    np.testing.assert_array_equal(
        label_image([left, right], [0.8, 0.9], (1, 3)), [[1, 2, 2]]
    )


def test_of_two_masks_that_are_alike_in_all_the_first_is_seen() -> None:
    left, right = mask("##."), mask(".##")
    np.testing.assert_array_equal(
        label_image([left, right], [0.5, 0.5], (1, 3)), [[1, 1, 2]]
    )


def test_no_masks_are_background() -> None:
    assert not label_image([], [], (2, 3)).any()


def test_an_empty_mask_takes_no_pixel_and_no_other_mask_s_label() -> None:
    labels = label_image([mask("..."), mask("#..")], [0.9, 0.1], (1, 3))
    np.testing.assert_array_equal(labels, [[2, 0, 0]])


def test_masks_of_another_shape_or_without_a_score_are_refused() -> None:
    with pytest.raises(MaskError, match=r"\(1, 4\)"):
        label_image([mask("###")], [0.9], (1, 4))
    with pytest.raises(MaskError, match="1 masks and 0 scores"):
        label_image([mask("###")], [], (1, 3))


rectangles = st.tuples(*[st.integers(0, 5)] * 4).map(
    lambda sides: (
        slice(min(sides[0], sides[2]), max(sides[0], sides[2]) + 1),
        slice(min(sides[1], sides[3]), max(sides[1], sides[3]) + 1),
    )
)


@given(st.lists(st.tuples(rectangles, st.sampled_from([0.2, 0.5, 0.8])), max_size=5))
def test_each_pixel_belongs_to_the_smallest_best_first_mask_that_has_it(
    drawn: list[tuple[tuple[slice, slice], float]],
) -> None:
    masks = []
    for where, _ in drawn:
        masks.append(np.zeros(SHAPE, dtype=bool))
        masks[-1][where] = True
    scores = [score for _, score in drawn]
    labels = label_image(masks, scores, SHAPE)
    for y, x in np.ndindex(*SHAPE):
        holders = [i for i, mask in enumerate(masks) if mask[y, x]]
        top = min(holders, key=lambda i: (masks[i].sum(), -scores[i], i), default=-1)
        assert labels[y, x] == top + 1


@given(st.lists(st.tuples(rectangles, st.sampled_from([0.2, 0.5, 0.8])), max_size=5))
def test_packed_masks_are_painted_like_whole_ones(
    drawn: list[tuple[tuple[slice, slice], float]],
) -> None:
    masks_nhw = np.zeros((len(drawn), *SHAPE), dtype=bool)
    for mask_hw, (where, _) in zip(masks_nhw, drawn, strict=True):
        mask_hw[where] = True
    scores = np.array([score for _, score in drawn], dtype=np.float32)
    boxes = boxes_of(masks_nhw)
    masks = PointMasks(
        np.zeros(len(drawn), np.int64), scores, scores, boxes, pack(masks_nhw, boxes)
    )
    np.testing.assert_array_equal(
        paint(masks, SHAPE), label_image([*masks_nhw], scores.tolist(), SHAPE)
    )
