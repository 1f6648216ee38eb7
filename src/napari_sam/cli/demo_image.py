"""Write a grey picture as an OME-Zarr image, with a pyramid of block means."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean
from zarr.storage import LocalStore

from napari_sam.cli.request import RequestError

CHUNK = 128  # side, in pixels
COARSEST = 128  # a level with no side above this is the last
MARK = "napari-sam-demo"


def write_image(pixels_hw: NDArray[np.uint8], path: Path) -> None:
    """Write an OME-Zarr 0.5 image with axes y, x; an older one of ours is replaced.

    Parameters
    ----------
    pixels_hw
        Grey, (height, width).
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
    levels = [pixels_hw]
    while max(levels[-1].shape) > COARSEST:
        levels.append(_halved(levels[-1]))
    group = zarr.create_group(
        LocalStore(draft),
        zarr_format=3,
        attributes={"ome": _metadata(path.name, len(levels)), MARK: True},
    )
    for index, pixels in enumerate(levels):
        array = group.create_array(
            str(index),
            shape=pixels.shape,
            chunks=(CHUNK, CHUNK),
            dtype=pixels.dtype,
            dimension_names=("y", "x"),
        )
        array[...] = pixels
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


def _halved(pixels_hw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means of 2 x 2 pixels; a last odd row or column is left out."""
    height, width = (n // 2 * 2 for n in pixels_hw.shape)
    means = downscale_local_mean(pixels_hw[:height, :width], 2)  # type: ignore[no-untyped-call]
    halved: NDArray[np.uint8] = means.round().astype(np.uint8)
    return halved


def _metadata(name: str, level_count: int) -> dict[str, Any]:
    datasets = [
        {
            "path": str(index),
            "coordinateTransformations": [
                {"type": "scale", "scale": [2.0**index] * 2},
                {"type": "translation", "translation": [(2**index - 1) / 2] * 2},
            ],
        }
        for index in range(level_count)
    ]
    axes = [{"name": axis, "type": "space"} for axis in "yx"]
    return {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": datasets}],
    }
