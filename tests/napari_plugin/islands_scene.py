"""Squares on a dark plane, on disk; a model that sees them, and may be made to wait."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event, Lock
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.automatic.window.options import ANY_QUERY
from napari_sam.model.window_model import WindowMask
from napari_sam.model.window_model.point_masks import (
    PointMasks,
    PointQuery,
    boxes_of,
    pack,
)
from napari_sam.prompts import BoxPrompt, Click, Prompt

STEP, SQUARE = 32, 14
SHAPE = (256, 1024)
TILE_WINDOWS, WINDOWS = 16, 64  # of a tile, of a plane of this shape
SOME = 3 * TILE_WINDOWS + 2
"""Windows after which a run has told of its first tile, and is in its last one."""
COUNT = (SHAPE[0] // STEP) * (SHAPE[1] // STEP)
BACKGROUND = 10


def squares(shift: int = 0, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """A square in each field of a lattice, gray by its place."""
    pixels_hw = np.full(shape, BACKGROUND, np.uint8)
    for number, (y, x) in enumerate(np.ndindex(shape[0] // STEP, shape[1] // STEP)):
        top, left = y * STEP + 8 + shift, x * STEP + 8 + shift
        gray = 90 + 5 * (number % 30)
        pixels_hw[top : top + SQUARE, left : left + SQUARE] = gray
    return pixels_hw


def on_disk(path: Path, pixels: NDArray[np.uint8]) -> zarr.Array[Any]:
    """A zarr array: an image that is the same one when it is opened again."""
    array = zarr.create_array(str(path), shape=pixels.shape, dtype="u1", chunks="auto")
    array[...] = pixels
    return array


class IslandsModel:
    """Answers with the square under a click; encodes only when it may.

    Encoding waits while `allowed` is 0, and uses one of it up each time.
    """

    window_size = 96
    fingerprint = "islands"

    def __init__(self) -> None:
        self.encodes = 0
        self.failing: set[int] = set()  # encodes that fail, from 1
        self.is_free = Event()
        self.is_free.set()
        self._allowed = 0
        self._lock = Lock()

    def allow(self, encodes: int) -> None:
        """Make it wait after so many more."""
        self.is_free.clear()
        self._allowed = encodes

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.int64]:
        with self._lock:
            self.encodes += 1
            number = self.encodes
            self._allowed -= 1
            is_allowed = self._allowed >= 0
        if not is_allowed:
            self.is_free.wait(100)
        if number in self.failing:
            raise RuntimeError("the device is gone")
        islands_hw, _ = ndimage.label(pixels_hwc[..., 0] > BACKGROUND)
        return islands_hw

    def predict(
        self, embedding: NDArray[np.int64], prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        last = prompts[-1]
        mask = np.zeros(embedding.shape, dtype=bool)
        if isinstance(last, BoxPrompt):
            mask[last.box.slices] = True
        elif isinstance(last, Click) and embedding[last.pixel]:
            mask = embedding == embedding[last.pixel]
        return [WindowMask(mask, 0.9, None)]

    @property
    def point_query(self) -> PointQuery:
        return ANY_QUERY

    def predict_many(
        self, embedding: NDArray[np.int64], clicks: list[Click], query: PointQuery
    ) -> PointMasks:
        hit = {int(embedding[c.pixel]): index for index, c in enumerate(clicks)}
        hit.pop(0, None)
        if not hit:
            return PointMasks.empty()
        masks_nhw = np.stack([embedding == island for island in hit])
        boxes = boxes_of(masks_nhw)
        scores = np.full(len(hit), 0.9, dtype=np.float32)
        return PointMasks(
            np.array(list(hit.values())), scores, scores, boxes, pack(masks_nhw, boxes)
        )
