"""Read each chunk of a plane once, although several tiles need it.

Tiles reach a halo beyond their windows' cores, and chunks do not end where tiles do:

    +-------+-------+
    | tile  :|      |     what is read for one tile and is needed by a later one is
    |   1  .:|  2   |     kept until the last of them has read it: a strip below the
    |. . . .+|. . . |     tiles of a row, and one beside the tile
    +-------+-------+

Pixels are kept as they are stored, a byte or two each. A thread that needs what another
one is reading waits for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.plan import Plane, RunPlan, Tile
from napari_sam.geometry import Box
from napari_sam.images import Image

BLOCK_SIDE = 256
"""Chunks that are smaller are kept together, so that there are few to keep track of."""

LARGEST_BLOCK = 2**26
"""Pixels; of larger chunks a read takes what it needs, and keeps nothing."""

KEPT_BYTES = 2**28
"""At most; beyond that what was read first is read again."""


class ChunkCache:
    """The pixels of the tiles of a run, for several threads that read tiles in order.

    Parameters
    ----------
    plan
        The run.
    image
        What it is about.
    """

    def __init__(self, plan: RunPlan, image: Image) -> None:
        self._plan, self._image = plan, image
        self._side = _block_side(image.blocks(plan.level))
        self._starts = _starts_of_tiles(plan)
        self._lock = Lock()
        self._going: set[Tile] = set()
        self._latest: Tile | None = None
        self._kept: dict[tuple[Plane, Box], Future[NDArray[Any]]] = {}

    def begin(self, tile: Tile) -> None:
        """Keep what a tile needs until it is `done`; called in the tiles' order."""
        with self._lock:
            self._going.add(tile)
            self._latest = tile if self._latest is None else max(self._latest, tile)

    def read(self, tile: Tile, box: Box) -> NDArray[Any]:
        """Pixels (channels, height, width) as `Image.read` gives them.

        Parameters
        ----------
        tile
            That has begun.
        box
            In pixels of the run's level.
        """
        if self._side is None:
            return self._image.read(tile.plane, self._plan.level, box)
        whole = Box.of_shape(self._plan.level_shape)
        blocks = list(_blocks_over(box, self._side, whole))
        with self._lock:
            missing = [b for b in blocks if (tile.plane, b) not in self._kept]
            for block in missing:
                self._kept[tile.plane, block] = Future()
            found = {block: self._kept[tile.plane, block] for block in blocks}
        self._fill(tile.plane, missing, found)
        return _assembled(box, {block: found[block].result() for block in blocks})

    def done(self, tile: Tile) -> None:
        """Let go of what no later tile needs."""
        with self._lock:
            self._going.discard(tile)
            first = min(self._going, default=None)
            for plane, block in list(self._kept):
                last = Tile(plane, *self._last_tile(block))
                if last < first if first else last <= (self._latest or tile):
                    del self._kept[plane, block]
            done = [(key, f.result()) for key, f in self._kept.items() if f.done()]
            total = sum(pixels.nbytes for _, pixels in done)
            for key, pixels in done:
                if total <= KEPT_BYTES:
                    break
                del self._kept[key]
                total -= pixels.nbytes

    def _fill(
        self,
        plane: Plane,
        missing: list[Box],
        found: dict[Box, Future[NDArray[Any]]],
    ) -> None:
        """Read what no other thread has, or is reading."""
        left = set(missing)
        try:
            for part in _rectangles(missing):
                whole = Box.around(part)
                pixels_chw = self._image.read(plane, self._plan.level, whole)
                for block in part:
                    # A copy, or all that was read with it would be kept with it.
                    spot = block.relative_to(whole).slices
                    found[block].set_result(pixels_chw[:, *spot].copy())
                    left.discard(block)
        except BaseException as error:
            with self._lock:
                for block in left:
                    self._kept.pop((plane, block), None)
            for block in left:
                found[block].set_exception(error)
            raise

    def _last_tile(self, block: Box) -> tuple[int, int]:
        """Row and column of the last tile of a plane that needs a block."""
        row, column = (
            int(np.searchsorted(starts, stop, side="left")) - 1
            for starts, stop in zip(self._starts, (block.y1, block.x1), strict=True)
        )
        return row, column


def _block_side(chunk: tuple[int, int] | None) -> tuple[int, int] | None:
    """Whole chunks, as many as have a fair size; None where nothing is to be kept."""
    if chunk is None:
        return None
    height, width = (-(-BLOCK_SIDE // side) * side for side in chunk)
    return (height, width) if height * width <= LARGEST_BLOCK else None


def _starts_of_tiles(plan: RunPlan) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first row of pixels of each row of tiles, and the same of columns."""
    rows, columns = plan.tiles_along
    n, grid = plan.windows_along, plan.grid
    first_rows = [grid.window(row * n, 0).y0 for row in range(rows)]
    first_columns = [grid.window(0, column * n).x0 for column in range(columns)]
    return np.array(first_rows), np.array(first_columns)


def _blocks_over(box: Box, side: tuple[int, int], whole: Box) -> Iterator[Box]:
    """The blocks that share a pixel with a box, row by row."""
    height, width = side
    for y in range(box.y0 // height * height, box.y1, height):
        for x in range(box.x0 // width * width, box.x1, width):
            yield Box(y, x, y + height, x + width).clip(whole)


def _rectangles(blocks: list[Box]) -> list[list[Box]]:
    """Blocks that are read together: all if they fill a rectangle, else row by row."""
    if not blocks or Box.around(blocks).area == sum(block.area for block in blocks):
        return [blocks] if blocks else []
    runs = [[blocks[0]]]
    for before, block in pairwise(blocks):
        if (block.y0, block.x0) == (before.y0, before.x1):
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _assembled(box: Box, parts: dict[Box, NDArray[Any]]) -> NDArray[Any]:
    """The pixels of a box from the blocks over it."""
    some = next(iter(parts.values()))
    pixels_chw = np.empty((len(some), *box.shape), dtype=some.dtype)
    for block, part_chw in parts.items():
        common = block.clip(box)
        part = part_chw[:, *common.relative_to(block).slices]
        pixels_chw[:, *common.relative_to(box).slices] = part
    return pixels_chw
