"""Windows over an area too large for one: cores that tile it, halos that overlap.

    plane border                       the second window, with its halo
    |                                  v
    +-------------+---+       +---+---------+---+
    | core 0      | h |       | h | core 1  | h |     window = halo, core, halo
    +-------------+---+       +---+---------+---+
                  ^ window 1 begins one halo before its core

Where the plane ends there is nothing to see, so no halo is needed: the core is wider
there, which takes the fewest windows. All windows have the same side, if the plane is
as large; the last one of a row is shifted inwards, and only its halo gets wider.

An even grid has cores of one size at the border too, so that each of them lies as deep
in its window as any other, and is found by a division:

    |  window 0 and 1, shifted   |
    |  into the plane            |
    +---------+---------+---------+---
    | core 0  | core 1  | core 2  |
    +---------+---------+---------+---
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
        The plane; windows reach beyond the area, never beyond the plane.
    side
        Of a window, pixels.
    halo
        What a window sees beyond its core, at least, but for the plane's borders.
    even
        Whether cores at the plane's borders are as small as the others.
    """

    area: Box
    bounds: Box
    side: int
    halo: int
    even: bool = False

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

    @classmethod
    def of_quarters(cls, shape: tuple[int, int], side: int) -> WindowGrid:
        """The even grid of a whole level, with halos of a quarter window."""
        level = Box.of_shape(shape)
        return cls(level, level, side, side // 4, even=True)

    @property
    def step(self) -> int:
        """From one window to the next, which is the side of a core, in pixels."""
        return self.side - 2 * self.halo

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

    def cell_of(self, y: int, x: int) -> Cell:
        """The window whose core owns a pixel of the area."""
        return self._along_y.owner(y), self._along_x.owner(x)

    def cores_over(self, box: Box) -> list[Cell]:
        """The windows whose cores share a pixel with a box in the area, row by row."""
        first, last = self.cell_of(box.y0, box.x0), self.cell_of(box.y1 - 1, box.x1 - 1)
        rows, columns = (range(a, b + 1) for a, b in zip(first, last, strict=True))
        return list(product(rows, columns))

    def neighbours(self, row: int, column: int) -> list[Cell]:
        """The up to eight windows whose cores are around one's, row by row."""
        rows = range(max(row - 1, 0), min(row + 2, self.rows))
        columns = range(max(column - 1, 0), min(column + 2, self.columns))
        return [cell for cell in product(rows, columns) if cell != (row, column)]

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
        return self._along(self.area.y0, self.area.y1, self.bounds.y0, self.bounds.y1)

    @property
    def _along_x(self) -> _Axis:
        return self._along(self.area.x0, self.area.x1, self.bounds.x0, self.bounds.x1)

    def _along(self, start: int, stop: int, first: int, last: int) -> _Axis:
        seen_start, seen_stop = start - self.halo, stop + self.halo
        if not self.even:
            seen_start, seen_stop = max(first, seen_start), min(last, seen_stop)
        return _Axis(
            (start, stop), (first, last), (seen_start, seen_stop), self.side, self.halo
        )


@dataclass(frozen=True, slots=True)
class _Axis:
    """The same along one axis."""

    area: tuple[int, int]
    plane: tuple[int, int]
    seen: tuple[int, int]  # by all windows together; an even grid's beyond the plane
    side: int
    halo: int

    @property
    def count(self) -> int:
        more = self.seen[1] - self.seen[0] - self.side
        return 1 + max(0, -(-more // self._step))

    def window(self, index: int) -> tuple[int, int]:
        first, last = self.plane
        start = min(self._nominal(index), self.seen[1] - self.side)
        # Where all that is seen is less than a window, it reaches further if it can.
        start = max(min(start, last - self.side), first)
        return start, min(start + self.side, last)

    def core(self, index: int) -> tuple[int, int]:
        start = self.area[0] if index == 0 else self._nominal(index) + self.halo
        is_last = index == self.count - 1
        stop = self.area[1] if is_last else self._nominal(index + 1) + self.halo
        return start, stop

    def owner(self, at: int) -> int:
        index = (at - self._nominal(0) - self.halo) // self._step
        return min(max(index, 0), self.count - 1)

    def over(self, start: int, stop: int) -> list[int]:
        # Windows are off their nominal origins by less than a side.
        low = max(0, (start - self.seen[0] - 2 * self.side) // self._step)
        high = min(self.count - 1, (stop - self.seen[0] + self.side) // self._step)
        return [
            index
            for index in range(low, high + 1)
            if self.window(index)[0] < stop and start < self.window(index)[1]
        ]

    @property
    def _step(self) -> int:
        return self.side - 2 * self.halo

    def _nominal(self, index: int) -> int:
        return self.seen[0] + index * self._step
