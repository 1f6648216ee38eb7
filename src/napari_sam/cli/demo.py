"""`napari-sam demo`: the main job on a real image, from nothing, without a network.

The image is a photograph of ancient coins (303 x 384, grey, uneven light) out of
scikit-image's wheel: round things on a dark ground, much as nuclei are. The wheel has
no picture of such cells. It is written as OME-Zarr, with a pyramid of block means.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from skimage.transform import downscale_local_mean
from zarr.storage import LocalStore

from napari_sam.cli.checking import check_writable
from napari_sam.cli.reporting import note, show
from napari_sam.cli.request import (
    ModelChoice,
    RequestError,
    SegmentRequest,
    Source,
    Target,
)
from napari_sam.cli.segment_prompts import run_prompts, summarise
from napari_sam.ome_zarr import CoordinateTransform, Multiscale, group_attributes
from napari_sam.prompt_files import ObjectPrompts, write_prompts
from napari_sam.prompts import BoxPrompt, Click

CHUNK = 128  # side, in pixels
COARSEST = 128  # a level with no side above this is the last
MARK = "napari-sam-demo"
IMAGE_NAME = "coins"

OBJECTS = (
    ObjectPrompts((Click(119, 271),), (), 1),
    ObjectPrompts((Click(124, 45),), (), 2),
    ObjectPrompts((Click(124, 205),), (), 3),
    ObjectPrompts((Click(126, 102),), (), 4),
    ObjectPrompts((Click(187, 347),), (), 5),
    ObjectPrompts((Click(194, 274),), (), 6),
    ObjectPrompts((Click(196, 102), Click(196, 128, positive=False)), (), 7),
    ObjectPrompts((BoxPrompt(35, 22, 75, 68),), (), 8),
    ObjectPrompts((BoxPrompt(106, 317, 146, 357),), (), 9),
    ObjectPrompts((BoxPrompt(109, 133, 146, 174),), (), 10),
    ObjectPrompts((BoxPrompt(178, 134, 218, 175),), (), 11),
)


def run_demo(folder: Path, model: ModelChoice, *, debug: bool = False) -> int:
    """Write image, prompts, labels and overlay into a folder; returns the exit code.

    What an earlier demo wrote there is replaced.
    """
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"--output needs a folder, {folder} is a file.")
    check_writable(folder, f"The demo's output {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    image, prompts = folder / "image.ome.zarr", folder / "prompts.json"
    labels, overlay = folder / "labels.ome.zarr", folder / "overlay.png"
    write_image(demo_pixels(), image)
    write_prompts(prompts, OBJECTS)
    note(
        "This is the same as:\n"
        f"  napari-sam segment {image} --prompts {prompts} --output {labels} "
        f"--overlay {overlay} --overwrite"
    )
    report = run_prompts(
        SegmentRequest(
            Source(str(image)),
            prompts,
            Target(labels, overwrite=True),
            model,
            overlay=overlay,
        )
    )
    for written in report.written:
        height, width = (0, 0) if written.box is None else written.box.shape
        show(
            f"  label {written.label_id}: score {written.score:.2f}, "
            f"{height} x {width} pixels"
        )
    return summarise(report, debug=debug)


def demo_pixels() -> NDArray[np.uint8]:
    """The demo's image; comes with scikit-image, no network."""
    # scikit-image is slow to load, and only the demo's own image comes from it.
    from skimage import data  # noqa: PLC0415

    pixels: NDArray[np.uint8] = getattr(data, IMAGE_NAME)()
    return pixels


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
        attributes=_attributes(path.name, len(levels)),
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


def _attributes(name: str, level_count: int) -> dict[str, Any]:
    """Of the image's group; pixels of a coarser level are the middle of a block."""
    steps = [2.0**level for level in range(level_count)]
    multiscale = Multiscale(
        paths=tuple(str(level) for level in range(level_count)),
        axes="yx",
        transforms=tuple(
            CoordinateTransform((step, step), ((step - 1) / 2,) * 2) for step in steps
        ),
        name=name,
    )
    return {**group_attributes(multiscale, "0.5", {}), MARK: True}
