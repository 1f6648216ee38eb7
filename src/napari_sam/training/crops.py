"""Planes -> crops of the window's size, with masks and prompts to train on.

A crop depends on the seed, the step and its place in the step's batch, and on nothing
else: a run that goes on draws what it would have drawn, in whatever thread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam.errors import TrainingError
from napari_sam.geometry import Box
from napari_sam.training.colours import recolour
from napari_sam.training.config import Augmentation, Phase, Prompting, TrainingConfig
from napari_sam.training.planes import TrainingPlane, compact
from napari_sam.training.scene_crops import draw_scene
from napari_sam.training.simulated_prompts import CropPrompts, draw_prompts

SMALLEST_OBJECT = 16  # pixels; less of an object than this asks no question
SMALLEST_CUT = 8  # pixels
FULLEST_OF = 3  # places that a crop with many objects is chosen from
TRIES = 500
"""For a crop with an object; many annotations have empty corners."""


@dataclass(frozen=True, slots=True)
class Crop:
    """One training example: pixels, the objects in them, and prompts about some."""

    image_chw: NDArray[np.uint8]
    labels_hw: NDArray[np.int32]
    prompts: CropPrompts


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
        prompts = draw_prompts(labels, chosen, self.prompting, rng)
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return Crop(image, compact(labels), prompts)

    def _cut(
        self, rng: np.random.Generator, phase: Phase
    ) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """A square of a plane, magnified and turned; black beyond the plane."""
        weights = np.array([plane.weight for plane in self.planes])
        index = int(rng.choice(len(self.planes), p=weights / weights.sum()))
        plane = self.planes[index]
        bounds = self.augmentation.zoom
        wanted = np.exp(rng.uniform(*np.log(phase.object_size)))
        zoom = float(np.clip(wanted / plane.object_size, *bounds))
        is_turned = self.changes and rng.random() < self.augmentation.rotation
        # Turned by half a right angle, a square needs one with sides of its diagonal.
        size = math.ceil(phase.size * math.sqrt(2)) if is_turned else phase.size
        side = max(SMALLEST_CUT, round(size / zoom))
        pixels, labels = plane.cut(self._draw_box(rng, plane, side))
        pixels, labels = magnified(pixels, labels, size / side, size)
        if is_turned:
            return rotated(pixels, labels, float(rng.uniform(0, 360)), phase.size)
        return pixels, labels

    def _draw_box(
        self, rng: np.random.Generator, plane: TrainingPlane, side: int
    ) -> Box:
        """A square of a plane; for some crops the fullest of `FULLEST_OF`."""
        box = plane.draw_box(rng, side)
        if self.changes and rng.random() < self.augmentation.crowding:
            others = [plane.draw_box(rng, side) for _ in range(FULLEST_OF - 1)]
            box = max((box, *others), key=plane.objects_in)
        return box


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


def rotated(
    pixels_hwc: NDArray[np.uint8],
    labels_hw: NDArray[np.int32],
    degrees: float,
    size: int,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Turn a square about its centre, and cut a smaller one out of the middle."""
    image = Image.fromarray(pixels_hwc).rotate(degrees, Image.Resampling.BILINEAR)
    labels = Image.fromarray(labels_hw).rotate(degrees, Image.Resampling.NEAREST)
    start = (labels_hw.shape[0] - size) // 2
    middle = (slice(start, start + size), slice(start, start + size))
    return np.array(image)[middle], np.array(labels)[middle]
