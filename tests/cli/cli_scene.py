"""A small scene in a zarr array, and a model whose answers a reader can predict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.cli import main
from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.model.window_model import Embedding, WindowMask
from napari_sam.prompts import BoxPrompt, Click, Prompt

CHUNK = 64
FIRST, SECOND, THIRD = Box(20, 20, 50, 50), Box(150, 20, 180, 60), Box(20, 150, 60, 180)
OBJECTS = (FIRST, SECOND, THIRD)
SIDE = 200


@dataclass
class Regions:
    """Answers with the part of its window that has the gray of what is pointed at."""

    window_size: int = 64
    fingerprint: str = "regions"
    encodes: int = 0
    loads: int = 0

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> Embedding:
        self.encodes += 1
        gray_chw = pixels_hwc[None, ..., 0].astype(np.float16)
        return Embedding(gray_chw, gray_chw.shape[1:])

    def predict(
        self, embedding: Embedding, prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        gray_hw = embedding.features_chw[0]
        mask_hw = np.zeros(gray_hw.shape, dtype=bool)
        for prompt in prompts:
            if isinstance(prompt, Click) and prompt.positive:
                seed = prompt.pixel
            elif isinstance(prompt, BoxPrompt):
                seed = tuple(int(n) for n in prompt.box.center)
            else:
                continue
            if gray_hw[seed] > 0:
                islands, _ = ndimage.label(gray_hw == gray_hw[seed])
                mask_hw |= islands == islands[seed]
        return [WindowMask(mask_hw, 0.9, None)] if mask_hw.any() else []


def scene() -> NDArray[np.uint8]:
    gray_hw = np.zeros((SIDE, SIDE), dtype=np.uint8)
    for index, box in enumerate(OBJECTS):
        gray_hw[box.slices] = 255 - 60 * index
    return gray_hw


def write_scene(path: Path, plane_count: int = 0) -> Path:
    """The scene as a zarr array; the same plane several times if asked for."""
    pixels = scene()
    if plane_count:
        pixels = np.stack([pixels] * plane_count)
    chunks = (1,) * (pixels.ndim - 2) + (CHUNK, CHUNK)
    array = zarr.create_array(
        str(path),
        shape=pixels.shape,
        chunks=chunks,
        dtype="uint8",
        # The scene is written whole, so that every chunk is a file.
        config={"write_empty_chunks": True},
    )
    array[...] = pixels
    return path


def click(box: Box, label: int = 1) -> list[float]:
    y, x = box.center
    return [y, x, label]


def write_prompts(path: Path, objects: Sequence[dict[str, Any]]) -> Path:
    path.write_text(json.dumps({"objects": list(objects)}))
    return path


def run(*arguments: object) -> int:
    """The exit code of the command line."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def labels_of(path: Path, plane: tuple[int, ...] = ()) -> NDArray[np.uint32]:
    with LabelStore.open(path, mode="r") as store:
        return store.read(plane, Box.of_shape(store.geometry.shape))


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@dataclass(frozen=True)
class Desk:
    """A folder with an image and prompts for its three objects."""

    folder: Path
    image: Path
    prompts: Path
    labels: Path

    def ask(self, objects: Sequence[dict[str, Any]]) -> None:
        write_prompts(self.prompts, objects)

    def segment(self, *options: object) -> int:
        return run(
            *("segment", self.image, "--prompts", self.prompts),
            *("--output", self.labels, "--contrast", "0,255", *options),
        )
