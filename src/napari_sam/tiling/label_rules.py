"""Which pixels an edit changes, worked out against what is there now.

Everything goes piece by piece, so that memory does not grow with the object.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.masks import Mask, bounding_box
from napari_sam.tiling.label_edits import (
    PATCH_SIDE,
    LabelArray,
    OverlapRule,
    Patch,
    Stroke,
    pieces,
)
from napari_sam.tiling.label_pyramid import LabelLevel

Plane = tuple[int, ...]


def masked_pieces(
    level: LabelLevel, plane: Plane, mask: Mask, box: Box
) -> Iterator[tuple[Box, Mask, LabelArray]]:
    """The parts of a mask that have pixels, each with the labels under it."""
    for piece in pieces(box, PATCH_SIDE, PATCH_SIDE):
        part = mask[piece.relative_to(box).slices]
        inner = bounding_box(part)
        if inner is not None:
            spot = inner.shift(piece.y0, piece.x0)
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
    """A patch of the changed pixels with no room around them; None if there are none."""
    inner = bounding_box(changed)
    if inner is None:
        return None
    box = inner.shift(spot.y0, spot.x0)
    return Patch.of(plane, box, changed[inner.slices], values[inner.slices], after)


def plan_add(
    level: LabelLevel, plane: Plane, mask: Mask, box: Box, label_id: int, rule: OverlapRule
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
    for piece in pieces(box, PATCH_SIDE, PATCH_SIDE):
        values = level.read(plane, piece)
        patches.append(patch_of(plane, piece, values == label_id, values, 0))
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
