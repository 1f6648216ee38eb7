"""From the tiles of a run to its labels: plane by plane, seams first, then pixels.

The seams of a plane need a table of its objects, but only few tiles at once; so do
the pixels of a block. The ids of a plane begin after those of the one before.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.atomic_files import replace_atomically
from napari_sam.automatic.plan import Plane
from napari_sam.automatic.seams.stitching import Assignment, Stitcher
from napari_sam.automatic.tiles.tile_files import TileFiles
from napari_sam.automatic.window.window_objects import WindowResult, overlaps
from napari_sam.geometry import Box
from napari_sam.labels import BulkLabels
from napari_sam.masks import Mask
from napari_sam.predictor import Cell, at_level

TILES_AT_ONCE = 6
"""That are kept in memory: those around a block of labels, and some more."""


@dataclass(frozen=True, slots=True)
class StitchingStep:
    """A step on the way to the labels that is done.

    Parameters
    ----------
    stage
        "seams" counts tiles, "labels" counts blocks of all levels.
    done, count
        Of the stage.
    box
        Where, in pixels of some level.
    """

    stage: Literal["seams", "labels"]
    done: int
    count: int
    box: Box


class PlaneResults:
    """The results of one plane, of which few tiles are in memory at a time."""

    def __init__(self, files: TileFiles, plane: Plane) -> None:
        self._plan, self._plane = files.plan, plane
        self._load = lru_cache(maxsize=TILES_AT_ONCE)(files.load)

    def of(self, cells: Iterable[Cell]) -> dict[Cell, WindowResult]:
        """The results of those windows that have objects, in the order of the cells."""
        found = {}
        for cell in cells:
            results = self._load(self._plan.tile_with(self._plane, cell))
            if (result := results.get(cell)) is not None:
                found[cell] = result
        return found


class LabelWriting:
    """Brings the labels of a run's planes to a volume, one plane after the other.

    Parameters
    ----------
    files
        What was found.
    bulk
        The volume.
    on_step
        Called after every step; what it raises ends the writing.
    """

    def __init__(
        self,
        files: TileFiles,
        bulk: BulkLabels,
        on_step: Callable[[StitchingStep], None],
    ) -> None:
        self._files, self._plan, self._bulk = files, files.plan, bulk
        self._on_step = on_step
        self._done = {"seams": 0, "labels": 0}
        plan = files.plan
        blocks = len(list(bulk.blocks(plan.request.region))) + bulk.sampled_block_count
        self._counts = {
            "seams": plan.tile_count,
            "labels": blocks * len(plan.request.planes),
        }

    def write(self, table: Path) -> int:
        """Write the pixels and the table; returns how many objects there are.

        Parameters
        ----------
        table
            Becomes the list of objects, as CSV.
        """
        count = 0
        with (
            replace_atomically(table) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            axes = self._bulk.geometry.axes[:-2]
            header = ["id", *axes, "score", "y0", "x0", "y1", "x1", "area"]
            csv.writer(file).writerow(header)
            for plane in self._plan.request.planes:
                count += self._write_plane(plane, count, file)
        return count

    def _write_plane(self, plane: Plane, below: int, table: TextIO) -> int:
        """Write a plane, whose ids begin above `below`; how many objects it has."""
        results = PlaneResults(self._files, plane)
        assignment = self._solved(results, plane)
        drawn = Drawn.nothing(assignment.count)
        for block in self._bulk.blocks(self._plan.request.region):
            labels_hw = self._painted(results, block, assignment)
            drawn.follow(labels_hw, block)
            labels_hw[labels_hw > 0] += np.uint32(below)
            self._bulk.write(plane, block, labels_hw)
            del labels_hw  # or it would be kept while the next block is painted
            self._step("labels", block)
        seen = np.flatnonzero(drawn.areas_n)
        if len(seen) < assignment.count:
            self._renumber(plane, below, seen)
        for block in self._bulk.sample(plane):
            self._step("labels", block)
        drawn.write(table, plane, below, assignment.scores_n)
        return len(seen)

    def _renumber(self, plane: Plane, below: int, seen: NDArray[np.int64]) -> None:
        """Close the gaps of ids of which others, painted on top, left nothing."""
        for block in self._bulk.blocks(self._plan.request.region):
            labels_hw = self._bulk.read(plane, block)
            is_object = labels_hw > 0
            indices = np.searchsorted(seen, labels_hw[is_object] - below - 1)
            labels_hw[is_object] = indices + below + 1
            self._bulk.write(plane, block, labels_hw)

    def _solved(self, results: PlaneResults, plane: Plane) -> Assignment:
        """Which objects of the plane's windows are one, and which are none."""
        grid = self._plan.grid
        stitcher = Stitcher(self._plan.options.max_shared)
        for tile in self._plan.tiles_of(plane):
            cells = self._plan.cells_of(tile)
            for cell, result in results.of(cells).items():
                stitcher.add(cell, result.table)
                for other, beside in results.of(grid.neighbours_after(*cell)).items():
                    stitcher.join(cell, other, overlaps(result, beside))
            self._step("seams", grid.core(*cells[0]))
        return stitcher.solve()

    def _painted(
        self, results: PlaneResults, block: Box, assignment: Assignment
    ) -> NDArray[np.uint32]:
        """The labels of a block of level 0, those outside of the region background."""
        labels_hw = np.zeros(block.shape, dtype=np.uint32)
        inside = block.clip(self._plan.request.region)
        box = at_level(inside, self._plan.settled_level)
        found = results.of(self._plan.grid.windows_over(box))
        if found:
            painted = paint(box, found, assignment)
            rows, columns = self._plan.rows_and_columns(inside, box)
            spot = inside.relative_to(block).slices
            labels_hw[spot] = painted[np.ix_(rows, columns)]
        return labels_hw

    def _step(self, stage: Literal["seams", "labels"], box: Box) -> None:
        self._done[stage] += 1
        done, count = self._done[stage], self._counts[stage]
        self._on_step(StitchingStep(stage, done, count, box))


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Where the objects of a plane are in its labels, and how large, at level 0."""

    areas_n: NDArray[np.int64]
    boxes_n4: NDArray[np.int64]

    @classmethod
    def nothing(cls, count: int) -> Drawn:
        """Of so many objects of which nothing is drawn yet."""
        far = np.iinfo(np.int64).max
        boxes_n4 = np.tile(np.array([far, far, 0, 0], dtype=np.int64), (count, 1))
        return cls(np.zeros(count, dtype=np.int64), boxes_n4)

    def follow(self, labels_hw: NDArray[np.uint32], block: Box) -> None:
        """Take a block of the labels into account."""
        is_object = labels_hw > 0
        values = labels_hw[is_object]
        if not len(values):
            return
        ids = np.unique(values)
        local_hw = np.zeros(labels_hw.shape, dtype=np.int32)
        local_hw[is_object] = np.searchsorted(ids, values) + 1
        slices = ndimage.find_objects(local_hw)
        boxes_n4 = np.array([(y.start, x.start, y.stop, x.stop) for y, x in slices])
        boxes_n4 += np.tile([block.y0, block.x0], 2)
        index = ids.astype(np.int64) - 1
        self.areas_n[index] += np.bincount(local_hw.ravel())[1:]
        old_n4 = self.boxes_n4[index]
        self.boxes_n4[index, :2] = np.minimum(old_n4[:, :2], boxes_n4[:, :2])
        self.boxes_n4[index, 2:] = np.maximum(old_n4[:, 2:], boxes_n4[:, 2:])

    def write(
        self,
        table: TextIO,
        plane: Plane,
        below: int,
        scores_n: NDArray[np.floating],
    ) -> None:
        """Add a row for each object of which anything is drawn."""
        rows = csv.writer(table)
        seen = np.flatnonzero(self.areas_n)
        areas, boxes = self.areas_n[seen].tolist(), self.boxes_n4[seen].tolist()
        columns = zip(scores_n[seen].tolist(), boxes, areas, strict=True)
        for number, (score, box, area) in enumerate(columns, below + 1):
            rows.writerow([number, *plane, f"{score:.4f}", *box, area])


def paint(
    box: Box, results: Mapping[Cell, WindowResult], assignment: Assignment
) -> NDArray[np.uint32]:
    """Draw the objects of a box, in the order of the assignment.

    Parameters
    ----------
    box
        In pixels of the level.
    results
        Of the windows that share a pixel with the box; others do no harm.
    assignment
        Which ids the objects of all windows have.

    Returns
    -------
    NDArray[np.uint32]
        (height, width) of ids, 0 where there is no object.
    """
    drawn = [
        (assignment.order_n[label_id - 1], label_id, result, index)
        for cell, result in results.items()
        if result.window.intersects(box)
        for index, label_id in enumerate(assignment.ids_of(cell).tolist())
        if label_id
    ]
    labels_hw = np.zeros(box.shape, dtype=np.uint32)
    # Several windows may draw an id: together, so their order makes no difference.
    for _, label_id, result, index in sorted(drawn, key=lambda part: part[0]):
        _draw(labels_hw, box, result, index, label_id)
    return labels_hw


def _draw(
    labels_hw: NDArray[np.uint32],
    box: Box,
    result: WindowResult,
    index: int,
    label_id: int,
) -> None:
    """Draw what a window sees of an object."""
    bounds = Box(*result.table.boxes_n4[index].tolist())
    if not bounds.intersects(box):
        return
    part = bounds.clip(box)
    mask: Mask = result.labels_hw[part.relative_to(result.window).slices] == index + 1
    labels_hw[part.relative_to(box).slices][mask] = label_id
