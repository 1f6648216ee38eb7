"""Everything in images of growing size: tiles, or the whole image in one window.

    python benchmarks/everything.py --largest 4096

Both ways have the same weights and take turns. The other way is that of the reference
generator: the image is resized to one window, every mask is enlarged to the whole image
and kept in memory, and so is the label image. Each way and size is a process of its
own, with the allocator as the command line has it; memory is what it takes beyond the
loaded weights, from reading the image, which is zarr, to labels. Where the reference
way would need more memory than the machine has, the table says how much.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from measuring import memory_of, show
from numpy.typing import NDArray
from plain_generator import CLICKS_AT_ONCE, everything

import napari_sam as ns
from napari_sam.automatic.run import segment_image
from napari_sam.automatic.tiles.allocator import keep_memory
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.model.sam import Sam

OBJECT = 32  # pixels across
SMALLEST = 1024
FLOATS_A_PIXEL = 3
"""Of full size that the reference way holds for each mask of a batch, at least: the
padded square's, the image's, and those that passed.
"""
WAYS = {"tiles": "tile by tile", "whole": "whole image in one window"}


def write_cells(path: Path, side: int) -> None:
    """An image of bright cells on a dark ground, about one in 64 x 64 pixels."""
    array = zarr.create_array(
        str(path), shape=(side, side), chunks=(512, 512), dtype="uint8"
    )
    y, x = np.ogrid[:512, :512]
    step = 2 * OBJECT
    for row in range(0, side, 512):
        for column in range(0, side, 512):
            random = np.random.default_rng([row, column])
            jitter = random.integers(-8, 9, (2, 8, 8)).repeat(step, 1).repeat(step, 2)
            dy, dx = y % step - OBJECT - jitter[0], x % step - OBJECT - jitter[1]
            cells = 150 * np.exp(-(((dy**2 + dx**2) / (OBJECT / 2) ** 2) ** 3))
            noise = random.normal(40, 6, (512, 512))
            array[row : row + 512, column : column + 512] = np.clip(
                cells + noise, 0, 255
            )


def tiles(model: Sam, image: Path, folder: Path) -> int:
    """How many objects there are, found tile by tile."""
    options = ns.AutomaticOptions(object_size=OBJECT * 0.9, click_spacing=1.0)
    opened = open_image(image, contrast_limits=(0, 255))
    report = segment_image(opened, folder / "labels.ome.zarr", model, options=options)
    return report.objects


def whole(model: Sam, image: Path, clicks: int) -> int:
    """The same, found in one window."""
    opened = open_image(image, contrast_limits=(0, 255))
    pixels = opened.read_rgb((), 0, Box.of_shape(opened.shape))
    labels: NDArray[np.uint32] = everything(model, pixels, clicks, model.point_query)
    return len(np.unique(labels)) - 1


def one_run(asked: argparse.Namespace) -> dict[str, Any]:
    """Time, memory and objects of one way, in this process."""
    keep_memory()
    model = ns.load_model(asked.model, asked.device)
    image, found = Path(asked.image), []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        if asked.way == "tiles":
            memory = memory_of(lambda: found.append(tiles(model, image, Path(name))))
        else:
            memory = memory_of(lambda: found.append(whole(model, image, asked.clicks)))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "memory": memory, "objects": found[0]}


def in_a_process(way: str, image: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """`one_run` in a process of its own."""
    options = {
        "--way": way,
        "--image": str(image),
        "--model": asked.model,
        "--device": asked.device,
        "--clicks": str(asked.clicks),
    }
    words = [word for pair in options.items() for word in pair]
    answer = subprocess.run(
        [sys.executable, __file__, *words], stdout=subprocess.PIPE, check=True
    )
    facts: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return facts


def needed_gb(side: int) -> float:
    """Memory for a batch of masks, the reference way."""
    return CLICKS_AT_ONCE * 3 * side**2 * 4 * FLOATS_A_PIXEL / 1e9


def measured(side: int, asked: argparse.Namespace) -> list[list[str]]:
    """Rows of the table for one size."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    rows = []
    with tempfile.TemporaryDirectory() as name:
        image = Path(name) / "cells.zarr"
        write_cells(image, side)
        for way, words in WAYS.items():
            if way == "whole" and needed_gb(side) > there:
                needed = f"needs {needed_gb(side):.0f}"
                rows.append([f"{side}", words, "-", "-", needed, "-"])
                continue
            facts = in_a_process(way, image, asked)
            rows.append(
                [
                    f"{side}",
                    words,
                    f"{facts['seconds']:.1f}",
                    f"{side**2 / 1e3 / facts['seconds']:.0f}",
                    f"{facts['memory']:.2f}",
                    f"{facts['objects']} of {(side // (2 * OBJECT)) ** 2}",
                ]
            )
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=int, default=4096, help="side, pixels")
    parser.add_argument("--model", default="default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clicks", type=int, default=32, help="of the reference way")
    parser.add_argument("--way", choices=WAYS, help="only this, of --image")
    parser.add_argument("--image")
    asked = parser.parse_args()
    if asked.way:
        sys.stdout.write(json.dumps(one_run(asked)))
        return
    rows, side = [], SMALLEST
    while side <= asked.largest:
        rows += measured(side, asked)
        side *= 2
        if side <= asked.largest:
            print(*rows, sep="\n", file=sys.stderr)  # the next may take an hour
    header = ["side", "way", "s", "kpixels/s", "GB", "objects"]
    show(f"Everything, model {asked.model} on {asked.device}", header, rows)


if __name__ == "__main__":
    main()
