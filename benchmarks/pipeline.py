"""Tiles from zarr to labels: the whole run against its slowest stage alone (P1).

    python benchmarks/pipeline.py

An image of blobs is written as zarr, compressed. The model is a stand-in that keeps a
thread busy for a set time a window without the interpreter's lock, as a device does,
so the table is about the pipeline: whether reading, computing and keeping results
overlap. Each stage is measured alone, then all of them one after the other, then as
`segment_image` runs them: from a local disk, and from a store that answers late, as
object stores do.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from measuring import interleaved, show
from numpy.typing import NDArray
from scipy import ndimage
from zarr.storage import LocalStore
from zarr.testing.store import LatencyStore

from napari_sam.automatic.estimate.planning import plan_run
from napari_sam.automatic.plan import RunPlan, RunRequest
from napari_sam.automatic.tiles.batching import AdaptiveBatchModel
from napari_sam.automatic.tiles.chunk_cache import ChunkCache
from napari_sam.automatic.tiles.pipeline import Concurrency, run_tiles
from napari_sam.automatic.tiles.segment import segment_tiles
from napari_sam.automatic.tiles.tile import TilePixels, TileResult, read_tile
from napari_sam.automatic.tiles.tile_files import TileFiles
from napari_sam.automatic.window.options import ANY_QUERY, AutomaticOptions
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.model.window_model.point_masks import PointMasks, PointQuery, pack
from napari_sam.prompts import Click

OBJECT = 40  # pixels


@dataclass(frozen=True, slots=True)
class Device:
    """Finds what is bright, as soon as a device would have.

    Parameters
    ----------
    seconds
        That a window takes on the device.
    """

    seconds: float
    window_size: int = 512
    fingerprint: str = "bright"
    point_query: PointQuery = ANY_QUERY

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Wait, and remember what is bright."""
        time.sleep(self.seconds)
        bright: NDArray[np.bool_] = pixels_hwc[..., 0] > 100
        return bright

    def predict(self, embedding: Any, prompts: Any) -> Any:
        """Everything asks about many clicks at once."""
        raise NotImplementedError

    def predict_many(
        self, embedding: NDArray[np.bool_], clicks: Sequence[Click], query: PointQuery
    ) -> PointMasks:
        """Each island of what is bright."""
        islands, _ = ndimage.label(embedding)
        places = ndimage.find_objects(islands)
        boxes = np.array([(y.start, x.start, y.stop, x.stop) for y, x in places])
        boxes = boxes.reshape(-1, 4)
        scores = np.ones(len(boxes), dtype=np.float32)
        bits = [pack(embedding[None], box[None])[0] for box in boxes]
        clicked = np.zeros(len(boxes), dtype=np.int64)
        return PointMasks(clicked, scores, scores, boxes, tuple(bits))


def blobs(side: int) -> NDArray[np.uint16]:
    """Round objects on a noisy ground."""
    random = np.random.default_rng(0)
    y, x = np.ogrid[:side, :side]
    step = 2 * OBJECT
    inside = (y % step - OBJECT) ** 2 + (x % step - OBJECT) ** 2 < (OBJECT / 2) ** 2
    ground = random.integers(80, 120, (side, side), dtype=np.uint16)
    return np.where(inside, ground + np.uint16(700), ground)


@dataclass(frozen=True, slots=True, eq=False)
class Stages:
    """One run, to be done stage by stage or at once."""

    plan: RunPlan
    image: Image
    model: Device
    files: TileFiles

    @classmethod
    def of(cls, array: zarr.Array[Any], folder: Path, seconds: float) -> Stages:
        """Settle a run on an image."""
        image, model = open_image(array, contrast_limits=(0, 1000)), Device(seconds)
        options = AutomaticOptions(object_size=OBJECT, max_clicks_per_side=1)
        whole = Box.of_shape(image.shape)
        prints = (image.fingerprint, model.fingerprint)
        asked = RunRequest(*prints, ((),), whole, 0, options, skip_empty=False)
        plan = plan_run(image, model, asked)
        return cls(plan, image, model, TileFiles.of(folder, plan))

    def read(self) -> list[TilePixels]:
        """Every tile's pixels."""
        reads = ChunkCache(self.plan, self.image)
        tiles = self.plan.tiles()
        return [read_tile(self.plan, self.image, tile, reads) for tile in tiles]

    def compute(self, pixels: Sequence[TilePixels]) -> list[TileResult]:
        """Every tile's objects."""
        model = AdaptiveBatchModel(self.model, self.plan.options)
        return list(segment_tiles(self.plan, model, pixels))

    def keep(self, results: Sequence[TileResult]) -> None:
        """Every result on disk."""
        for result in results:
            self.files.save(result)

    def run(self, pace: Concurrency) -> None:
        """All of it as `segment_image` does."""
        work = (self.files, self.image, self.model, self.plan.tiles())
        for _ in run_tiles(*work, lambda window: None, pace):
            pass


def measured(stages: Stages, title: str, repeats: int) -> None:
    """Let the stages, and all of them, take turns, and print the table."""
    pixels = stages.read()
    results = stages.compute(pixels)
    taken = interleaved(
        {
            "read": stages.read,
            "compute": lambda: stages.compute(pixels),
            "keep": lambda: stages.keep(results),
            "one after the other": lambda: stages.keep(stages.compute(stages.read())),
            "at the same time": lambda: stages.run(Concurrency()),
            "also encoding ahead": lambda: stages.run(Concurrency(encode_ahead=True)),
        },
        repeats,
    )
    slowest = max(taken[name].wall for name in ("read", "compute", "keep"))
    count = stages.plan.window_count
    rows = [
        [stage, f"{t.wall:.2f}", f"{t.wall / slowest:.2f}", f"{count / t.wall:.1f}"]
        for stage, t in taken.items()
    ]
    show(title, ["stage", "s", "of the slowest", "windows/s"], rows)


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=4096, help="of the image, pixels")
    parser.add_argument("--window", type=float, default=0.1, help="seconds a window")
    parser.add_argument("--late", type=float, default=0.5, help="seconds a chunk")
    parser.add_argument("--repeats", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        disk = LocalStore(Path(name, "image.zarr"))
        zarr.create_array(disk, data=blobs(asked.side), chunks=(512, 512))
        for late_s in (0.0, asked.late):
            store = LatencyStore(disk, get_latency=late_s) if late_s else disk
            array = zarr.open_array(store, mode="r")
            stages = Stages.of(array, Path(name, f"run {late_s}"), asked.window)
            where = f"from a store {late_s} s late" if late_s else "from disk"
            title = (
                f"{asked.side} x {asked.side} uint16 {where}, "
                f"{stages.plan.window_count} windows, {asked.window} s each"
            )
            measured(stages, title, asked.repeats)


if __name__ == "__main__":
    main()
