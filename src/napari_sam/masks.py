"""Masks as values: run lengths, bounding boxes, overlap, clean-up.

A `mask` is bool (height, width). Run lengths count in C order and start with
the zeros, so an all-true mask begins with a run of 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.errors import MaskError
from napari_sam.geometry import Box

Mask = NDArray[np.bool_]

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=bool)


def run_lengths(mask: Mask) -> list[int]:
    """Lengths of the alternating runs of false and true, in C order."""
    flat = np.asarray(mask, dtype=bool).ravel()
    if flat.size == 0:
        return []
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], changes, [flat.size]))
    runs: list[int] = np.diff(edges).tolist()
    return [0, *runs] if flat[0] else runs


def from_run_lengths(runs: Sequence[int], shape: tuple[int, int]) -> Mask:
    """The mask that `run_lengths` came from; a MaskError if the runs do not fit."""
    height, width = shape
    total = sum(runs)  # of Python's integers: a damaged run may be beyond 64 bits
    if min(runs, default=0) < 0 or total != height * width:
        raise MaskError(
            f"Run lengths of a {height} x {width} mask need to add up to "
            f"{height * width} with none below 0, got {len(runs)} runs adding up to "
            f"{total}."
        )
    lengths = np.asarray(runs, dtype=np.int64)
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(shape)


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box that holds every true pixel, or None if there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def iou(a: Mask, b: Mask) -> float:
    """Intersection over union; two empty masks agree, so theirs is 1."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def stability_score(logits: NDArray[np.float32], offset: float = 1.0) -> float:
    """IoU of the masks cut at -offset and +offset: how sharply an outline is drawn.

    As of "Segment Anything" (2023), section 5.
    """
    loose = np.count_nonzero(logits > -offset)
    return np.count_nonzero(logits > offset) / loose if loose else 0.0


def deepest_point(mask: Mask) -> tuple[int, int]:
    """(row, column) of the true pixel farthest from the mask's edge.

    The array's border counts as an edge. Ties go to the first in C order.
    """
    if not mask.any():
        raise MaskError("The deepest point of a mask needs at least one true pixel.")
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), mask.shape)
    return int(row), int(column)


def without_specks(
    mask: Mask, keep: Mask | None = None, share: float = 0.01, hole_share: float = 0.01
) -> Mask:
    """Remove detached islands and fill holes much smaller than the object.

    SAM leaves such specks around and inside of what it segments.

    Parameters
    ----------
    mask
        One object.
    keep
        Pixels whose island stays and whose hole is not filled, such as those under
        positive and negative clicks: what the user pointed at is never a speck.
    share, hole_share
        An island, or a hole, that is a speck has at most this share of the area of
        the largest island, 0..1.
    """
    box = bounding_box(mask)
    if box is None or share <= hole_share <= 0:
        return mask
    # What is outside of a frame around the object is neither island nor hole.
    frame = Box(box.y0 - 1, box.x0 - 1, box.y1 + 1, box.x1 + 1)
    inside = frame.clip(Box.of_shape(mask.shape)).slices
    cleaned = mask.copy()
    kept_inside = None if keep is None else keep[inside]
    cleaned[inside] = _cleaned(mask[inside], kept_inside, share, hole_share)
    return cleaned


def _cleaned(mask: Mask, keep: Mask | None, share: float, hole_share: float) -> Mask:
    islands, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    areas = np.bincount(islands.ravel())
    largest = areas[1:].max()
    wanted = (areas > share * largest) | (areas == largest)
    wanted[0] = False
    if keep is not None:
        wanted[np.unique(islands[keep & mask])] = True
    kept: Mask = wanted[islands]
    # Holes are 4-connected where objects are 8-connected, so that a diagonal
    # line of the object encloses what is behind it. They are found in what is
    # kept: the hole of a ring that was removed is background like any other.
    holes, _ = ndimage.label(~kept)
    hole_areas = np.bincount(holes.ravel())
    filled = hole_areas <= hole_share * largest
    filled[0] = False
    edges = (holes[0], holes[-1], holes[:, 0], holes[:, -1])
    filled[np.unique(np.concatenate(edges))] = False
    if keep is not None:
        filled[np.unique(holes[keep & ~mask])] = False
    cleaned: Mask = kept | filled[holes]
    return cleaned
