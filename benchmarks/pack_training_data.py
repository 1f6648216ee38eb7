"""Pack what a recipe trains on into a folder that is small enough to be sent along.

    python benchmarks/pack_training_data.py RECIPE.toml DATA FOLDER --megabytes 36

Every plane is written as the pictures that training sees: 8 bits, stretched as
`open_image` shows it, grey where it is grey. Planes that are left out are packed too.
Where a source does not fit into its part of the room, which is its share of the crops
(or an equal part), only evenly spaced planes of it are; what is left is told.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam.evaluation.datasets import AnnotatedPlane, read_dataset
from napari_sam.geometry import Box
from napari_sam.training.config import DataSource
from napari_sam.training.config_files import read_config

MEGABYTE = 1 << 20
SMALLEST_PART = 2.0
"""Megabytes of the source with the least share: a few planes teach little."""


def png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """The bytes of a picture."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def packed(plane: AnnotatedPlane) -> tuple[bytes, bytes]:
    """A plane's picture and labels."""
    image = plane.open_image()
    shown = image.read_rgb(plane.plane, 0, Box.of_shape(image.shape))
    grey = shown[..., :1]
    pixels = shown[..., 0] if (shown == grey).all() else shown
    labels = plane.read_labels().astype(np.uint16)
    return png(np.ascontiguousarray(pixels)), png(labels)


def pack(source: DataSource, folder: Path, room: float) -> int:
    """Write a source's planes into a folder of its name; return the bytes."""
    planes = sorted(read_dataset(source.path).planes, key=lambda x: (x.name, x.plane))
    parts = [packed(plane) for plane in planes]
    sizes = [len(image) + len(labels) for image, labels in parts]
    last = len(planes) - source.leave_out
    learned = last
    while learned > 1 and sum(sizes[i] for i in spread(last, learned)) > room:
        learned -= 1
    kept = [*spread(last, learned), *range(last, len(planes))]
    for kind in ("images", "labels"):
        (folder / source.path.name / kind).mkdir(parents=True, exist_ok=True)
    for number in kept:
        # Numbers first: planes that are left out are the last by name.
        name = f"{number:04d}.png"
        for kind, content in zip(("images", "labels"), parts[number], strict=True):
            (folder / source.path.name / kind / name).write_bytes(content)
    total = sum(sizes[number] for number in kept)
    print(
        f"{source.path.name}: {len(kept)} of {len(planes)} planes, "
        f"{total / MEGABYTE:.1f} MiB",
        flush=True,
    )
    return total


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` numbers of 0 to `count`, evenly spaced."""
    return [round(n) for n in np.linspace(0, count - 1, wanted)]


def main() -> None:
    """Parse the command line and pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", help="TOML file, or default")
    parser.add_argument("data", type=Path, help="what the recipe's paths belong to")
    parser.add_argument("folder", type=Path, help="where to pack to")
    parser.add_argument("--megabytes", type=float, default=36.0)
    args = parser.parse_args()
    config = read_config(args.recipe, args.data)
    shares = np.array([source.share or 1.0 for source in config.data])
    parts = np.maximum(args.megabytes * shares / shares.sum(), SMALLEST_PART)
    parts *= args.megabytes / parts.sum()
    total = sum(
        pack(source, args.folder, part * MEGABYTE)
        for source, part in zip(config.data, parts, strict=True)
    )
    print(f"in all {total / MEGABYTE:.1f} MiB in {args.folder}")


if __name__ == "__main__":
    main()
