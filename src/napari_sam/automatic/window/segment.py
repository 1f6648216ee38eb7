"""All objects of one window: clicks on a grid in, a label image out.

The masks go through a funnel, in which each step is cheap for what is left:

    clicks -> masks -> not spanning the window -> no duplicates by their boxes
           -> without specks -> not like the background -> none that lies in a better
           one -> painted
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.window.instances import instances_in
from napari_sam.automatic.window.label_image import paint
from napari_sam.automatic.window.map_windows import instance_model
from napari_sam.automatic.window.mask_filters import (
    as_one_island,
    resembles_background,
    spans_window,
    without_duplicates,
)
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.automatic.window.point_grid import point_grid
from napari_sam.automatic.window.window_labels import WindowObjects, numbered
from napari_sam.geometry import Box
from napari_sam.masks import stability_score
from napari_sam.model import InstanceMaps
from napari_sam.model.window_model import (
    ManyPointModel,
    PointMasks,
    PointQuery,
    WindowMask,
    WindowModel,
)
from napari_sam.prompts import Click


def segment_window(
    model: WindowModel, pixels_hwc: NDArray[np.uint8], options: AutomaticOptions
) -> WindowObjects:
    """Find every object in a window.

    Parameters
    ----------
    model
        Encodes the window once; a `ManyPointModel` gets all clicks at once, any other
        one after the other.
    pixels_hwc
        (height, width, 3), 0..255, at most the model's window on a side.
    options
        What is searched and what is kept.

    Returns
    -------
    WindowObjects
        Numbered from 1, largest masks painted first.
    """
    if options.mode_for(model) is AutomaticMode.INSTANCES:
        ((_, embedding),) = instance_model(model).encode_maps([pixels_hwc])
    else:
        embedding = model.encode(pixels_hwc)
    return objects_in(model, embedding, pixels_hwc, options)


def objects_in(
    model: WindowModel,
    embedding: Any,
    pixels_hwc: NDArray[np.uint8],
    options: AutomaticOptions,
) -> WindowObjects:
    """`segment_window` for a window that is embedded, or has maps, already."""
    if isinstance(embedding, InstanceMaps):
        return instances_in(embedding, options.least_area)
    shape = (pixels_hwc.shape[0], pixels_hwc.shape[1])
    options = options.settled(pixels_hwc)
    clicks = grid_clicks(shape, options)
    masks = point_masks(model, embedding, clicks, options.query_for(model))
    if options.reject_background:
        spans = spans_window(masks, shape, options.max_window_share)
        masks = masks.take(np.flatnonzero(~spans))
    masks = masks.take(
        without_duplicates(masks.boxes_n4, _ranks(masks), options.max_box_overlap)
    )
    masks = as_one_island(masks, options.least_area)
    if options.reject_background:
        gray_hw = pixels_hwc.mean(axis=2, dtype=np.float32)
        masks = masks.take(np.flatnonzero(~resembles_background(masks, gray_hw)))
    masks = masks.take(_best_of_overlapping(masks, options.max_shared))
    return numbered(paint(masks, shape), masks.scores_n, options.least_area)


def grid_clicks(shape: tuple[int, int], options: AutomaticOptions) -> list[Click]:
    """Clicks on a grid over a window, as dense as the objects need it."""
    grid_xy = point_grid(*options.clicks_per_side(shape)) * shape[::-1]
    return [Click(y, x) for x, y in grid_xy.tolist()]


def point_masks(
    model: WindowModel, embedding: Any, clicks: list[Click], query: PointQuery
) -> PointMasks:
    """The masks of many clicks, each about its own object."""
    if isinstance(model, ManyPointModel):
        return model.predict_many(embedding, clicks, query)
    return PointMasks.joined(
        _wanted(index, model.predict(embedding, [click]), query)
        for index, click in enumerate(clicks)
    )


def _wanted(index: int, masks: Sequence[WindowMask], query: PointQuery) -> PointMasks:
    """Those masks of one click that the query wants."""
    kept, stability_scores = [], []
    for mask in masks:
        # Without logits it is unknown how sharply an outline is drawn.
        sharp = (
            1.0
            if mask.logits_hw is None
            else stability_score(mask.logits_hw, query.stability_score_offset)
        )
        sure = query.min_score <= 0 or mask.score > query.min_score
        if sure and (
            query.min_stability_score <= 0 or sharp >= query.min_stability_score
        ):
            kept.append(mask)
            stability_scores.append(sharp)
    if not kept:
        return PointMasks.empty()
    return PointMasks.of(
        np.full(len(kept), index),
        np.array([mask.score for mask in kept]),
        np.array(stability_scores),
        np.stack([mask.mask_hw for mask in kept]),
    )


def _ranks(masks: PointMasks) -> NDArray[np.float32]:
    """How good masks are: both signs of quality count."""
    return masks.scores_n * masks.stability_scores_n


def _best_of_overlapping(masks: PointMasks, max_shared: float) -> NDArray[np.int64]:
    """Indices of masks that share little of their area with a better one."""
    areas, boxes = masks.areas_n, masks.boxes_n4
    alive = np.ones(len(masks), dtype=bool)
    order = np.argsort(-_ranks(masks), kind="stable")
    for position, index in enumerate(order.tolist()):
        if not alive[index]:
            continue
        rest = order[position + 1 :]
        rest = rest[alive[rest]]
        near = (boxes[rest, :2] < boxes[index, 2:]) & (
            boxes[rest, 2:] > boxes[index, :2]
        )
        rest = rest[near.all(axis=1)]
        shared = _shared_with(masks, index, rest)
        too_much = shared > max_shared * np.minimum(areas[index], areas[rest])
        alive[rest[too_much]] = False
    return np.flatnonzero(alive)


def _shared_with(
    masks: PointMasks, index: int, others: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Pixels that a mask shares with each of others, whose boxes meet its own."""
    shared = np.zeros(len(others), dtype=np.int64)
    if not len(others):
        return shared
    mask, box = masks.crop(index), Box(*masks.boxes_n4[index].tolist())
    for position, other in enumerate(others.tolist()):
        other_box = Box(*masks.boxes_n4[other].tolist())
        common = box.clip(other_box)
        ours = mask[common.relative_to(box).slices]
        theirs = masks.crop(other)[common.relative_to(other_box).slices]
        shared[position] = np.count_nonzero(ours & theirs)
    return shared
