"""Masks without islands and holes; told from the runs of their rows which have any.

Most masks are in one piece, and need no work. A row of a mask is a few runs of pixels,
and runs of neighbouring rows that touch, corners included, are one piece:

    ..###...      1 run
    .##..##.      2 runs, each touches the one above: 2 pairs
    ..####..      1 run, touches both: 2 pairs        4 runs - 4 pairs = 0

Runs less touching pairs is the number of islands less that of holes. All masks are
looked at together, and only those that are not simple are cleaned pixel by pixel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from napari_sam.masks import bounding_box, without_specks
from napari_sam.model.window_model import PointMasks

ISLAND_SHARE = 1.0  # of the largest island of a mask: an object is in one piece
PIXELS_AT_ONCE = 2**24
"""Of masks that are looked at together, unless a single one has more."""


def in_one_piece(masks: PointMasks, least_area: float) -> PointMasks:
    """Masks without islands and holes, and only those with at least so many pixels."""
    boxes, packed = masks.boxes_n4.copy(), list(masks.packed)
    areas = masks.areas_n
    for index in np.flatnonzero((areas > 0) & ~are_simple(masks)).tolist():
        cleaned = without_specks(masks.crop(index), share=ISLAND_SHARE)
        areas[index] = np.count_nonzero(cleaned)
        if (box := bounding_box(cleaned)) is not None:
            y0, x0 = boxes[index, :2]
            boxes[index] = (y0 + box.y0, x0 + box.x0, y0 + box.y1, x0 + box.x1)
            packed[index] = np.packbits(cleaned[box.slices])
    cleaned_masks = replace(masks, boxes_n4=boxes, packed=tuple(packed))
    return cleaned_masks.take(np.flatnonzero(areas >= max(least_area, 1)))


def are_simple(masks: PointMasks) -> NDArray[np.bool_]:
    """Whether each mask is one island, corners touching, without holes."""
    parts = [_are_simple(some) for some in masks.in_parts(PIXELS_AT_ONCE)]
    return np.concatenate([np.zeros(0, dtype=bool), *parts])


def _are_simple(masks: PointMasks) -> NDArray[np.bool_]:
    """`are_simple` of a few masks, as rows under rows of one long strip."""
    heights, widths = (masks.boxes_n4[:, 2:] - masks.boxes_n4[:, :2]).T
    count = len(masks)
    # Each row ends with a free pixel, and each mask begins with a free row, so that
    # nothing touches what is not its own.
    strip = np.concatenate(
        [_with_margin(masks.crop(index)).ravel() for index in range(count)]
    )
    row_lengths = np.repeat(widths + 1, heights + 1)
    row_ends = np.cumsum(row_lengths)
    edges = np.diff(strip.view(np.int8), prepend=0, append=0)
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    rows = np.searchsorted(row_ends, starts, side="right")
    mask_of_row = np.repeat(np.arange(count), heights + 1)
    # Where a run would be, one row further up.
    lengths = row_lengths[rows]
    first = np.searchsorted(stops, starts - lengths, side="left")
    beyond = np.searchsorted(starts, stops - lengths, side="right")
    counts = np.maximum(beyond - first, 0)
    below = np.repeat(np.arange(len(starts)), counts)
    above = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    above += np.repeat(first, counts)
    size = (len(starts), len(starts))
    ones = np.ones(len(below), dtype=np.int8)
    _, islands = connected_components(
        sparse.csr_array((ones, (below, above)), shape=size), directed=False
    )
    owners = mask_of_row[rows]
    # An island's first run: the islands of a mask are counted by them.
    _, first_runs = np.unique(islands, return_index=True)
    island_counts = np.bincount(owners[first_runs], minlength=count)
    runs = np.bincount(owners, minlength=count)
    pairs = np.bincount(owners[below], minlength=count)
    simple: NDArray[np.bool_] = (island_counts == 1) & (runs - pairs == 1)
    return simple


def _with_margin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A free row above, a free column at the right."""
    height, width = mask.shape
    wide = np.zeros((height + 1, width + 1), dtype=bool)
    wide[1:, :width] = mask
    return wide
