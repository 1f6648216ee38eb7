"""Which pixels an edit changes, worked out against what is there now.

All of it goes cell by cell of a grid, so that memory does not grow with the object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.errors import LabelError, LabelWriteError, MaskError
from napari_sam.geometry import Box, is_index
from napari_sam.labels.edits import (
    PATCH_SIDE,
    LabelArray,
    OverlapRule,
    Patch,
    Stroke,
    grid_cells,
)
from napari_sam.labels.pyramid import LabelLevel
from napari_sam.masks import Mask, bounding_box

Plane = tuple[int, ...]


def masked_pieces(
    level: LabelLevel, plane: Plane, mask: Mask, box: Box
) -> Iterator[tuple[Box, Mask, LabelArray]]:
    """The parts of a mask that have pixels, each with the labels under it."""
    for cell in grid_cells(box, PATCH_SIDE, PATCH_SIDE):
        part = mask[cell.relative_to(box).slices]
        inner = bounding_box(part)
        if inner is not None:
            spot = inner.shift(cell.y0, cell.x0)
            yield spot, part[inner.slices], level.read(plane, spot)


def most_overlapped(level: LabelLevel, plane: Plane, mask: Mask, box: Box) -> int:
    """The id that most pixels of a mask carry, the lowest among equals, or 0."""
    counts: Counter[int] = Counter()
    for _, part, values in masked_pieces(level, plane, mask, box):
        ids, numbers = np.unique(values[part & (values != 0)], return_counts=True)
        counts.update(dict(zip(ids.tolist(), numbers.tolist(), strict=True)))
    return min(counts, key=lambda label: (-counts[label], label), default=0)


def patch_of(
    plane: Plane, spot: Box, changed: Mask, values: LabelArray, after: int
) -> Patch | None:
    """A patch of the changed pixels with no room around them; None if none."""
    inner = bounding_box(changed)
    if inner is None:
        return None
    box = inner.shift(spot.y0, spot.x0)
    return Patch.of(plane, box, changed[inner.slices], values[inner.slices], after)


def plan_add(
    level: LabelLevel,
    plane: Plane,
    mask: Mask,
    box: Box,
    label_id: int,
    rule: OverlapRule,
) -> list[Patch]:
    """What changes when an object is written under `label_id`."""
    patches = []
    for spot, part, values in masked_pieces(level, plane, mask, box):
        free = values != label_id if rule is OverlapRule.OVERWRITE else values == 0
        patches.append(patch_of(plane, spot, part & free, values, label_id))
    return [patch for patch in patches if patch is not None]


def plan_erase(level: LabelLevel, plane: Plane, box: Box, label_id: int) -> list[Patch]:
    """What changes when an id becomes background in a box."""
    patches = []
    for cell in grid_cells(box, PATCH_SIDE, PATCH_SIDE):
        values = level.read(plane, cell)
        patches.append(patch_of(plane, cell, values == label_id, values, 0))
    return [patch for patch in patches if patch is not None]


def plan_replace(
    level: LabelLevel,
    plane: Plane,
    mask: Mask,
    box: Box,
    label_id: int,
    spots: Iterable[Box],
) -> list[Patch]:
    """What changes when an object has the mask's pixels and no others in a plane.

    Its old pixels are searched in the `spots`, besides the box.
    """
    patches = []
    for cell in grid_cells(Box.around([box, *spots]), PATCH_SIDE, PATCH_SIDE):
        values = level.read(plane, cell)
        wanted = np.zeros(cell.shape, dtype=bool)
        if cell.intersects(box):
            shared = cell.clip(box)
            part = mask[shared.relative_to(box).slices]
            wanted[shared.relative_to(cell).slices] = part
        is_it = values == label_id
        patches.append(patch_of(plane, cell, is_it & ~wanted, values, 0))
        patches.append(patch_of(plane, cell, wanted & ~is_it, values, label_id))
    return [patch for patch in patches if patch is not None]


def plan_paint(
    level: LabelLevel, plane: Plane, labels_hw: NDArray[np.integer], box: Box
) -> list[Patch]:
    """What changes when a box gets these labels: a patch for every id that comes in."""
    patches = []
    for cell in grid_cells(box, PATCH_SIDE, PATCH_SIDE):
        values = level.read(plane, cell)
        wanted = labels_hw[cell.relative_to(box).slices]
        changed = wanted != values
        ids, numbers = np.unique(wanted[changed], return_inverse=True)
        numbered = np.zeros(cell.shape, dtype=np.intp)
        numbered[changed] = numbers.ravel() + 1
        # Each id in its own box: there may be thousands in one cell.
        for number, where in enumerate(ndimage.find_objects(numbered), 1):
            rows, columns = where
            spot = Box(rows.start, columns.start, rows.stop, columns.stop)
            patch = patch_of(
                plane,
                spot.shift(cell.y0, cell.x0),
                numbered[where] == number,
                values[where],
                int(ids[number - 1]),
            )
            patches.append(patch)
    return [patch for patch in patches if patch is not None]


def check_in_place(level: LabelLevel, strokes: Iterable[Stroke]) -> None:
    """Raise a LabelError unless every stroke finds what it would take back or away."""
    for stroke in strokes:
        patch = stroke.patch
        changed, expected = stroke.inverse.decode()
        found = level.read(patch.plane, patch.box)
        if (found[changed] != expected[changed]).any():
            raise LabelError(
                f"An edit in {patch.box} of plane {patch.plane} can only be undone or "
                "redone while its pixels are as it left them, but a later edit changed "
                "some. Undo the later edits first, newest first."
            )


def check_id(level: LabelLevel, label_id: Any) -> int:
    """The id as a plain int; a LabelError if the level's pixels cannot carry it."""
    highest = min(np.iinfo(level.array.dtype).max, np.iinfo(np.uint32).max)
    if label_id == 0 or not is_index(label_id, highest + 1):
        raise LabelError(
            f"A label id here needs to be a whole number from 1 to {highest}, got "
            f"{label_id!r}. Choose another id, or copy the labels to a new uint32 "
            "volume if all are used."
        )
    return int(label_id)


