"""What it costs that the C library gives memory back between windows.

    python benchmarks/allocator.py

Each way is a process of its own, and they take turns. It encodes windows with the
embedded default, in a thread that is not the first, as runs do. A fault is a page
of 4 KiB that the system had to clear.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from measuring import interleaved, show

import napari_sam as ns
from napari_sam.automatic.tiles.allocator import keep_memory

WARM_UP = 3  # windows
DASK = {"MALLOC_TRIM_THRESHOLD_": "65536"}
WAYS = {
    "the system's way": {},
    "in dask's workers": DASK,
    "kept": {},
    "kept there": DASK,
}


def one_way(windows: int) -> tuple[float, float, float]:
    """Milliseconds, those of the processor, and faults a window, in this process."""
    model = ns.load_model("default", "cpu")
    side = model.window_size
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)

    def encode() -> None:
        model.encode(pixels)

    def measured() -> tuple[float, float, float]:
        for _ in range(WARM_UP):
            encode()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        taken = interleaved({"encode": encode}, windows)["encode"]
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        return 1000 * taken.wall, 1000 * taken.processor, faults / windows

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(measured).result()


def in_a_process(way: str, windows: int) -> list[float]:
    """`one_way` in a process that has its memory so."""
    command = [sys.executable, __file__, "--way", way, "--windows", str(windows)]
    environment = {**os.environ, **WAYS[way]}
    answer = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, check=True
    )
    numbers: list[float] = json.loads(answer.stdout)
    return numbers


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help="only this, in this process")
    asked = parser.parse_args()
    if asked.way:
        if asked.way.startswith("kept"):
            keep_memory()
        sys.stdout.write(json.dumps(one_way(asked.windows)))
        return
    found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(asked.rounds):
        for way in WAYS:
            found[way].append(in_a_process(way, asked.windows))
    rows = [
        [way, *(f"{number:.0f}" for number in np.min(numbers, axis=0))]
        for way, numbers in found.items()
    ]
    header = ["memory", "ms a window", "of processor time", "faults"]
    show("Encoding windows, embedded default", header, rows)


if __name__ == "__main__":
    main()
