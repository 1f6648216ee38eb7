"""Discs on a dark plane, in a zarr array of small chunks; a model that sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.automatic.run import segment_image
from napari_sam.automatic.run_folder import AutomaticReport
from napari_sam.automatic.window.options import ANY_QUERY, AutomaticOptions
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.labels import LabelOptions, LabelStore
from napari_sam.model.window_model import WindowMask
from napari_sam.model.window_model.point_masks import (
    PointMasks,
    PointQuery,
    boxes_of,
    pack,
)
from napari_sam.prompts import Click, Prompt

Gray = NDArray[np.uint8]
SHAPE = (230, 340)
CHUNK = 64
SIDE = 96  # of a window
OPTIONS = AutomaticOptions(object_size=18)
SMALL = LabelOptions(chunk_size=64, shard_size=128, coarsest_size=64)
BACKGROUND = 12


@dataclass
class Regions:
    """Answers a click with the connected region of its gray in its window."""

    window_size: int = SIDE
    fingerprint: str = "regions"
    encodes: int = 0
    failing: set[int] = field(default_factory=set)  # encodes that fail, from 1

    def encode(self, pixels_hwc: Gray) -> tuple[Gray, NDArray[np.int64]]:
        self.encodes += 1
        if self.encodes in self.failing:
            raise RuntimeError("the device is gone")
        gray = pixels_hwc[..., 0].copy()
        islands = np.zeros(gray.shape, dtype=np.int64)
        for value in np.unique(gray):
            found, _ = ndimage.label(gray == value, np.ones((3, 3), dtype=bool))
            islands += np.where(found > 0, found + islands.max(), 0)
        return gray, islands

    def predict(self, embedding: Any, prompts: Sequence[Prompt]) -> list[WindowMask]:
        raise NotImplementedError("automatic runs predict many clicks at once")

    @property
    def point_query(self) -> PointQuery:
        return ANY_QUERY

    def predict_many(
        self, embedding: Any, clicks: list[Click], query: PointQuery
    ) -> PointMasks:
        gray, islands = embedding
        hit = {
            int(islands[click.pixel]): index
            for index, click in enumerate(clicks)
            if gray[click.pixel] != BACKGROUND
        }
        if not hit:
            return PointMasks.empty()
        masks_nhw = np.stack([islands == island for island in hit])
        boxes = boxes_of(masks_nhw)
        scores = np.full(len(hit), 0.9, dtype=np.float32)
        return PointMasks(
            np.array(list(hit.values())), scores, scores, boxes, pack(masks_nhw, boxes)
        )


def disc_centres(
    shape: tuple[int, int] = SHAPE, seed: int = 0
) -> list[tuple[int, int]]:
    """Of discs that do not touch, in reading order."""
    random = np.random.default_rng(seed)
    step = 28
    return [
        (y + int(random.integers(-3, 4)), x + int(random.integers(-3, 4)))
        for y in range(16, shape[0] - 14, step)
        for x in range(16, shape[1] - 14, step)
        if random.random() < 0.8
    ]


def truth(
    shape: tuple[int, int] = SHAPE, seed: int = 0, radius: int = 9
) -> NDArray[np.uint32]:
    """1 + i in disc i."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, dtype=np.uint32)
    for index, (y, x) in enumerate(disc_centres(shape, seed)):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = index + 1
    return labels


def scene(shape: tuple[int, int] = SHAPE, seed: int = 0) -> Gray:
    labels = truth(shape, seed)
    gray = (120 + labels * 7 % 120).astype(np.uint8)
    gray[labels == 0] = BACKGROUND
    return gray


def write_image(path: Path, pixels: NDArray[Any]) -> Path:
    chunks = (1,) * (pixels.ndim - 2) + (CHUNK, CHUNK)
    array = zarr.create_array(
        str(path),
        shape=pixels.shape,
        chunks=chunks,
        dtype=pixels.dtype,
        config={"write_empty_chunks": True},
    )
    array[...] = pixels
    return path


def opened(path: Path, axes: str | None = None) -> Image:
    return open_image(path, contrast_limits=(0, 255), axes=axes)


def segment(
    image: Path | Image,
    labels: Path | str,
    model: Regions | None = None,
    **options: Any,
) -> AutomaticReport:
    source = opened(image) if isinstance(image, Path) else image
    settings = {"options": OPTIONS, "label_options": SMALL, **options}
    return segment_image(source, labels, model or Regions(), **settings)


def labels_of(path: Path, plane: tuple[int, ...] = ()) -> NDArray[np.uint32]:
    with LabelStore.open(path, mode="r") as store:
        return store.read(plane, Box.of_shape(store.geometry.shape))


def array_bytes(labels: Path) -> dict[str, str]:
    """A checksum of every file of every level; the group's metadata name a journal."""
    return {
        str(file.relative_to(labels)): sha256(file.read_bytes()).hexdigest()
        for file in sorted(labels.rglob("*"))
        if file.is_file() and file.parent != labels
    }


def assert_same_objects(
    labels: NDArray[np.integer], wanted: NDArray[np.integer]
) -> None:
    """The same partition, whatever the ids."""
    np.testing.assert_array_equal(labels > 0, wanted > 0)
    pairs = np.unique(np.stack([labels.ravel(), wanted.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(wanted)) == len(np.unique(labels))
