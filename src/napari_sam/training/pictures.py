"""Planes without labels, to learn from pixels alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import ImageError
from napari_sam.evaluation import image_files
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.training.config import DataSource, Phase
from napari_sam.training.planes import (
    BYTES_A_PIXEL,
    HELD_BYTES,
    LARGEST_HELD,
    TrainingPlane,
)


def open_pictures(
    sources: Sequence[DataSource], phase: Phase
) -> tuple[list[TrainingPlane], list[TrainingPlane]]:
    """The planes to learn from, and those that were left out.

    Parameters
    ----------
    sources
        Folders with `images/`, folders of images, or images.
    phase
        Without objects nothing says how far to magnify: the middle of its
        `object_size` stands for no magnification.

    Raises
    ------
    ImageError
        A source has no more images than are left out.
    """
    learned: list[TrainingPlane] = []
    left_out: list[TrainingPlane] = []
    object_size = float(np.sqrt(np.prod(phase.object_size)))
    room = HELD_BYTES
    for source in sources:
        found = []
        for plane in _planes(source.path, object_size, room):
            if not isinstance(plane.image, Image):
                room -= BYTES_A_PIXEL * plane.image.size // 3
            found.append(plane)
        kept = len(found) - source.leave_out
        if kept < 1:
            raise ImageError(
                f"{source.path} needs more planes than the {source.leave_out} that "
                f"are left out, found {len(found)}."
            )
        learned += found[:kept]
        left_out += found[kept:]
    return learned, left_out


def _planes(path: Path, object_size: float, room: int) -> Iterator[TrainingPlane]:
    for file in _files(path):
        image = open_image(file)
        pixels = image.shape[0] * image.shape[1]
        for plane in product(*(range(count) for count in image.stack_shape)):
            is_held = pixels <= LARGEST_HELD and BYTES_A_PIXEL * pixels <= room
            shown: Image | NDArray[np.uint8] = image
            if is_held:
                shown = image.read_rgb(plane, 0, Box.of_shape(image.shape))
                room -= BYTES_A_PIXEL * pixels
            weight = float(np.sqrt(pixels))
            yield TrainingPlane(
                image.name, shown, None, plane, 0, object_size, (), weight
            )


def _files(path: Path) -> list[Path]:
    folder = path / "images" if (path / "images").is_dir() else path
    if not folder.is_dir() or folder.suffix.lower() == ".zarr":
        return [folder]
    return image_files(folder)
