"""Tiles one after the other through the model, with the disk kept busy beside it.

    readers        this thread        writer
    read tile 5    segment tile 3     keep tile 2     each at the same time
    read tile 4

The queues are short: as many tiles are read ahead as `Pace` says, and as many results
wait to be written, so memory does not depend on how many tiles there are. A tile is
handed on once it is safe on disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from napari_sam.automatic.plan import Tile
from napari_sam.automatic.tile_files import TileFiles, TileSummary
from napari_sam.automatic.tiles import TilePixels, read_tile, segment_tile
from napari_sam.geometry import Box
from napari_sam.model.window_model import WindowModel
from napari_sam.tiling.images import Image


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is done at once; it changes nothing but how long a run takes.

    Parameters
    ----------
    readers
        Threads that read tiles.
    ahead
        Tiles that are read before the model gets to them.
    unwritten
        Results that wait to be on disk.
    """

    readers: int = 2
    ahead: int = 3
    unwritten: int = 2


def run_tiles(
    files: TileFiles,
    image: Image,
    model: WindowModel,
    tiles: Iterable[Tile],
    before_window: Callable[[Box], None],
    pace: Pace,
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
        Is told of each window, in this thread, before the model is shown it; what it
        raises ends the run. What is on disk by then stays.
    pace
        How much is done at once.
    """
    waiting = iter(tiles)
    read: deque[Future[TilePixels]] = deque()
    written: deque[Future[TileSummary]] = deque()
    readers = ThreadPoolExecutor(pace.readers, "napari-sam-read")
    writer = ThreadPoolExecutor(1, "napari-sam-write")
    try:
        while True:
            for tile in islice(waiting, pace.ahead - len(read)):
                read.append(readers.submit(read_tile, files.plan, image, tile))
            if not read:
                break
            pixels = read.popleft().result()
            result = segment_tile(files.plan, model, pixels, before_window)
            written.append(writer.submit(files.save, result))
            while len(written) > pace.unwritten or (written and written[0].done()):
                yield written.popleft().result()
        while written:
            yield written.popleft().result()
    finally:
        readers.shutdown(cancel_futures=True)
        writer.shutdown()