def check_mask(mask: Any, box: Box) -> None:
    """Raise a MaskError unless the mask is one of this box, with pixels."""
    if not isinstance(mask, np.ndarray):
        raise MaskError(
            f"An object needs a bool numpy array, got {type(mask).__name__}."
        )
    if mask.dtype != np.bool_ or mask.shape != box.shape:
        raise MaskError(
            f"An object in {box} needs a bool mask of shape {box.shape}, got "
            f"{mask.dtype} of shape {mask.shape}."
        )
    if not mask.any():
        raise MaskError(
            f"An object needs at least one pixel, the mask in {box} has none."
        )


def check_labels(level: LabelLevel, labels_hw: Any, box: Box) -> None:
    """Raise an error unless these are label ids, or background, for this box."""
    if not isinstance(labels_hw, np.ndarray) or labels_hw.dtype.kind not in "ui":
        kind = getattr(labels_hw, "dtype", type(labels_hw).__name__)
        raise MaskError(f"Painted labels need to be an array of integers, got {kind}.")
    if labels_hw.shape != box.shape:
        raise MaskError(
            f"Painted labels in {box} need shape {box.shape}, got {labels_hw.shape}."
        )
    for label_id in {int(labels_hw.min()), int(labels_hw.max())} - {0}:
        check_id(level, label_id)


@contextmanager
def reading() -> Iterator[None]:
    """Turn a failure to read labels that are about to change into a LabelWriteError."""
    try:
        yield
    except OSError as error:
        raise LabelWriteError(
            error.errno,
            f"The labels cannot be read ({error}), so nothing was changed",
        ) from error
