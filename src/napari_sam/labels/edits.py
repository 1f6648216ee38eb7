"""Changes of labels as values: exact, reversible, and the same when done twice.

A patch keeps, for a rectangle of one plane, which pixels change, what they carried
before, and the one id that they carry after. It holds nothing of what else is in
the volume, so applying it again, or taking it back, needs no knowledge of how far
an earlier attempt came.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.masks import Mask

LabelArray = NDArray[np.uint32]

PATCH_SIDE = 1024
"""Larger changes are cut up, in pixels, so that memory does not grow with them."""

UNTOUCHED = -1
"""Stands in a patch's runs for pixels that it leaves alone."""


class OverlapRule(StrEnum):
    """Who gets the pixels where a new object meets older ones.

    With `MERGE`, the background pixels of the new object join the older object that
    it overlaps most, the lowest id among equals; the pixels of every older object
    stay as they are. It is a new object where it meets none.
    """

    KEEP = "keep"
    OVERWRITE = "overwrite"
    MERGE = "merge"

    @classmethod
    def _missing_(cls, value: object) -> OverlapRule:
        names = ", ".join(repr(rule.value) for rule in cls)
        raise LabelError(f"An overlap rule needs to be one of {names}, got {value!r}.")


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What changes in a rectangle of one plane of level 0."""

    plane: tuple[int, ...]
    box: Box
    after: int  # the id of every changed pixel
    lengths: NDArray[np.uint32]  # of runs of equal values over the box, in C order
    before: NDArray[np.int64]  # the id of each run, or UNTOUCHED

    @classmethod
    def of(
        cls,
        plane: tuple[int, ...],
        box: Box,
        changed: Mask,
        values: LabelArray,
        after: int,
    ) -> Patch:
        """Keep the `values` of the `changed` pixels, both over `box`."""
        mask, flat = changed.ravel(), np.where(changed, values, 0).ravel()
        edges = np.flatnonzero((mask[1:] != mask[:-1]) | (flat[1:] != flat[:-1])) + 1
        starts = np.concatenate(([0], edges))
        lengths = np.diff(starts, append=mask.size).astype(np.uint32)
        before = np.where(mask[starts], flat[starts].astype(np.int64), UNTOUCHED)
        return cls(plane, box, after, lengths, before)

    @property
    def changed_count(self) -> int:
        """Number of pixels that change."""
        return int(self.lengths[self.before != UNTOUCHED].sum(dtype=np.int64))

    def decode(self) -> tuple[Mask, LabelArray]:
        """Which pixels change, and what they carried before, over `box`."""
        changed = np.repeat(self.before != UNTOUCHED, self.lengths)
        values = np.maximum(self.before, 0).astype(np.uint32)
        shape = self.box.shape
        return changed.reshape(shape), np.repeat(values, self.lengths).reshape(shape)

    def taken(self) -> dict[int, int]:
        """How many pixels change per id that they carried before, without 0."""
        ids, inverse = np.unique(self.before, return_inverse=True)
        counts = np.zeros(len(ids), dtype=np.int64)
        np.add.at(counts, inverse, self.lengths.astype(np.int64))
        return {int(i): int(n) for i, n in zip(ids, counts, strict=True) if i > 0}

    def to_json(self) -> dict[str, Any]:
        """The patch as plain JSON."""
        runs = (
            self.lengths.astype("<u4").tobytes() + self.before.astype("<i8").tobytes()
        )
        box = self.box
        return {
            "plane": list(self.plane),
            "box": [box.y0, box.x0, box.y1, box.x1],
            "after": self.after,
            "runs": b64encode(zlib.compress(runs)).decode(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Patch:
        """The patch that `to_json` wrote."""
        runs = zlib.decompress(b64decode(data["runs"]))
        count = len(runs) // 12
        return cls(
            tuple(data["plane"]),
            Box(*data["box"]),
            data["after"],
            np.frombuffer(runs, "<u4", count).astype(np.uint32),
            np.frombuffer(runs, "<i8", offset=4 * count).astype(np.int64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Stroke:
    """A patch to apply or, when not `forward`, to take back."""

    patch: Patch
    forward: bool = True

    def decode(self) -> tuple[Mask, LabelArray]:
        """Which pixels to set, and to what, over the patch's box."""
        changed, before = self.patch.decode()
        if self.forward:
            return changed, np.full_like(before, self.patch.after)
        return changed, before

    @property
    def inverse(self) -> Stroke:
        """The stroke that undoes this one."""
        return Stroke(self.patch, not self.forward)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of the labels that is safe in the journal."""

    sequence: int  # of its journal entry
    kind: str  # "add", "erase", "replace" or "paint"
    label_id: int  # 0 for a paint of several objects, or of background
    planes: tuple[tuple[int, ...], ...]
    box: Box  # around all changed pixels, over all planes
    pixels: int  # how many changed at level 0
    part_of: str = ""  # names what this is one of several edits of, if it is


def grid_cells(box: Box, side_y: int, side_x: int) -> Iterator[Box]:
    """The cells of a grid that starts at (0, 0), as far as they lie in a box."""
    for y in range(box.y0 // side_y * side_y, box.y1, side_y):
        for x in range(box.x0 // side_x * side_x, box.x1, side_x):
            yield Box(y, x, y + side_y, x + side_x).clip(box)


def patches_to_json(patches: Iterable[Patch]) -> list[dict[str, Any]]:
    """Patches as plain JSON."""
    return [patch.to_json() for patch in patches]
