"""Samples of an image: parts of it, spread over its region and its stack.

What is true of an image, not of a window, is learnt from a few of them. They are the
same ones every time. A plane of up to 1024 pixels a side is one sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.plan import Plane, RunRequest
from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import Image, Ranges
from napari_sam.predictor import at_level, window_at

Pixels = NDArray[np.uint8]

SAMPLE_SIDE = 1024  # pixels
PART_SIDE = 128  # of a sample that cannot be read at once
SAMPLES_ALONG = 3  # along each side of a plane
SAMPLE_PLANES = 3
CONTENT = 0.5  # of the largest standard deviation; parts below it show little

BeforeRead = Callable[[int, Box], None]
"""Called with a level and a box of it before that is read; may raise `Cancelled`."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A part of a level, as the model sees it."""

    plane: Plane
    level: int
    box: Box
    pixels_hwc: Pixels

    @property
    def deviation(self) -> float:
        """Standard deviation of its gray: how much there is to see in it."""
        return float(self.pixels_hwc.mean(axis=2).std())


@dataclass(frozen=True, slots=True)
class ImageSampler:
    """Reads samples of an image with an intensity range.

    Parameters
    ----------
    image
        What is sampled.
    request
        In which planes and region.
    contrast
        The ranges that the model sees.
    before_read
        Called before each sample.
    """

    image: Image
    request: RunRequest
    contrast: Ranges
    before_read: BeforeRead

    def samples(self, level: int) -> Iterator[Sample]:
        """The samples of a level, at least one; an ImageReadError if none is whole."""
        damage: ImageReadError | None = None
        count = 0
        for plane, box in sample_boxes(self.image, self.request, level):
            try:
                sample = self.sample(plane, level, box)
            except ImageReadError as error:
                damage = error
            else:
                count += 1
                yield sample
        if not count and damage is not None:
            raise damage

    def sample(self, plane: Plane, level: int, box: Box) -> Sample:
        """One sample; parts that cannot be read get the median of the others."""
        self.before_read(level, box)
        try:
            pixels_hwc = self.image.read_rgb(plane, level, box, self.contrast)
        except ImageReadError as damage:
            pixels_hwc = self._in_parts(plane, level, box, damage)
        return Sample(plane, level, box, pixels_hwc)

    def _in_parts(
        self, plane: Plane, level: int, whole: Box, damage: ImageReadError
    ) -> Pixels:
        pixels_hwc = np.zeros((*whole.shape, 3), dtype=np.uint8)
        is_read = np.zeros(whole.shape, dtype=bool)
        for y in range(whole.y0, whole.y1, PART_SIDE):
            for x in range(whole.x0, whole.x1, PART_SIDE):
                part = Box(y, x, y + PART_SIDE, x + PART_SIDE).clip(whole)
                spot = part.relative_to(whole).slices
                try:
                    pixels_hwc[spot] = self.image.read_rgb(
                        plane, level, part, self.contrast
                    )
                except ImageReadError:
                    continue
                is_read[spot] = True
        if not is_read.any():
            raise damage
        pixels_hwc[~is_read] = np.median(pixels_hwc[is_read], axis=0).astype(np.uint8)
        return pixels_hwc


def sample_boxes(
    image: Image, request: RunRequest, level: int
) -> Iterator[tuple[Plane, Box]]:
    """Where the samples of a level are, always the same for the same image."""
    found = image.levels[level]
    area = at_level(request.region, found)
    for index in spread_indices(len(request.planes), SAMPLE_PLANES):
        plane = request.planes[index]
        for y in _starts(area.y0, area.y1):
            for x in _starts(area.x0, area.x1):
                yield plane, window_at(y, x, SAMPLE_SIDE, found.shape)


def spread_indices(length: int, count: int) -> list[int]:
    """So many indices of a list, or all of them, from the first to the last."""
    if length <= count:
        return list(range(length))
    return [round(i * (length - 1) / (count - 1)) for i in range(count)]


def _starts(start: int, stop: int) -> list[int]:
    """Where samples begin along one side of an area."""
    count = min(ceil((stop - start) / SAMPLE_SIDE), SAMPLES_ALONG)
    if count == 1:
        return [start]
    room = stop - start - SAMPLE_SIDE
    return [start + round(i * room / (count - 1)) for i in range(count)]
