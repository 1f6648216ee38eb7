"""The tiles of a run on the workers of a dask cluster, whatever started it.

The workers read the image and run the model; this process keeps their results, as it
keeps its own. A tile depends on the plan, the pixels and the weights alone, so where it
was computed, and how often, makes no difference to the labels. A worker loads image and
model once; the tiles of one that dies go to the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import Any, cast

from distributed import Client, Future, Worker, WorkerPlugin, as_completed, get_worker

from napari_sam.automatic.plan import RunPlan, Tile
from napari_sam.automatic.tiles.allocator import keep_memory
from napari_sam.automatic.tiles.segment import compute_tile
from napari_sam.automatic.tiles.tile import TileResult
from napari_sam.automatic.tiles.tile_files import TileFiles, TileSummary
from napari_sam.errors import ImageError, PredictorError
from napari_sam.images import Image, open_image
from napari_sam.model.window_model import WindowModel

TILES_A_THREAD = 2
"""That are handed out at a time: one that is computed, and one that waits."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where tiles are computed, and what workers need for it.

    Parameters
    ----------
    client
        Of dask.distributed.
    image
        What `open_image` takes or gave: it goes to the workers as a path or URL, which
        they need to be able to open, or as an array.
    model
        A name or path for `load_model`, or a model that can be sent.
    device
        Where workers compute, as `load_model` takes it; "auto" takes the one GPU that
        a worker sees.
    """

    client: Client
    image: Any
    model: WindowModel | str
    device: str = "auto"

    def run_tiles(
        self,
        files: TileFiles,
        tiles: Iterable[Tile],
        before_tile: Callable[[RunPlan, Tile], None],
    ) -> Iterator[TileSummary]:
        """Compute tiles, and yield each when it is safe on disk, in any order.

        Parameters
        ----------
        files
            Of the run, in this process.
        tiles
            Which.
        before_tile
            Called with each tile before it is handed out, in this thread; what it
            raises ends the run. What is on disk by then stays.

        Yields
        ------
        TileSummary
            Of each tile.

        Raises
        ------
        ImageError, PredictorError
            The workers see another image, or other weights, than this process.
        """
        name = f"napari-sam-{files.digest}"
        tools = WorkerTools(name, files.plan, self.image, self.model, self.device)
        self.client.register_plugin(tools)
        done = as_completed()
        running: set[Future[TileResult]] = set()
        waiting = iter(tiles)

        def hand_out() -> None:
            for tile in islice(waiting, self._room() - len(running)):
                before_tile(files.plan, tile)
                # Not `pure`: a continued run must not be given the failure of the
                # one before.
                future = self.client.submit(compute_on_worker, name, tile, pure=False)
                running.add(future)
                done.add(future)

        try:
            hand_out()
            for future in done:
                running.discard(future)
                yield files.save(future.result())
                hand_out()
        finally:
            self.client.cancel(list(running))
            self.client.unregister_worker_plugin(name)

    def _room(self) -> int:
        """Tiles that may be with the workers, who come and go."""
        threads: Mapping[str, int] = self.client.nthreads()
        return TILES_A_THREAD * max(1, sum(threads.values()))


class WorkerTools(WorkerPlugin):
    """What a worker computes tiles with; a plugin, so that later workers have it too.

    Image and model are opened with the first tile, once for all threads of the worker.
    """

    def __init__(
        self,
        name: str,
        plan: RunPlan,
        image: Any,
        model: WindowModel | str,
        device: str,
    ) -> None:
        self.name = name
        self.idempotent = False
        self._plan = plan
        self._source, self._named, self._device = image, model, device

    def setup(self, worker: Worker) -> None:
        """Begin on a worker, with nothing opened yet."""
        if worker.nanny is not None:  # a process of the cluster, not somebody's own
            keep_memory()
        self._lock = Lock()
        self._opened: tuple[Image, WindowModel] | None = None

    def teardown(self, worker: Worker) -> None:
        """Let go of image and model."""
        self._opened = None

    def compute(self, tile: Tile) -> TileResult:
        """Read and segment a tile."""
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
        return compute_tile(self._plan, *self._opened, tile)

    def _open(self) -> tuple[Image, WindowModel]:
        request = self._plan.request
        image = open_image(self._source)
        # An array in memory has no name that both sides know.
        if image.source is not None and image.fingerprint != request.image:
            raise ImageError(
                f"Workers need to see the image that the run is about; on this one "
                f"{image.name} is another. Is it the same file there?"
            )
        model = self._named
        if isinstance(model, str):
            from napari_sam.model import load_model  # noqa: PLC0415
            from napari_sam.model.inference import precision_in  # noqa: PLC0415

            # That of the run, whatever is usual on this device: the labels are to be
            # the same wherever a tile is computed.
            precision = precision_in(request.model)
            model = load_model(model, self._device, precision=precision)
        if model.fingerprint != request.model:
            raise PredictorError(
                "Workers need the weights that the run began with; on this one "
                f"{self._named!r} are others."
            )
        return image, model


def compute_on_worker(name: str, tile: Tile) -> TileResult:
    """Compute a tile with the worker's tools; runs on the worker."""
    tools = cast("WorkerTools", get_worker().plugins[name])
    return tools.compute(tile)
