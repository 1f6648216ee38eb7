"""Segment the windows of tiles, batch by batch, one tile after the other.

What comes out depends on the plan, the pixels and the model alone, so tiles can be
computed in any order, in batches of any size, anywhere. What goes wrong in one window
is a failure of that window.

With a thread to encode, the next windows are encoded while masks are made of those
before:

    encode    | windows 1-4 | windows 5-8 | windows 9-12 |
    masks                   | windows 1-4 | windows 5-8  |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from napari_sam.automatic.plan import RunPlan, Tile
from napari_sam.automatic.tiles.batching import FAILURES, AdaptiveBatchModel
from napari_sam.automatic.tiles.chunk_cache import ChunkCache
from napari_sam.automatic.tiles.tile import (
    TileFailure,
    TilePixels,
    TileResult,
    failure_of,
    read_tile,
)
from napari_sam.automatic.window.window_objects import WindowResult
from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import Cell


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Windows of one tile that are encoded, or being encoded, together."""

    tile: TilePixels
    cells: tuple[Cell, ...]
    is_last: bool  # of the tile
    embeddings: Future[list[Any]]


def compute_tile(
    plan: RunPlan, image: Image, model: WindowModel, tile: Tile
) -> TileResult:
    """Read and segment a single tile."""
    pixels = read_tile(plan, image, tile, ChunkCache(plan, image))
    (result,) = segment_tiles(plan, AdaptiveBatchModel(model, plan.options), [pixels])
    return result


def segment_tiles(
    plan: RunPlan,
    model: AdaptiveBatchModel,
    tiles: Iterable[TilePixels],
    before_window: Callable[[Box], None] = lambda window: None,
    encoder: Executor | None = None,
) -> Iterator[TileResult]:
    """Segment tiles, in their order.

    Parameters
    ----------
    plan, model, tiles
        What to do, with what, on what.
    before_window
        Called with each window, in pixels of the level, in this thread, before the
        model gets it; may raise `Cancelled`.
    encoder
        A thread that encodes the next windows while this one makes masks. None: this
        one does both, one after the other.

    Yields
    ------
    TileResult
        Of each tile, once its last window is done.
    """
    waiting: deque[_Batch] = deque()
    ahead = 0 if encoder is None else 1
    current = _TileAssembly(plan, model)
    for tile in tiles:
        for batch in _batches(plan, model, tile, before_window, encoder):
            waiting.append(batch)
            while len(waiting) > ahead:
                yield from current.add(waiting.popleft())
    while waiting:
        yield from current.add(waiting.popleft())


def _batches(
    plan: RunPlan,
    model: AdaptiveBatchModel,
    tile: TilePixels,
    before_window: Callable[[Box], None],
    encoder: Executor | None,
) -> Iterator[_Batch]:
    """The windows of a tile in batches, at least one: each when its turn comes."""
    left = list(tile.windows)
    while True:
        count = model.windows_at_once
        cells, left = tuple(left[:count]), left[count:]
        for cell in cells:
            before_window(plan.grid.window(*cell))
        windows = [tile.windows[cell] for cell in cells]
        if encoder is None:
            embeddings: Future[list[Any]] = Future()
            embeddings.set_result(model.encode(windows))
        else:
            embeddings = encoder.submit(model.encode, windows)
        yield _Batch(tile, cells, not left, embeddings)
        if not left:
            return


class _TileAssembly:
    """The tile whose masks are being made: batches go in, tiles come out."""

    def __init__(self, plan: RunPlan, model: AdaptiveBatchModel) -> None:
        self._plan, self._model = plan, model
        self._results: dict[Cell, WindowResult] = {}
        self._failures: list[TileFailure] = []

    def add(self, batch: _Batch) -> Iterator[TileResult]:
        """Make the masks of a batch; yields its tile if that is complete now."""
        for cell, embedding in zip(batch.cells, batch.embeddings.result(), strict=True):
            self._segment(batch.tile, cell, embedding)
        if batch.is_last:
            tile = batch.tile
            yield TileResult(
                tile.tile,
                self._results,
                len(tile.windows),
                tile.empty_count,
                (*tile.failures, *self._failures),
            )
            self._results, self._failures = {}, []

    def _segment(self, tile: TilePixels, cell: Cell, embedding: Any) -> None:
        grid = self._plan.grid
        window = grid.window(*cell)
        try:
            if isinstance(embedding, Exception):
                raise embedding
            found = self._model.objects(embedding, tile.windows[cell])
        except Cancelled:
            raise
        except FAILURES as error:
            plane = tile.tile.plane
            self._failures.append(failure_of(self._plan, plane, window, error))
            return
        if len(found.scores_n):
            bounds = Box.of_shape(self._plan.level_shape)
            self._results[cell] = WindowResult.of(
                window, grid.core(*cell), bounds, found
            )
