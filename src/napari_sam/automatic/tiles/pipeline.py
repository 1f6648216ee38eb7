"""Tiles one after the other through the model, with the disk kept busy beside it.

    readers        encoder          this thread        writer
    read tile 5    encode tile 4    masks of tile 3    keep tile 2    at the same time
    read tile 6

The queues are short: as many tiles are read ahead as `Concurrency` says, and as many
results wait to be written, so memory does not depend on how many tiles there are. A
tile is handed on once it is safe on disk. Only this thread can be stopped, and then
stops the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from napari_sam.automatic.plan import RunPlan, Tile
from napari_sam.automatic.tiles.batching import AdaptiveBatchModel
from napari_sam.automatic.tiles.chunk_cache import ChunkCache
from napari_sam.automatic.tiles.segment import segment_tiles
from napari_sam.automatic.tiles.tile import TilePixels, read_tile
from napari_sam.automatic.tiles.tile_files import TileFiles, TileSummary
from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.model.window_model import WindowModel


@dataclass(frozen=True, slots=True)
class Concurrency:
    """How much is done at once; it changes nothing but how long a run takes.

    Parameters
    ----------
    readers
        Threads that read tiles.
    ahead
        Tiles that are read before the model gets to them.
    unwritten
        Results that wait to be on disk.
    windows_at_once
        That the model encodes together, if it can; None: what suits it. A device
        without room for them is given fewer.
    encode_ahead
        Whether the next windows are encoded while masks are made of those before;
        None: where the model is on another device than the processor, which has no
        time to spare.
    """

    readers: int = 2
    ahead: int = 3
    unwritten: int = 2
    windows_at_once: int | None = None
    encode_ahead: bool | None = None


def run_tiles(
    files: TileFiles,
    image: Image,
    model: WindowModel,
    tiles: Iterable[Tile],
    before_window: Callable[[Box], None],
    concurrency: Concurrency,
) -> Iterator[TileSummary]:
    """Compute tiles, and yield each when it is safe on disk, in their order.

    Parameters
    ----------
    files
        Of the run.
    image, model
        What is segmented with what.
    tiles
        Which.
    before_window
        Called with each window, in this thread, before the model gets it; what it
        raises ends the run. What is on disk by then stays.
    concurrency
        How much is done at once.

    Yields
    ------
    TileSummary
        Of each tile.
    """
    written: deque[Future[TileSummary]] = deque()
    readers = ThreadPoolExecutor(concurrency.readers, "napari-sam-read")
    encoder = ThreadPoolExecutor(1, "napari-sam-encode")
    writer = ThreadPoolExecutor(1, "napari-sam-write")
    windows_at_once = concurrency.windows_at_once
    results = segment_tiles(
        files.plan,
        AdaptiveBatchModel(model, files.plan.options, windows_at_once),
        _read_ahead(files.plan, image, tiles, readers, concurrency.ahead),
        before_window,
        encoder if _encodes_ahead(model, concurrency) else None,
    )
    try:
        for result in results:
            written.append(writer.submit(files.save, result))
            while len(written) > concurrency.unwritten or (
                written and written[0].done()
            ):
                yield written.popleft().result()
        while written:
            yield written.popleft().result()
    finally:
        readers.shutdown(cancel_futures=True)
        encoder.shutdown(cancel_futures=True)
        writer.shutdown()


def _read_ahead(
    plan: RunPlan,
    image: Image,
    tiles: Iterable[Tile],
    readers: Executor,
    ahead: int,
) -> Iterator[TilePixels]:
    """The pixels of tiles, in order, a few of them read before they are needed."""
    waiting, chunks = iter(tiles), ChunkCache(plan, image)
    read: deque[Future[TilePixels]] = deque()
    while True:
        for tile in islice(waiting, ahead - len(read)):
            chunks.begin(tile)
            read.append(readers.submit(read_tile, plan, image, tile, chunks))
        if not read:
            return
        yield read.popleft().result()


def _encodes_ahead(model: WindowModel, concurrency: Concurrency) -> bool:
    if concurrency.encode_ahead is not None:
        return concurrency.encode_ahead
    device = getattr(model, "device", None)
    return getattr(device, "type", "cpu") != "cpu"
