"""Masks are cleaned as one by one and pixel by pixel, only sooner."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.automatic.window import mask_filters as islands
from napari_sam.automatic.window.mask_filters import are_simple, as_one_island
from napari_sam.automatic.window.segment import _best_of_overlapping
from napari_sam.masks import bounding_box, without_specks
from napari_sam.model.window_model.point_masks import PointMasks, boxes_of, pack

SHAPE = (40, 56)
EIGHT = np.ones((3, 3), dtype=bool)
Mask = NDArray[np.bool_]


def window_masks(masks_nhw: Mask) -> PointMasks:
    boxes = boxes_of(masks_nhw)
    scores = np.linspace(0.5, 1, len(masks_nhw), dtype=np.float32)
    scores = np.random.default_rng(2).permutation(scores)
    clicks = np.arange(len(masks_nhw))
    return PointMasks(clicks, scores, scores, boxes, pack(masks_nhw, boxes))


def many_masks(count: int = 120) -> Mask:
    """Blobs: whole, in islands, with holes, touching at corners, at borders, empty."""
    random = np.random.default_rng(7)
    noise = random.standard_normal((count, *SHAPE))
    masks = [
        ndimage.gaussian_filter(plane, sigma) > level
        for plane, sigma, level in zip(
            noise,
            random.choice([0.7, 1.5, 3.0, 6.0], count),
            random.uniform(-0.1, 0.1, count),
            strict=True,
        )
    ]
    masks[0][:] = False
    masks[1][:] = True
    masks[2] = np.indices(SHAPE).sum(axis=0) % 2 == 0
    masks[3] = np.eye(*SHAPE, dtype=bool)
    masks[4] = np.zeros(SHAPE, dtype=bool)
    masks[4][3, 50] = True
    # Whole ones, which are what a model draws most of the time.
    for index in range(5, 60):
        y, x, radius = random.uniform((0, 0, 2), (*SHAPE, 15))
        rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
        masks[index] = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return np.stack(masks)


def test_simple_masks_are_those_of_one_island_without_holes() -> None:
    masks = many_masks()
    wanted = []
    for mask in masks:
        _, islands = ndimage.label(mask, EIGHT)
        _, outside = ndimage.label(np.pad(~mask, 1, constant_values=True))
        wanted.append(islands == 1 and outside == 1)
    assert 40 < sum(wanted) < 100
    assert are_simple(window_masks(masks)).tolist() == wanted


def test_a_few_masks_at_a_time_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = window_masks(many_masks())
    at_once = are_simple(masks)
    monkeypatch.setattr(islands, "PIXELS_AT_ONCE", 3000)
    np.testing.assert_array_equal(are_simple(masks), at_once)


def test_masks_are_cleaned_as_one_by_one() -> None:
    masks = many_masks()
    found = as_one_island(window_masks(masks), 30)
    wanted = []
    for index, mask in enumerate(masks):
        cleaned = without_specks(mask, share=1.0)
        if np.count_nonzero(cleaned) >= 30:
            wanted.append((index, cleaned))
    assert found.clicks_n.tolist() == [index for index, _ in wanted]
    for place, (_, mask) in enumerate(wanted):
        np.testing.assert_array_equal(found.draw(place, SHAPE), mask)
        box = bounding_box(mask)
        assert box is not None
        assert tuple(found.boxes_n4[place]) == (box.y0, box.x0, box.y1, box.x1)


def test_no_masks_are_no_masks() -> None:
    assert len(as_one_island(PointMasks.empty(), 1)) == 0
    assert len(as_one_island(window_masks(many_masks()[:1]), 0)) == 0


def test_areas_are_counted_without_drawing() -> None:
    masks = many_masks()
    np.testing.assert_array_equal(window_masks(masks).areas_n, masks.sum(axis=(1, 2)))
    assert PointMasks.empty().areas_n.shape == (0,)


@pytest.mark.parametrize("max_shared", [0.0, 0.3, 1.0])
def test_of_overlapping_masks_the_best_stay(max_shared: float) -> None:
    masks_nhw = many_masks()[1:]
    masks = window_masks(masks_nhw)
    flat = masks_nhw.reshape(len(masks), -1).astype(int)
    shared, areas = flat @ flat.T, flat.sum(axis=1)
    kept: list[int] = []
    for index in np.argsort(-(masks.scores_n**2), kind="stable").tolist():
        clear = (
            shared[index, better] <= max_shared * min(areas[index], areas[better])
            for better in kept
        )
        if all(clear):
            kept.append(index)
    assert 0 < len(kept) <= len(masks)
    assert _best_of_overlapping(masks, max_shared).tolist() == sorted(kept)
