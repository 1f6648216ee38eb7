"""An image in memory and models whose masks a reader can predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import ceil

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, iou
from napari_sam.model.window_model import WindowMask
from napari_sam.predictor.candidates import Candidate
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SMALL = (2048, 2048)


@dataclass
class ArrayLevel:
    shape: tuple[int, int]
    factors: tuple[float, float]


class ArrayImage:
    """A gray plane with a pyramid of block means, and a count of what is read."""

    fingerprint = "array"

    def __init__(self, gray: Gray, stack_shape: tuple[int, ...] = ()) -> None:
        self.shape = gray.shape
        self.stack_shape = stack_shape
        self.reads: list[tuple[tuple[int, ...], int, Box]] = []
        self._grays = [gray]
        while max(self._grays[-1].shape) > 256:
            self._grays.append(halved(self._grays[-1]))
        self.levels = [
            ArrayLevel(level.shape, (2.0**index, 2.0**index))
            for index, level in enumerate(self._grays)
        ]

    def check_plane(self, plane: tuple[int, ...]) -> None:
        assert len(plane) == len(self.stack_shape)

    def read_rgb(
        self, plane: tuple[int, ...], level: int, box: Box
    ) -> NDArray[np.uint8]:
        assert Box.of_shape(self.levels[level].shape).contains(box)
        self.reads.append((plane, level, box))
        return np.repeat(self._grays[level][box.slices][..., None], 3, axis=2)


def halved(gray: Gray) -> Gray:
    """Means of 2 x 2 pixels; a last odd row or column is repeated."""
    height, width = gray.shape
    even = np.pad(gray, ((0, height % 2), (0, width % 2)), mode="edge")
    total = np.full((ceil(height / 2), ceil(width / 2)), 2, dtype=np.uint16)
    for row in (0, 1):
        for column in (0, 1):
            total += even[row::2, column::2]
    return (total // 4).astype(np.uint8)


@dataclass
class RegionOracle:
    """Predicts exactly the connected region of the clicked gray in its window."""

    window_size: int = 512
    fingerprint: str = "oracle"
    encodes: int = 0
    prompts: list[Sequence[Prompt]] = field(default_factory=list)

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> Gray:
        assert max(pixels_hwc.shape[:2]) <= self.window_size
        self.encodes += 1
        return pixels_hwc[..., 0].copy()

    def predict(self, embedding: Gray, prompts: Sequence[Prompt]) -> list[WindowMask]:
        self.prompts.append(prompts)
        gray_hw, mask_hw = embedding, np.zeros(embedding.shape, dtype=bool)
        clicked = [p for p in prompts if isinstance(p, Click) and p.positive]
        seeds = [click.pixel for click in clicked]
        seeds += [seed_of(p, gray_hw) for p in prompts if isinstance(p, BoxPrompt)]
        if not seeds:
            masks = [prompt for prompt in prompts if isinstance(prompt, MaskPrompt)]
            seeds = [seed_of(prompt, gray_hw) for prompt in masks]
        for seed in seeds:
            mask_hw |= region(gray_hw, seed)
        for prompt in prompts:
            if isinstance(prompt, Click) and not prompt.positive:
                other = region(gray_hw, prompt.pixel)
                if not any(other[seed] for seed in seeds):
                    mask_hw &= ~other
        return [WindowMask(mask_hw, 0.9, None)]


@dataclass
class Distorted(RegionOracle):
    """An oracle whose masks are passed through something before they are given."""

    distort: Callable[[NDArray[np.bool_]], list[WindowMask]] = field(kw_only=True)

    def predict(self, embedding: Gray, prompts: Sequence[Prompt]) -> list[WindowMask]:
        return self.distort(super().predict(embedding, prompts)[0].mask_hw)


def seed_of(prompt: BoxPrompt | MaskPrompt, gray_hw: Gray) -> tuple[int, int]:
    """A pixel of the gray that most of a box, or of a mask, has; background is not."""
    inside = np.zeros(gray_hw.shape, dtype=bool)
    box = prompt.box.clip(Box.of_shape(gray_hw.shape))
    inside[box.slices] = prompt.mask if isinstance(prompt, MaskPrompt) else True
    counts = np.bincount(gray_hw[inside], minlength=256)
    counts[0] = 0
    wanted = inside & (gray_hw == counts.argmax())
    row, column = np.argwhere(wanted)[np.count_nonzero(wanted) // 2]
    return int(row), int(column)


def region(gray_hw: Gray, seed: tuple[int, int]) -> NDArray[np.bool_]:
    islands, _ = ndimage.label(gray_hw == gray_hw[seed], EIGHT_NEIGHBOURS)
    return islands == islands[seed]


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> Gray:
    """A bool mask of a disc."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def scene(*masks: NDArray[np.bool_]) -> Gray:
    """A dark plane with each of the masks in a gray of its own."""
    gray = np.zeros(masks[0].shape, dtype=np.uint8)
    for index, mask in enumerate(masks):
        gray[mask] = 200 - 40 * index
    return gray


@cache
def a_disc(y: int, x: int, radius: int) -> Mask:
    return disc(SMALL, y, x, radius)


def agreement(candidate: Candidate, truth: Mask) -> float:
    full = np.zeros(truth.shape, dtype=bool)
    full[candidate.box.slices] = candidate.mask
    return iou(full, truth)


def with_specks(mask: Mask) -> list[WindowMask]:
    """With an island and a hole of 16 px, each well away from the outline."""
    depth = ndimage.distance_transform_edt(mask)
    y, x = np.unravel_index(int(depth.argmax()), mask.shape)
    mask[y : y + 4, x : x + 4] = False
    mask[8:12, 8:12] = True
    return [WindowMask(mask, 0.9, None)]
