"""A stack of squares, and models whose answers a reader can predict.

Imported by the tests and, in the kernel, by the notebooks that they open.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import sleep

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.masks import bounding_box
from napari_sam.model.window_model import WindowMask
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

SHAPE = (300, 400)
PLANES = 4
SQUARES = (
    Box(40, 40, 100, 100),
    Box(40, 200, 100, 260),
    Box(160, 60, 220, 120),
    Box(180, 240, 240, 300),
)


def stack() -> NDArray[np.uint8]:
    """Squares, each of a gray of its own; a lone bright pixel in the first plane."""
    planes = np.full((PLANES, *SHAPE), 20, dtype=np.uint8)
    for index, box in enumerate(SQUARES):
        planes[:, *box.slices] = 80 + 40 * index
    planes[:, 270:273, 350:353] = 255
    return planes


class SquaresModel:
    """Answers with the square that is pointed at; a lone click may mean three things.

    A second, a third candidate is that square made larger by 4 and 8 pixels; negative
    clicks take away the side of the square that they are on.
    """

    window_size = 512
    fingerprint = "squares"

    def __init__(self, seconds: float = 0.0, *, is_broken: bool = False) -> None:
        self.seconds = seconds
        self.is_broken = is_broken
        self.predictions = 0

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.int32]:
        gray = pixels_hwc[..., 0]
        islands = np.zeros(gray.shape, dtype=np.int32)
        for value in np.unique(gray):
            found, _ = ndimage.label(gray == value)
            islands[found > 0] = found[found > 0] + islands.max()
        return islands

    def predict(
        self, embedding: NDArray[np.int32], prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        sleep(self.seconds)
        self.predictions += 1
        if self.is_broken:
            raise RuntimeError("no memory left on the device")
        mask = np.zeros(embedding.shape, dtype=bool)
        for prompt in prompts:
            if isinstance(prompt, MaskPrompt):
                mask[prompt.box.slices] |= prompt.mask
            elif isinstance(prompt, BoxPrompt):
                y, x = prompt.box.center
                mask |= embedding == embedding[int(y), int(x)]
            elif prompt.positive:
                mask |= embedding == embedding[prompt.pixel]
        for prompt in prompts:
            if isinstance(prompt, Click) and not prompt.positive:
                mask[:, prompt.pixel[1] :] = False
        is_lone = len(prompts) == 1 and isinstance(prompts[0], Click)
        sizes = (0, 4, 8) if is_lone and mask.any() else (0,)
        return [
            WindowMask(grown(mask, size), 0.9 - 0.01 * size, None) for size in sizes
        ]


def grown(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """A square made larger on all sides."""
    box = bounding_box(mask)
    if size == 0 or box is None:
        return mask
    larger = mask.copy()
    larger[box.grow(size).clip(Box.of_shape(mask.shape)).slices] = True
    return larger


def on_disk(folder: Path) -> NDArray[np.integer]:
    """All planes of the labels, read by another program than the kernel."""
    with LabelStore.open(folder, mode="r") as store:
        whole = Box.of_shape(SHAPE)
        return np.stack([store.read((z,), whole) for z in range(PLANES)])


def pixel_of(folder: Path) -> tuple[int, int] | None:
    """The pixel of the last click, as the journal has it; None: there is no prompt.

    (-1, -1) of a prompt that is no click, such as a box.
    """
    with LabelStore.open(folder, mode="r") as store:
        drafts = [e.data for e in store.journal.entries() if e.kind == "draft"]
    if not drafts or not drafts[-1]["prompts"]:
        return None
    points = drafts[-1]["prompts"][-1].get("points")
    y, x, _ = points[0] if points else (-1, -1, 1)
    return int(y), int(x)


SIDE = 100_000
LEVELS = 9
BRIGHT = Box(98_900, 98_900, 99_100, 99_100)


def write_slide(folder: str | Path) -> Path:
    """An OME-Zarr of 100,000 x 100,000 pixels, with one bright square far out.

    Of gray chunks there are none on disk, which is what keeps it small.
    """
    group = zarr.open_group(folder, mode="w", zarr_format=3)
    datasets = []
    for level in range(LEVELS):
        step = 1 << level
        shape = (-(-SIDE // step),) * 2
        array = group.create_array(
            str(level), shape=shape, chunks=(512, 512), dtype="u1", fill_value=60
        )
        rows, columns = (
            slice(s.start // step, -(-s.stop // step)) for s in BRIGHT.slices
        )
        array[rows, columns] = 250
        scale = {"type": "scale", "scale": [step, step]}
        datasets.append({"path": str(level), "coordinateTransformations": [scale]})
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": datasets}],
    }
    return Path(folder)
