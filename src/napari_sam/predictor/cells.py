"""Objects larger than a window are drawn cell by cell.

A cell is half a window, and is drawn from the window it is the middle of, so no pixel
is decided near a window's border:

    +-------------------+
    |     window        |
    |    +---------+    |      cells tile the level; where a window would
    |    |  cell   |    |      leave the image it is shifted inside
    |    +---------+    |
    +-------------------+
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam.geometry import Box
from napari_sam.predictor.windows import window_at

Cell = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CellGrid:
    """The cells of one level, by (row, column).

    Parameters
    ----------
    shape
        (height, width) of the level, in pixels.
    size
        Side of a window, in pixels; a cell is half of it.
    """

    shape: tuple[int, int]
    size: int

    @property
    def side(self) -> int:
        """Side of a cell, in pixels; the last row and column may be smaller."""
        return max(self.size // 2, 1)

    def cell(self, cell: Cell) -> Box:
        """The pixels that a cell owns."""
        y0, x0 = cell[0] * self.side, cell[1] * self.side
        box = Box(y0, x0, y0 + self.side, x0 + self.side)
        return box.clip(Box.of_shape(self.shape))

    def window(self, cell: Cell) -> Box:
        """The window from which a cell is drawn."""
        lead = (self.size - self.side) // 2
        y0, x0 = cell[0] * self.side - lead, cell[1] * self.side - lead
        return window_at(y0, x0, self.size, self.shape)

    def holding(self, row: int, column: int) -> Cell:
        """The cell that owns a pixel."""
        return row // self.side, column // self.side

    def meeting(self, box: Box) -> list[Cell]:
        """The cells that share pixels with a box inside the level, row by row."""
        first = self.holding(box.y0, box.x0)
        last = self.holding(box.y1 - 1, box.x1 - 1)
        return [
            (row, column)
            for row in range(first[0], last[0] + 1)
            for column in range(first[1], last[1] + 1)
        ]

    def neighbours(self, cell: Cell) -> list[Cell]:
        """The up to eight cells around a cell, row by row."""
        rows = -(-self.shape[0] // self.side)
        columns = -(-self.shape[1] // self.side)
        return [
            (row, column)
            for row in range(max(cell[0] - 1, 0), min(cell[0] + 2, rows))
            for column in range(max(cell[1] - 1, 0), min(cell[1] + 2, columns))
            if (row, column) != cell
        ]
