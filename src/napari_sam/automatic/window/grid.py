"""Windows over an area too large for one: cores that tile it, halos that overlap.

    plane border                       the second window, with its halo
    |                                  v
    +-------------+---+       +---+---------+---+
    | core 0      | h |       | h | core 1  | h |     window = halo, core, halo
    +-------------+---+       +---+---------+---+
                  ^ window 1 begins one halo before its core

Where the plane ends there is nothing to look at, so no halo either: the core is wider
there. All windows have the same side, if the plane is as large; the last one of a row
is shifted inwards, and only its halo gets wider.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from napari_sam.errors import GeometryError
from napari_sam.geometry import Box

Cell = tuple[int, int]
"""Row and column of a window."""


@dataclass(frozen=True, slots=True)
class WindowGrid:
    """The windows over an area of one level of a plane.

    Parameters
    ----------
    area
        What the cores tile, in pixels of the level.
    bounds
        The plane; windows look beyond the area, never beyond the plane.
    side
        Of a window, pixels.
    halo
        What a window sees beyond its core, at least, but for the plane's borders.
    """

    area: Box
    bounds: Box
    side: int
    halo: int

    def __post_init__(self) -> None:
        if not (self.side > 0 and 0 <= 2 * self.halo < self.side):
            raise GeometryError(
                "A window needs a core between its halos, got a side of "
                f"{self.side} and a halo of {self.halo} pixels."
            )
        if not self.bounds.contains(self.area):
            raise GeometryError(
                f"The area needs to lie in the plane {self.bounds}, got {self.area}."
            )

    @property
    def rows(self) -> int:
        """Rows of windows."""
        return self._along_y.count

    @property
    def columns(self) -> int:
        """Columns of windows."""
        return self._along_x.count

    def window(self, row: int, column: int) -> Box:
        """What is seen in a window."""
        y0, y1 = self._along_y.window(row)
        x0, x1 = self._along_x.window(column)
        return Box(y0, x0, y1, x1)

    def core(self, row: int, column: int) -> Box:
        """What a window owns; every pixel of the area lies in one core."""
        y0, y1 = self._along_y.core(row)
        x0, x1 = self._along_x.core(column)
        return Box(y0, x0, y1, x1)

    def windows_over(self, box: Box) -> list[Cell]:
        """The windows that share a pixel with a box, row by row."""
        rows = self._along_y.over(box.y0, box.y1)
        columns = self._along_x.over(box.x0, box.x1)
        return list(product(rows, columns))

    def neighbours_after(self, row: int, column: int) -> list[Cell]:
        """The windows that overlap one, and come after it row by row."""
        near = self.windows_over(self.window(row, column))
        return [cell for cell in near if cell > (row, column)]

    @property
    def _along_y(self) -> _Axis:
        area, bounds = self.area, self.bounds
        return _Axis(area.y0, area.y1, bounds.y0, bounds.y1, self.side, self.halo)

    @property
    def _along_x(self) -> _Axis:
        area, bounds = self.area, self.bounds
        return _Axis(area.x0, area.x1, bounds.x0, bounds.x1, self.side, self.halo)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The same along one axis."""

    start: int
    stop: int
    first: int  # pixel of the plane
    last: int  # one after it
    side: int
    halo: int

    @property
    def count(self) -> int:
        more = self._seen_stop - self._seen_start - self.side
        return 1 + max(0, -(-more // self._step))

    def window(self, index: int) -> tuple[int, int]:
        start = min(self._nominal(index), self._seen_stop - self.side)
        # Where all that is seen is less than a window, it looks further if it can.
        start = max(min(start, self.last - self.side), self.first)
        return start, min(start + self.side, self.last)

    def core(self, index: int) -> tuple[int, int]:
        start = self.start if index == 0 else self._nominal(index) + self.halo
        is_last = index == self.count - 1
        stop = self.stop if is_last else self._nominal(index + 1) + self.halo
        return start, stop

    def over(self, start: int, stop: int) -> list[int]:
        # Windows begin at their nominal place or before it, by less than a side.
        low = max(0, (start - self._seen_start - self.side) // self._step)
        high = min(self.count - 1, (stop - self._seen_start + self.side) // self._step)
        return [
            index
            for index in range(low, high + 1)
            if self.window(index)[0] < stop and start < self.window(index)[1]
        ]

    @property
    def _step(self) -> int:
        return self.side - 2 * self.halo

    @property
    def _seen_start(self) -> int:
        return max(self.first, self.start - self.halo)

    @property
    def _seen_stop(self) -> int:
        return min(self.last, self.stop + self.halo)

    def _nominal(self, index: int) -> int:
        return self._seen_start + index * self._step
