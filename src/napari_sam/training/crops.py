"""Planes -> crops of the window's size, with masks and prompts to train on.

A crop depends on the seed, the step and its place in the step's batch, and on nothing
else: a run that goes on draws what it would have drawn, in whatever thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_sam.errors import TrainingError
from napari_sam.masks import deepest_point
from napari_sam.training.colours import recolour
from napari_sam.training.config import Augmentation, Phase, Prompting, TrainingConfig
from napari_sam.training.planes import TrainingPlane, compact
from napari_sam.training.scene_crops import draw_scene

SMALLEST_OBJECT = 16  # pixels; less of an object than this asks no question
SMALLEST_CUT = 8  # pixels
CENTRE_SHARE = 0.5
"""Of the clicks: at the object's centre rather than anywhere on it."""

TRIES = 500
"""For a crop with an object; many annotations have empty corners."""


@dataclass(frozen=True, slots=True)
class Crop:
    """One training example; n prompts, each about one object."""

    image_chw: NDArray[np.uint8]
    labels_hw: NDArray[np.int32]
    masks_nhw: NDArray[np.bool_]
    points_n2: NDArray[np.float32]  # (x, y)
    boxes_n4: NDArray[np.float32]  # x0, y0, x1, y1
    asks_boxes: bool  # whether the prompts are the boxes, or the points


