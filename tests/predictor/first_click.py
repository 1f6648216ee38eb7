"""What a first click on a huge image costs, measured in a process of its own.

Peak memory is that of a whole process, so a test runs this file by itself and reads
the JSON that it prints.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from stand_ins import RegionOracle, disc
from zarr.storage import LocalStore, WrapperStore

import napari_sam as ns

SIDE = 200_000
CENTER = (100_000, 100_000)
RADIUS = 60
NEAR_CENTER = 1024  # half the side of what is written of the image, the rest is fill
METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")


class ChunkCounter(WrapperStore[Any]):
    """Counts the chunks that were requested, also those that were never written."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.chunks: list[str] = []

    def _with_store(self, store: Any) -> ChunkCounter:
        reopened = ChunkCounter(store)
        reopened.chunks = self.chunks
        return reopened

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        if not key.endswith(METADATA):
            self.chunks.append(key)
        return await self._store.get(key, prototype, byte_range)

    def taken(self) -> int:
        """How many since the last call."""
        count = len(self.chunks)
        self.chunks.clear()
        return count


def write_scene(folder: Path, chunk: int) -> None:
    """A bright disc on a dark plane of 200,000 x 200,000 pixels, mostly not written."""
    array = zarr.create_array(
        folder, shape=(SIDE, SIDE), chunks=(chunk, chunk), dtype="uint16"
    )
    near = disc((2 * NEAR_CENTER,) * 2, NEAR_CENTER, NEAR_CENTER, RADIUS)
    start, stop = CENTER[0] - NEAR_CENTER, CENTER[0] + NEAR_CENTER
    array[start:stop, start:stop] = np.where(near, np.uint16(900), np.uint16(0))


def measure(folder: Path) -> dict[str, int | bool]:
    """Chunks read, encodes and memory (KiB) of opening, a click, and one more."""
    store = ChunkCounter(LocalStore(folder, read_only=True))
    model = RegionOracle()
    before = peak_kib()
    image = ns.open_image(zarr.open_array(store, mode="r"))
    predictor = ns.ImagePredictor(model, image)
    opening = store.taken()
    first = predictor.predict([ns.Click(*CENTER)])[0]
    first_chunks, first_encodes = store.taken(), model.encodes
    again = predictor.predict([ns.Click(CENTER[0] + 9, CENTER[1] - 9)])[0]
    truth = disc(first.box.shape, RADIUS, RADIUS, RADIUS)
    return {
        "opening_chunks": opening,
        "first_chunks": first_chunks,
        "first_encodes": first_encodes,
        "second_chunks": store.taken(),
        "second_encodes": model.encodes - first_encodes,
        "exact": np.array_equal(first.mask, truth),
        "same": first.box == again.box and np.array_equal(first.mask, again.mask),
        "peak_kib": peak_kib() - before,
    }


def peak_kib() -> int:
    """Most memory that the process has held so far.

    Linux hands ru_maxrss of the process that started this one down to it, which would
    hide all that is below; VmHWM starts anew. macOS counts in bytes.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if "VmHWM" in line)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]))))
