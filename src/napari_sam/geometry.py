"""Rectangles of pixels.

Outside of `model/` coordinates are (y, x), in pixels of the full image.
SAM wants (x, y); `prompts` is the one module that turns them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor
from operator import index
from typing import Any

from napari_sam.errors import GeometryError


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open pixel rectangle: rows [y0, y1), columns [x0, x1)."""

    y0: int
    x0: int
    y1: int
    x1: int

    def __post_init__(self) -> None:
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise GeometryError(
                f"A box needs at least one pixel, got rows {self.y0}..{self.y1} "
                f"and columns {self.x0}..{self.x1}. Boxes that only touch share none."
            )

    @classmethod
    def of_shape(cls, shape: tuple[int, int]) -> Box:
        """The box of a whole (height, width) array."""
        return cls(0, 0, *shape)

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """The smallest box that holds every one of `boxes`, of which there is one."""
        corners = [(box.y0, box.x0, box.y1, box.x1) for box in boxes]
        if not corners:
            raise GeometryError("A box around others needs at least one, got none.")
        y0, x0, y1, x1 = zip(*corners, strict=True)
        return cls(min(y0), min(x0), max(y1), max(x1))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), in pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return (self.y1 - self.y0) * (self.x1 - self.x0)

    @property
    def center(self) -> tuple[float, float]:
        """(y, x) of the middle; the corner of pixel (0, 0) is at (0, 0)."""
        return (self.y0 + self.y1) / 2, (self.x0 + self.x1) / 2

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index for the last two axes of an array of the full image."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grow(self, margin: int) -> Box:
        """Extend every side by `margin` pixels; the result may leave the image."""
        return Box(
            self.y0 - margin, self.x0 - margin, self.y1 + margin, self.x1 + margin
        )

    def shift(self, dy: int, dx: int) -> Box:
        """Move by (dy, dx) pixels."""
        return Box(self.y0 + dy, self.x0 + dx, self.y1 + dy, self.x1 + dx)

    def relative_to(self, origin: Box) -> Box:
        """Express this box in the frame whose (0, 0) is `origin`'s corner."""
        return self.shift(-origin.y0, -origin.x0)

    def intersects(self, other: Box) -> bool:
        """Whether the two share a pixel."""
        return max(self.y0, other.y0) < min(self.y1, other.y1) and max(
            self.x0, other.x0
        ) < min(self.x1, other.x1)

    def clip(self, bounds: Box) -> Box:
        """The part of this box inside `bounds`; a GeometryError if there is none."""
        return Box(
            max(self.y0, bounds.y0),
            max(self.x0, bounds.x0),
            min(self.y1, bounds.y1),
            min(self.x1, bounds.x1),
        )

    def contains(self, other: Box) -> bool:
        """Whether every pixel of `other` is in this box."""
        return (
            self.y0 <= other.y0
            and self.x0 <= other.x0
            and other.y1 <= self.y1
            and other.x1 <= self.x1
        )

    def contains_point(self, y: float, x: float) -> bool:
        """Whether the point (y, x) lies inside; the far edges do not count."""
        return self.y0 <= y < self.y1 and self.x0 <= x < self.x1

    def scaled(self, factor_y: float, factor_x: float) -> Box:
        """The smallest pixel box that covers this one after scaling coordinates.

        From level 0 to a level whose pixels are twice as large, both are 0.5.
        """
        y0, x0 = floor(self.y0 * factor_y), floor(self.x0 * factor_x)
        y1, x1 = ceil(self.y1 * factor_y), ceil(self.x1 * factor_x)
        return Box(y0, x0, max(y1, y0 + 1), max(x1, x0 + 1))


def is_index(value: Any, count: int) -> bool:
    """Whether this is a whole number that counts one of so many things, from 0."""
    try:
        return 0 <= index(value) < count
    except TypeError:
        return False
