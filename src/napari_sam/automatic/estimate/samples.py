"""Looks at parts of an image, spread over its region and its stack.

What is true of an image, not of a window, is learnt from a few of them. They are the
same ones every time. A plane of up to 1024 pixels a side is looked at whole.
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
from napari_sam.images import Image
from napari_sam.images.layout import Ranges
from napari_sam.predictor.windows import at_level, window_at

Pixels = NDArray[np.uint8]

LOOK_SIDE = 1024  # pixels
PART_SIDE = 128  # of a look that cannot be read at once
LOOKS_ALONG = 3  # along each side of a plane
LOOK_PLANES = 3
CONTENT = 0.5  # of the largest standard deviation; parts below it show little

Before = Callable[[int, Box], None]
"""Is told of a level and a box of it before it is looked at; may raise `Cancelled`."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A part of a level, as the model sees it: where it is and what it shows."""

    plane: Plane
    level: int
    box: Box
    pixels_hwc: Pixels

    @property
    def deviation(self) -> float:
        """How much it shows."""
        return float(self.pixels_hwc.mean(axis=2).std())


@dataclass(frozen=True, slots=True)
class ImageSampler:
    """Looks at an image with an intensity range, and says so before.

    Parameters
    ----------
    image
        Looked at.
    asked
        In which planes and region.
    contrast
        The ranges that the model sees.
    before
        Is told of every look.
    """

    image: Image
    asked: RunRequest
    contrast: Ranges
    before: Before

    def looks(self, level: int) -> Iterator[Sample]:
        """Parts of a level, at least one, or an ImageReadError."""
        damage: ImageReadError | None = None
        count = 0
        for plane, box in look_places(self.image, self.asked, level):
            try:
                look = self.look(plane, level, box)
            except ImageReadError as error:
                damage = error
            else:
                count += 1
                yield look
        if not count and damage is not None:
            raise damage

    def look(self, plane: Plane, level: int, box: Box) -> Sample:
        """One; parts that cannot be read have the median of the others."""
        self.before(level, box)
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


def look_places(
    image: Image, asked: RunRequest, level: int
) -> Iterator[tuple[Plane, Box]]:
    """Where to look, always the same places for the same image."""
    found = image.levels[level]
    area = at_level(asked.region, found)
    for index in spread_indices(len(asked.planes), LOOK_PLANES):
        plane = asked.planes[index]
        for y in _starts(area.y0, area.y1):
            for x in _starts(area.x0, area.x1):
                yield plane, window_at(y, x, LOOK_SIDE, found.shape)


def spread_indices(length: int, count: int) -> list[int]:
    """So many places in a list, or all of them, from the first to the last."""
    if length <= count:
        return list(range(length))
    return [round(i * (length - 1) / (count - 1)) for i in range(count)]


def _starts(start: int, stop: int) -> list[int]:
    """Where looks begin along one side of an area."""
    count = min(ceil((stop - start) / LOOK_SIDE), LOOKS_ALONG)
    if count == 1:
        return [start]
    room = stop - start - LOOK_SIDE
    return [start + round(i * room / (count - 1)) for i in range(count)]
