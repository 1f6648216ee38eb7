"""Write a colour picture as an OME-Zarr image, with a pyramid of block means."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore

from napari_sam.cli.request import RequestError

CHUNK = 128  # side, in pixels
COARSEST = 128  # a level with no side above this is the last
MARK = "napari-sam-demo"
COLOURS = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}


def write_image(pixels_hwc: NDArray[np.uint8], path: Path) -> None:
    """Write an OME-Zarr 0.5 image with axes c, y, x; an older one of ours is replaced.

    Parameters
    ----------
    pixels_hwc
        RGB, (height, width, 3).
    path
        The store's folder.

    Raises
    ------
    RequestError
        Something else is there.
    """
    if path.exists():
        _check_ours(path)
    draft = path.with_name(f"{path.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    level_chw = np.moveaxis(pixels_hwc, -1, 0)
    levels = [level_chw]
    while max(levels[-1].shape[1:]) > COARSEST:
        levels.append(_halved(levels[-1]))
    group = zarr.create_group(
        LocalStore(draft),
        zarr_format=3,
        attributes={"ome": _metadata(path.name, len(levels)), MARK: True},
    )
    for index, pixels_chw in enumerate(levels):
        array = group.create_array(
            str(index),
            shape=pixels_chw.shape,
            chunks=(1, CHUNK, CHUNK),
            dtype=pixels_chw.dtype,
            dimension_names=("c", "y", "x"),
        )
        array[...] = pixels_chw
    if path.exists():
        shutil.rmtree(path)
    draft.replace(path)


def _check_ours(path: Path) -> None:
    try:
        is_ours = MARK in zarr.open_group(path, mode="r").attrs
    except (OSError, ValueError):
        is_ours = False
    if not is_ours:
        raise RequestError(
            f"The demo would replace {path}, which it did not write. Give another "
            "folder with --output."
        )


def _halved(pixels_chw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2 x 2 pixels; a last odd row or column is left out."""
    channels, height, width = (
        n // k for n, k in zip(pixels_chw.shape, (1, 2, 2), strict=True)
    )
    even = pixels_chw[:, : height * 2, : width * 2].astype(np.float32)
    blocks = even.reshape(channels, height, 2, width, 2)
    halved_chw: NDArray[np.uint8] = blocks.mean(axis=(2, 4)).round().astype(np.uint8)
    return halved_chw


def _metadata(name: str, level_count: int) -> dict[str, Any]:
    axes = [
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space"},
        {"name": "x", "type": "space"},
    ]
    datasets = [
        {
            "path": str(index),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1.0, 2.0**index, 2.0**index]},
                {
                    "type": "translation",
                    "translation": [0.0] + [(2**index - 1) / 2] * 2,
                },
            ],
        }
        for index in range(level_count)
    ]
    window = {"min": 0, "max": 255, "start": 0, "end": 255}
    channels = [
        {"label": label, "color": colour, "active": True, "window": window}
        for label, colour in COLOURS.items()
    ]
    return {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets}],
        "omero": {"channels": channels},
    }
