"""The pixels of a tile, with its empty windows left out; and what is found in it.

What goes wrong in one window is a failure of that window. A tile whose pixels cannot
be read at once is read window by window, so that a damaged chunk costs only the
windows that lie on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.plan import Plane, RunPlan, Tile
from napari_sam.automatic.tiles.chunk_cache import ChunkCache
from napari_sam.automatic.window.window_objects import WindowResult
from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import Image, as_rgb
from napari_sam.predictor import Cell, at_level

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class TileFailure:
    """A window of a tile that could not be segmented."""

    plane: Plane
    box: Box  # in pixels of level 0
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class TilePixels:
    """What there is to segment of a tile.

    Parameters
    ----------
    windows
        The pixels (height, width, 3) of windows that are not empty.
    empty_count
        Windows that are.
    failures
        Windows that could not be read.
    """

    tile: Tile
    windows: Mapping[Cell, Pixels]
    empty_count: int
    failures: tuple[TileFailure, ...]


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """What was found in a tile.

    Parameters
    ----------
    results
        Of windows in which there is an object, row by row.
    window_count
        Windows that the model was shown.
    empty_count
        Windows that were left out as empty.
    failures
        Windows of which nothing is known.
    """

    tile: Tile
    results: Mapping[Cell, WindowResult]
    window_count: int
    empty_count: int
    failures: tuple[TileFailure, ...]

    @property
    def object_count(self) -> int:
        """Objects that lie mostly in the core of their window: each about once."""
        return sum(
            int(np.count_nonzero(2 * result.core_areas_n > result.areas_n))
            for result in self.results.values()
        )


def read_tile(
    plan: RunPlan, image: Image, tile: Tile, chunks: ChunkCache
) -> TilePixels:
    """Read the windows of a tile that are not empty.

    An ImageReadError becomes a failure of each window that it concerns.

    Parameters
    ----------
    plan, image, tile
        What to read.
    chunks
        Of the run, so that no tile reads what another has read.

    Returns
    -------
    TilePixels
        With the windows that could not be read among its failures.
    """
    chunks.begin(tile)
    try:
        return _read(plan, image, tile, chunks)
    finally:
        chunks.done(tile)


def _read(plan: RunPlan, image: Image, tile: Tile, chunks: ChunkCache) -> TilePixels:
    grid = plan.grid
    windows = {cell: grid.window(*cell) for cell in plan.cells_of(tile)}
    count = len(windows)
    windows = _not_empty_coarsely(plan, image, tile, windows)
    failures: list[TileFailure] = []
    found: dict[Cell, Pixels] = {}
    if windows:
        try:
            found = _read_at_once(plan, chunks, tile, windows)
        except ImageReadError:
            found, failures = _read_each(plan, image, tile.plane, windows)
    if (emptiness := plan.emptiness) is not None:
        found = {
            cell: pixels
            for cell, pixels in found.items()
            if not emptiness.is_empty(pixels)
        }
    return TilePixels(tile, found, count - len(found) - len(failures), tuple(failures))


def _not_empty_coarsely(
    plan: RunPlan, image: Image, tile: Tile, windows: Mapping[Cell, Box]
) -> dict[Cell, Box]:
    """Those windows that are not empty at a coarser stored level."""
    emptiness = plan.emptiness
    if emptiness is None or emptiness.level is None:
        return dict(windows)
    level = image.levels[emptiness.level]
    boxes = {cell: at_level(plan.on_plane(box), level) for cell, box in windows.items()}
    whole = Box.around(boxes.values())
    try:
        pixels_hwc = image.read_rgb(tile.plane, emptiness.level, whole, plan.contrast)
    except ImageReadError:  # the level that is segmented may be whole
        return dict(windows)
    return {
        cell: box
        for cell, box in windows.items()
        if not emptiness.is_empty_at_stored_level(
            pixels_hwc[boxes[cell].relative_to(whole).slices]
        )
    }


def _read_at_once(
    plan: RunPlan, chunks: ChunkCache, tile: Tile, windows: Mapping[Cell, Box]
) -> dict[Cell, Pixels]:
    whole = Box.around(windows.values())
    pixels_hwc = as_rgb(chunks.read(tile, whole), plan.contrast)
    return {
        cell: pixels_hwc[box.relative_to(whole).slices] for cell, box in windows.items()
    }


def _read_each(
    plan: RunPlan, image: Image, plane: Plane, windows: Mapping[Cell, Box]
) -> tuple[dict[Cell, Pixels], list[TileFailure]]:
    """Read window by window, no more than each: what is beside it may be damaged."""
    found: dict[Cell, Pixels] = {}
    failures = []
    for cell, box in windows.items():
        try:
            found[cell] = image.read_rgb(plane, plan.level, box, plan.contrast)
        except ImageReadError as error:
            failures.append(failure_of(plan, plane, box, error))
    return found, failures


def failure_of(
    plan: RunPlan, plane: Plane, window: Box, error: BaseException
) -> TileFailure:
    """The failure of a window, a box of the run's level."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return TileFailure(plane, plan.on_plane(window), reason)
