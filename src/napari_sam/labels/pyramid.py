"""A label volume as zarr arrays, one per level; changed block by block.

A block is what zarr writes at once: a shard, or a chunk where there are no shards.
Every stroke is brought to every level by sampling, so no level is ever computed from
another one, and a block is read once and written at most once, and only if a pixel
in it changes. Blocks on disk are replaced whole, so a reader never sees half of one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from napari_sam.atomic_files import sync_file, sync_folder
from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels.edits import LabelArray, Stroke, grid_cells
from napari_sam.masks import Mask, bounding_box

LabelZarr = zarr.Array[Any]
Block = tuple[int, ...]  # index of a block along every axis
DAMAGE = (ValueError, RuntimeError, TypeError)
"""What codecs raise for bytes that they cannot make sense of."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelLevel:
    """One level: its array (stack axes, y, x) and its step in pixels of level 0."""

    array: LabelZarr
    folder: Path
    step: tuple[int, int]  # (y, x)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of a plane, in pixels of the level."""
        height, width = self.array.shape[-2:]
        return height, width

    @property
    def block_shape(self) -> tuple[int, ...]:
        """Pixels of a block along every axis."""
        return self.array.shards or self.array.chunks

    def block_file(self, block: Block) -> Path:
        """Where a block is on disk; background has no file."""
        return self.folder / self.array.metadata.encode_chunk_key(block)

    def check_box(self, box: Any) -> None:
        """Raise a LabelError if a part of `box` lies outside of the level's planes."""
        if not isinstance(box, Box):
            raise LabelError(f"A Box(y0, x0, y1, x1) of pixels is needed, got {box!r}.")
        height, width = self.shape
        if not Box.of_shape(self.shape).contains(box):
            raise LabelError(
                f"{box} reaches out of the labels, whose planes have {height} rows and "
                f"{width} columns at this level. Clip the box, and the mask with it."
            )

    def read(self, plane: tuple[int, ...], box: Box) -> LabelArray:
        """Labels in a box, in pixels of the level."""
        try:
            found = self.array[plane_index(plane, box)]
        except DAMAGE as error:
            raise LabelError(
                f"Labels in {box} of plane {plane} of {self.folder} are damaged "
                f"({error}). `restore=True` writes the volume anew from its journal."
            ) from error
        return np.asarray(found).astype(np.uint32, copy=False)

    def sampled(self, box: Box) -> Box | None:
        """Pixels of the level that lie on pixels of a box of level 0, if any do."""
        (sy, sx), (height, width) = self.step, self.shape
        y0, x0 = -(-box.y0 // sy), -(-box.x0 // sx)
        y1, x1 = min(-(-box.y1 // sy), height), min(-(-box.x1 // sx), width)
        return Box(y0, x0, y1, x1) if y0 < y1 and x0 < x1 else None


class LabelPyramid:
    """All levels of a label volume; knows what is not yet safe from a power cut."""

    def __init__(self, levels: Sequence[LabelLevel]) -> None:
        self.levels = tuple(levels)
        self._unsynced: set[Path] = set()

    def level(self, number: int) -> LabelLevel:
        """A level, 0 is the finest; a LabelError if there is none such."""
        if not 0 <= number < len(self.levels):
            raise LabelError(
                f"These labels have levels 0 to {len(self.levels) - 1}, level {number} "
                "was requested."
            )
        return self.levels[number]

    def apply(self, strokes: Sequence[Stroke]) -> None:
        """Bring the strokes, in this order, to every level.

        Doing it twice is the same as doing it once. An OSError leaves some blocks
        done and others not.
        """
        decode = lru_cache(maxsize=16)(Stroke.decode)  # 5 MB each at most
        for level in self.levels:
            for (plane, block), parts in strokes_by_block(level, strokes).items():
                self._unsynced.add(level.block_file(block))
                write_block(level, plane, parts, decode)

    def sync(self) -> None:
        """Wait until all that was applied survives a power cut."""
        folders: set[Path] = set()
        for path in self._unsynced:
            if path.exists():
                sync_file(path)
            folders.update(folders_between(path, self.levels))
        for folder in folders:
            if folder.exists():
                sync_folder(folder)
        self._unsynced.clear()

    def sweep(self, strokes: Sequence[Stroke]) -> None:
        """Remove the unfinished files that a killed writer left in these blocks."""
        for level in self.levels:
            blocks = strokes_by_block(level, strokes)
            for folder in {level.block_file(block).parent for _, block in blocks}:
                for leftover in folder.glob("*.partial"):
                    leftover.unlink(missing_ok=True)

    def highest_id(self) -> int:
        """The highest id of level 0, read block by block; background is not read."""
        level, highest = self.levels[0], 0
        for block in np.ndindex(*grid_shape(level)):
            if level.array.fill_value == 0 and not level.block_file(block).exists():
                continue
            found = np.asarray(level.array[block_slices(level, block)])
            if found.min() < 0 or found.max() > np.iinfo(np.uint32).max:
                raise LabelError(
                    f"Label ids need to be 0 to {np.iinfo(np.uint32).max}, "
                    f"{level.folder} has {found.min()} to {found.max()}. Relabel it, "
                    "or choose other labels."
                )
            highest = max(highest, int(found.max()))
        return highest


Parts = list[tuple[Stroke, Box]]
Decode = Callable[[Stroke], tuple[Mask, LabelArray]]


def strokes_by_block(
    level: LabelLevel, strokes: Iterable[Stroke]
) -> dict[tuple[tuple[int, ...], Block], Parts]:
    """Which strokes meet which blocks, and where, in pixels of the level.

    Keys are (plane, block): a block of a volume from elsewhere can span planes.
    """
    *stack, side_y, side_x = level.block_shape
    found: dict[tuple[tuple[int, ...], Block], Parts] = defaultdict(list)
    for stroke in strokes:
        patch = stroke.patch
        sampled = level.sampled(patch.box)
        if sampled is None:
            continue
        above = tuple(i // n for i, n in zip(patch.plane, stack, strict=True))
        for part in grid_cells(sampled, side_y, side_x):
            block = (*above, part.y0 // side_y, part.x0 // side_x)
            found[patch.plane, block].append((stroke, part))
    return found


def plane_index(plane: tuple[int, ...], box: Box) -> tuple[int | slice, ...]:
    """Index of a box's pixels in a level's array."""
    return (*plane, *box.slices)


def write_block(
    level: LabelLevel, plane: tuple[int, ...], parts: Parts, decode: Decode
) -> None:
    """Apply strokes to one block; write what changes, or nothing."""
    window = Box.around(part for _, part in parts)
    old = level.read(plane, window)
    new = old.copy()
    for stroke, part in parts:
        changed, values = sampled_stroke(decode(stroke), stroke, part, level.step)
        view = new[part.relative_to(window).slices]
        view[changed] = values[changed]
    change = bounding_box(new != old)
    if change is None:
        return
    target = change.shift(window.y0, window.x0)
    pixels = new[change.slices].astype(level.array.dtype)
    level.array[plane_index(plane, target)] = pixels


def sampled_stroke(
    decoded: tuple[Mask, LabelArray], stroke: Stroke, part: Box, step: tuple[int, int]
) -> tuple[Mask, LabelArray]:
    """What a stroke sets, and to what, over a `part` of a level."""
    corner, (height, width) = stroke.patch.box, part.shape
    rows = slice(part.y0 * step[0] - corner.y0, None, step[0])
    columns = slice(part.x0 * step[1] - corner.x0, None, step[1])
    changed, values = decoded
    return (
        changed[rows, columns][:height, :width],
        values[rows, columns][:height, :width],
    )


def grid_shape(level: LabelLevel) -> tuple[int, ...]:
    """Number of blocks along every axis."""
    sizes = zip(level.array.shape, level.block_shape, strict=True)
    return tuple(-(-length // side) for length, side in sizes)


def block_slices(level: LabelLevel, block: Block) -> tuple[slice, ...]:
    """Index of a block's pixels."""
    sides = zip(block, level.block_shape, strict=True)
    return tuple(slice(index * side, (index + 1) * side) for index, side in sides)


def folders_between(path: Path, levels: Iterable[LabelLevel]) -> Iterator[Path]:
    """The folders from a block's file up to its level's."""
    tops = {level.folder for level in levels}
    for folder in path.parents:
        yield folder
        if folder in tops:
            return
