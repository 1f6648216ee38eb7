"""What finished tiles have found, as a pyramid on disk that a viewer reads lazily.

At the level of the run, beside its tiles, and only for the eye: objects on a seam are
not joined yet. Each window draws

    its objects whose middle is in its core     whole, also beyond the core
    those that its border cuts                  within the core

so that nearly every object is there once, and no core is a straight edge of one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam.automatic import RunPlan, Tile, TileFiles, WindowResult
from napari_sam.geometry import Box

CHUNK = 512
COARSEST_SIDE = 1024
"""A level with no side above this is the last."""


@dataclass(slots=True, eq=False)
class FoundPyramid:
    """Draws tiles, one at a time; reading is for any thread.

    Parameters
    ----------
    plan
        Of the run.
    files
        Its tiles.
    levels
        (stack axes, y, x), the finest first; each half the size of the one before.
    """

    plan: RunPlan
    files: TileFiles
    levels: list[zarr.Array[Any]]
    _next_id: int = 1

    @classmethod
    def make(
        cls, folder: Path, run_folder: Path, plan: RunPlan, stack_shape: tuple[int, ...]
    ) -> FoundPyramid:
        """Make it empty, in a folder that is not there.

        Parameters
        ----------
        folder, run_folder
            Where it goes, and where the tiles are.
        plan
            Of the run.
        stack_shape
            Of the image, which also has planes that the run leaves out.
        """
        shape = plan.level_shape
        levels: list[zarr.Array[Any]] = []
        while True:
            levels.append(
                zarr.create_array(
                    str(folder / str(len(levels))),
                    shape=(*stack_shape, *shape),
                    chunks=(*(1 for _ in stack_shape), CHUNK, CHUNK),
                    dtype=np.uint32,
                    fill_value=0,
                )
            )
            if max(shape) <= COARSEST_SIDE:
                break
            shape = (-(-shape[0] // 2), -(-shape[1] // 2))
        return cls(plan, TileFiles.of(run_folder, plan), levels)

    def draw(self, tile: Tile) -> None:
        """Draw what was found in a tile that is done."""
        results = self.files.load(tile).values()
        if not results:
            return
        box = Box.around(result.window for result in results).clip(self.plan.area)
        index: tuple[int | slice, ...] = (*tile.plane, *box.slices)
        drawn_hw = np.array(self.levels[0][index], dtype=np.uint32)
        self._paint(drawn_hw, box, results)
        self.levels[0][index] = drawn_hw
        for finer, coarser in pairwise(self.levels):
            box = Box(box.y0 // 2, box.x0 // 2, -(-box.y1 // 2), -(-box.x1 // 2))
            under: tuple[int | slice, ...] = (
                *tile.plane,
                slice(2 * box.y0, 2 * box.y1 - 1, 2),
                slice(2 * box.x0, 2 * box.x1 - 1, 2),
            )
            index = (*tile.plane, *box.slices)
            coarser[index] = finer[under]

    def _paint(
        self, drawn_hw: NDArray[np.uint32], box: Box, results: Collection[WindowResult]
    ) -> None:
        for result in results:
            part = result.window.clip(box)
            ids_hw = self._ids(result)[part.relative_to(result.window).slices]
            there_hw = drawn_hw[part.relative_to(box).slices]
            np.copyto(there_hw, ids_hw, where=ids_hw > 0)

    def _ids(self, result: WindowResult) -> NDArray[np.uint32]:
        """What a window draws, over all of it."""
        table, count = result.table, len(result.table)
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.uint32)
        self._next_id += count
        y_n, x_n = (table.boxes_n4[:, :2] + table.boxes_n4[:, 2:]).T // 2
        core = result.core
        is_own = (core.y0 <= y_n) & (y_n < core.y1) & (core.x0 <= x_n) & (x_n < core.x1)
        own, cut = (
            np.concatenate([[0], np.where(is_drawn, ids, 0)]).astype(np.uint32)
            for is_drawn in (is_own & ~table.is_cut_n, table.is_cut_n)
        )
        drawn_hw: NDArray[np.uint32] = own[result.labels_hw]
        inner = core.relative_to(result.window).slices
        cut_hw = cut[result.labels_hw[inner]]
        np.copyto(drawn_hw[inner], cut_hw, where=cut_hw > 0)
        return drawn_hw
