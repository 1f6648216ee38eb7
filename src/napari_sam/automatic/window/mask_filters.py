"""Which of many masks of one window are kept, and what is cleaned of them.

Duplicates, masks that an edge of a crop cuts, specks, and masks that are no object but
what lies between objects go.

Islands and holes are found from the runs of a mask's rows. Most masks are one island,
and need no work. A row of a mask is a few runs of pixels, and runs of neighbouring rows
that touch, corners included, are connected:

    ..###...      1 run
    .##..##.      2 runs, each touches the one above: 2 pairs
    ..####..      1 run, touches both: 2 pairs        4 runs - 4 pairs = 0

Runs less touching pairs is the number of islands less that of holes. All masks are
treated together, and only those that are not simple are cleaned pixel by pixel.

Background: a click beside an object gets a mask, too, of the surroundings. Such a mask
spans the window, or it stands out the wrong way: where the masks of a window are
brighter than what is right around them, one that is darker, and dark at that, is
background. The masks themselves vote on which way is right; a vote that is not clear
rejects nothing, so dense tissue, where objects border on objects, keeps all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.filters import threshold_otsu

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, Mask, bounding_box, without_specks
from napari_sam.model.window_model import PointMasks

NEAR_EDGE = 20  # pixels
ISLAND_SHARE = 1.0  # of the largest island of a mask: an object is one island
PIXELS_AT_ONCE = 2**24
"""Of masks that are cleaned together, unless a single one has more."""
CLEAR_VOTE = 0.75
RING_SHARE = 0.15  # width of what is around an object, in sides of the object


def without_duplicates(
    boxes_n4: NDArray[np.integer], scores_n: NDArray[np.floating], threshold: float
) -> NDArray[np.int64]:
    """Indices of boxes that no better box overlaps much, best first; ties stay put.

    This is non-maximum suppression: the best box stays, and every box whose
    intersection over union with it is above the threshold is dropped; then the same
    with the best of the rest. Boxes are (n, 4) y0, x0, y1, x1; the last row and column
    belong to the box here, as the published thresholds count them.
    """
    order = np.argsort(-scores_n, kind="stable")
    # In single precision, so that an overlap of just the threshold falls on the side
    # on which a generator that counts in float32 lets it fall.
    y0, x0, y1, x1 = boxes_n4[order].astype(np.float32).T
    areas = (y1 - y0) * (x1 - x0)
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if not alive[i]:
            continue
        rest = i + 1 + np.flatnonzero(alive[i + 1 :])
        height = np.minimum(y1[i], y1[rest]) - np.maximum(y0[i], y0[rest])
        width = np.minimum(x1[i], x1[rest]) - np.maximum(x0[i], x0[rest])
        shared = np.maximum(height, 0) * np.maximum(width, 0)
        union = areas[i] + areas[rest] - shared
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
        alive[rest[overlap.astype(np.float64) > threshold]] = False
    return order[alive]


def is_cut_by(
    boxes_n4: NDArray[np.integer], crop: Box, image: Box
) -> NDArray[np.bool_]:
    """Whether a box, in the image, ends near an edge of its crop inside the image."""
    sides = np.array([crop.y0, crop.x0, crop.y1, crop.x1])
    ends = np.array([image.y0, image.x0, image.y1, image.x1])
    near_crop = np.abs(boxes_n4 - sides) <= NEAR_EDGE
    near_image = np.abs(boxes_n4 - ends) <= NEAR_EDGE
    cut: NDArray[np.bool_] = (near_crop & ~near_image).any(axis=1)
    return cut


def without_small_regions(mask: Mask, min_area: int) -> tuple[Mask, bool]:
    """Fill holes and then remove islands of fewer pixels; also whether any was there.

    The largest island stays, however small. A hole may lie at the window's border.
    """
    holes, _ = ndimage.label(~mask, EIGHT_NEIGHBOURS)
    small_hole = np.bincount(holes.ravel()) < min_area
    small_hole[0] = False
    filled = mask | small_hole[holes]
    islands, count = ndimage.label(filled, EIGHT_NEIGHBOURS)
    areas = np.bincount(islands.ravel())
    small = areas < min_area
    small[0] = False
    changed = bool(small_hole.any() or small.any())
    if count and small[1:].all():
        small[1 + int(areas[1:].argmax())] = False
    small[0] = True
    cleaned: Mask = ~small[islands]
    return cleaned, changed


def as_one_island(masks: PointMasks, least_area: float) -> PointMasks:
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


def spans_window(
    masks: PointMasks, shape: tuple[int, int], max_share: float
) -> NDArray[np.bool_]:
    """Whether a mask touches all four borders, or covers more than a share."""
    whole = np.array([0, 0, *shape])
    spans: NDArray[np.bool_] = (masks.boxes_n4 == whole).all(axis=1)
    return spans | (masks.areas_n > max_share * shape[0] * shape[1])


def resembles_background(
    masks: PointMasks, gray_hw: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Whether a mask's inside is like what is between the objects of the window.

    Parameters
    ----------
    masks
        Of the window; their scores are the weights of their votes.
    gray_hw
        The window's intensities.
    """
    if len(masks) == 0 or np.ptp(gray_hw) == 0:
        return np.zeros(len(masks), dtype=bool)
    levels = np.array(
        [_inside_and_around(masks, i, gray_hw) for i in range(len(masks))]
    )
    inside, contrast = levels[:, 0], levels[:, 0] - levels[:, 1]
    weights = np.clip(masks.scores_n, 0, None)
    votes = float((weights * np.sign(contrast)).sum())
    if abs(votes) < (2 * CLEAR_VOTE - 1) * weights.sum():
        return np.zeros(len(masks), dtype=bool)
    way = np.sign(votes)
    cut: float = threshold_otsu(gray_hw)  # type: ignore[no-untyped-call]
    like: NDArray[np.bool_] = (way * contrast < 0) & (way * (inside - cut) < 0)
    return like


def _inside_and_around(
    masks: PointMasks, index: int, gray_hw: NDArray[np.floating]
) -> tuple[float, float]:
    """Mean intensity in a mask and in a ring around it; alike where there is none."""
    crop = masks.crop(index)
    area = np.count_nonzero(crop)
    if area == 0:
        return 0.0, 0.0
    width = max(round(RING_SHARE * area**0.5), 2)
    y0, x0, y1, x1 = masks.boxes_n4[index].tolist()
    wide = np.zeros([side + 2 * width for side in crop.shape], dtype=bool)
    wide[width:-width, width:-width] = crop
    reach = ndimage.maximum_filter(
        wide.view(np.uint8), 2 * width + 1, mode="constant"
    ).view(bool)
    ring = reach & ~wide
    top, left = min(y0, width), min(x0, width)
    pixels = gray_hw[y0 - top : y1 + width, x0 - left : x1 + width]
    first = (width - top, width - left)
    part = tuple(
        slice(start, start + length)
        for start, length in zip(first, pixels.shape, strict=True)
    )
    inside = float(pixels[wide[part]].mean())
    around = pixels[ring[part]]
    return inside, float(around.mean()) if around.size else inside
