"""Compute one tile: read its pixels, leave empty windows out, segment the others.

What comes out depends on the plan, the pixels and the model alone, so tiles can be
computed in any order, anywhere. Reading and segmenting are two steps, so that one
thread can read ahead of the model.

What goes wrong in one window is a failure of that window. A tile whose pixels cannot
be read at once is read window by window, so that a damaged chunk costs only the
windows that lie on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.piece import Piece
from napari_sam.automatic.plan import Cell, Plane, RunPlan, Tile
from napari_sam.automatic.window import segment_window
from napari_sam.errors import Cancelled, ImageReadError, SamError
from napari_sam.geometry import Box
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.windows import at_level
from napari_sam.tiling.images import Image

Pixels = NDArray[np.uint8]

FAILURES = (SamError, OSError, RuntimeError, MemoryError, ValueError, ArithmeticError)
"""What a window may fail with; torch tells of a full GPU by a RuntimeError."""


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
    pieces
        Of windows in which there is anything, row by row.
    window_count
        Windows that the model was shown.
    empty_count
        Windows that were left out as empty.
    failures
        Windows of which nothing is known.
    """

    tile: Tile
    pieces: Mapping[Cell, Piece]
    window_count: int
    empty_count: int
    failures: tuple[TileFailure, ...]

    @property
    def object_count(self) -> int:
        """Objects that lie mostly in the core of their window: each about once."""
        return sum(
            int(np.count_nonzero(2 * piece.core_areas_n > piece.areas_n))
            for piece in self.pieces.values()
        )


def compute_tile(
    plan: RunPlan, image: Image, model: WindowModel, tile: Tile
) -> TileResult:
    """Read and segment a tile."""
    return segment_tile(plan, model, read_tile(plan, image, tile))


def read_tile(plan: RunPlan, image: Image, tile: Tile) -> TilePixels:
    """Read the windows of a tile that are not empty.

    An ImageReadError becomes a failure of each window that it concerns.
    """
    grid = plan.grid
    windows = {cell: grid.window(*cell) for cell in plan.cells_of(tile)}
    count = len(windows)
    windows = _not_empty_coarsely(plan, image, tile, windows)
    failures: list[TileFailure] = []
    found: dict[Cell, Pixels] = {}
    if windows:
        try:
            found = _read_at_once(plan, image, tile.plane, windows)
        except ImageReadError:
            found, failures = _read_each(plan, image, tile.plane, windows)
    if (emptiness := plan.emptiness) is not None:
        found = {
            cell: pixels
            for cell, pixels in found.items()
            if not emptiness.is_empty(pixels)
        }
    return TilePixels(tile, found, count - len(found) - len(failures), tuple(failures))


def segment_tile(
    plan: RunPlan,
    model: WindowModel,
    pixels: TilePixels,
    before_window: Callable[[Box], None] | None = None,
) -> TileResult:
    """Segment the windows of a tile.

    Parameters
    ----------
    plan, model, pixels
        What to do, with what, on what.
    before_window
        Is told of each window, in pixels of the level; may raise `Cancelled`.
    """
    grid = plan.grid
    bounds = Box.of_shape(plan.level_shape)
    pieces: dict[Cell, Piece] = {}
    failures = list(pixels.failures)
    for cell, pixels_hwc in pixels.windows.items():
        window = grid.window(*cell)
        if before_window is not None:
            before_window(window)
        try:
            found = segment_window(model, pixels_hwc, plan.options)
        except Cancelled:
            raise
        except FAILURES as error:
            failures.append(_failure(plan, pixels.tile.plane, window, error))
            continue
        if len(found.scores_n):
            pieces[cell] = Piece.of(window, grid.core(*cell), bounds, found)
    return TileResult(
        pixels.tile, pieces, len(pixels.windows), pixels.empty_count, tuple(failures)
    )


def _not_empty_coarsely(
    plan: RunPlan, image: Image, tile: Tile, windows: Mapping[Cell, Box]
) -> dict[Cell, Box]:
    """Those windows that a look at a coarser stored level does not show as empty."""
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
        if not emptiness.is_empty_coarsely(
            pixels_hwc[boxes[cell].relative_to(whole).slices]
        )
    }


def _read_at_once(
    plan: RunPlan, image: Image, plane: Plane, windows: Mapping[Cell, Box]
) -> dict[Cell, Pixels]:
    whole = Box.around(windows.values())
    pixels_hwc = image.read_rgb(plane, plan.level, whole, plan.contrast)
    return {
        cell: pixels_hwc[box.relative_to(whole).slices] for cell, box in windows.items()
    }


def _read_each(
    plan: RunPlan, image: Image, plane: Plane, windows: Mapping[Cell, Box]
) -> tuple[dict[Cell, Pixels], list[TileFailure]]:
    found: dict[Cell, Pixels] = {}
    failures = []
    for cell, box in windows.items():
        try:
            found[cell] = image.read_rgb(plane, plan.level, box, plan.contrast)
        except ImageReadError as error:
            failures.append(_failure(plan, plane, box, error))
    return found, failures


def _failure(
    plan: RunPlan, plane: Plane, window: Box, error: BaseException
) -> TileFailure:
    reason = " ".join(str(error).split()) or type(error).__name__
    return TileFailure(plane, plan.on_plane(window), reason)