@dataclass(frozen=True, slots=True)
class CropSampler:
    """Draws crops; equal seeds, steps and indices draw equal crops.

    Parameters
    ----------
    planes
        Where crops come from, each as likely as its weight.
    prompting
        What is asked about them.
    augmentation
        How they are magnified and changed.
    seed
        Of everything that is drawn.
    scenes_share
        Share of the crops that are synthetic scenes.
    changes
        Whether they are turned and recoloured at all; for examinations they are not.
    """

    planes: Sequence[TrainingPlane]
    prompting: Prompting
    augmentation: Augmentation
    seed: int
    scenes_share: float = 0.0
    changes: bool = True

    @classmethod
    def of(cls, config: TrainingConfig, planes: Sequence[TrainingPlane]) -> CropSampler:
        """That of a run."""
        return cls(
            planes,
            config.prompting,
            config.augmentation,
            config.seed,
            config.scenes_share,
        )

    def draw(self, step: int, index: int, phase: Phase) -> Crop:
        """The crop at a place of a step's batch.

        Raises
        ------
        TrainingError
            No crop with an object was found in `TRIES` tries.
        """
        rng = np.random.default_rng((self.seed, step, index))
        for _ in range(TRIES):
            crop = self._draw(rng, phase)
            if crop is not None:
                return crop
        raise TrainingError(
            f"A crop needs an object of at least {SMALLEST_OBJECT} pixels; found none "
            f"in {TRIES} crops of {phase.size} pixels. Are the objects larger than "
            "these, or very sparse?"
        )

    def picture(
        self, rng: np.random.Generator, phase: Phase
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """A square of a plane or a scene, changed: (s, s, 3) pixels, (s, s) ids."""
        if rng.random() < self.scenes_share:
            pixels, labels = draw_scene(rng, phase)
        else:
            pixels, labels = self._cut(rng, phase)
        if self.changes:
            pixels, labels = _turn(pixels, labels, rng)
            pixels = recolour(pixels, self.augmentation, rng)
        return pixels, labels

    def _draw(self, rng: np.random.Generator, phase: Phase) -> Crop | None:
        pixels, labels = self.picture(rng, phase)
        ids, areas = np.unique(labels[labels > 0], return_counts=True)
        ids = ids[areas >= SMALLEST_OBJECT]
        if ids.size == 0:
            return None
        chosen = rng.choice(ids, phase.prompts, replace=ids.size < phase.prompts)
        masks = labels[None] == chosen[:, None, None]
        asks_boxes = bool(rng.random() < self.prompting.box_share)
        points = np.stack([_click(mask, rng) for mask in masks])
        boxes = np.stack([_jittered_box(mask, rng) for mask in masks])
        if not asks_boxes:
            misses = rng.random(len(masks)) < self.prompting.background_share
            _miss(labels, masks, points, np.flatnonzero(misses), rng)
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return Crop(image, compact(labels), masks, points, boxes, asks_boxes)

    def _cut(
        self, rng: np.random.Generator, phase: Phase
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """A square of a plane, magnified; black where it leaves the plane."""
        weights = np.array([plane.weight for plane in self.planes])
        index = int(rng.choice(len(self.planes), p=weights / weights.sum()))
        plane = self.planes[index]
        bounds = self.augmentation.zoom
        wanted = np.exp(rng.uniform(*np.log(phase.object_size)))
        zoom = float(np.clip(wanted / plane.object_size, *bounds))
        side = max(SMALLEST_CUT, round(phase.size / zoom))
        pixels, labels = plane.cut(plane.draw_box(rng, side))
        return magnified(pixels, labels, phase.size / side, phase.size)


def magnified(
    pixels_hwc: NDArray[np.uint8],
    labels_hw: NDArray[np.int32],
    zoom: float,
    size: int,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Resize by `zoom`, and fill up to a square of `size`, right and below."""
    shape = labels_hw.shape
    rows, columns = (min(size, max(1, round(n * zoom))) for n in shape)
    image = Image.fromarray(np.ascontiguousarray(pixels_hwc))
    resized = np.array(image.resize((columns, rows), Image.Resampling.BILINEAR))
    nearest = np.ix_(
        np.arange(rows) * shape[0] // rows, np.arange(columns) * shape[1] // columns
    )
    pad = ((0, size - rows), (0, size - columns))
    return np.pad(resized, (*pad, (0, 0))), np.pad(labels_hw[nearest], pad)


def _turn(
    pixels: NDArray[np.uint8], labels: NDArray[np.int32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    turns = int(rng.integers(4))
    pixels, labels = np.rot90(pixels, turns), np.rot90(labels, turns)
    if rng.random() < 0.5:
        pixels, labels = pixels[::-1], labels[::-1]
    return pixels, np.ascontiguousarray(labels)


def _click(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """(x, y) of a point on the object."""
    if rng.random() < CENTRE_SHARE:
        row, column = deepest_point(mask)
        return np.array([column, row], dtype=np.float32)
    rows, columns = np.nonzero(mask)
    i = rng.integers(rows.size)
    return np.array([columns[i], rows[i]], dtype=np.float32)


def _miss(
    labels: NDArray[np.int32],
    masks: NDArray[np.bool_],
    points: NDArray[np.float32],
    misses: NDArray[np.intp],
    rng: np.random.Generator,
) -> None:
    """Move some of the clicks off every object; their masks become empty."""
    if not misses.size:
        return
    near = ndimage.binary_dilation(labels > 0, iterations=2)
    rows, columns = np.nonzero(~near)
    if not rows.size:
        return
    for n in misses:
        i = rng.integers(rows.size)
        points[n] = columns[i], rows[i]
        masks[n] = False


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """x0, y0, x1, y1 of the outermost pixels of an object."""
    rows, columns = np.nonzero(mask)
    corners = [columns.min(), rows.min(), columns.max(), rows.max()]
    return np.array(corners, dtype=np.float32)


def _jittered_box(
    mask: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """A box around the object whose sides are off by a tenth of its size.

    "Segment Anything" (2023), appendix A: noise with a standard deviation of 10 %
    of the side, at most 20 pixels.
    """
    box = tight_box(mask)
    sides = np.tile(box[2:] - box[:2] + 1, 2)
    noise = np.clip(rng.normal(0, 0.1, 4) * sides, -20, 20)
    limit = mask.shape[0] - 1
    jittered: NDArray[np.float32] = np.clip(box + noise, 0, limit)
    return jittered.astype(np.float32)
