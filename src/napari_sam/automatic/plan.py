"""What a run over many windows is: everything its labels depend on, as one value.

It is plain JSON on disk, can be sent to another machine, and lists the run's tiles. A
tile is a rectangular group of windows whose results are computed and kept together:

    +--+--+--+--+--+--+      windows of the grid, here 3 x 3 in a tile; which windows
    |  |  |  |  |  |  |      share a tile says nothing about the labels
    +--+--+--+--+--+--+
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.estimate.empty_windows import Emptiness
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.geometry import Box
from napari_sam.images import Level
from napari_sam.model.window_model import PointQuery
from napari_sam.predictor.window_grid import Cell, WindowGrid
from napari_sam.predictor.windows import at_level, from_level

FORMAT = 3
"""Of what is kept on disk, and of how a window is segmented: to be raised when either
changes. Runs of another one are not gone on with."""

Plane = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was asked for, before anything was settled.

    Parameters
    ----------
    image, model
        Fingerprints.
    planes
        In order; each an index along the image's stack axes.
    region
        In pixels of level 0, inside of the plane.
    level
        None: the one that suits the size of the objects.
    options
        Their object size is in pixels of level 0.
    skip_empty
        Whether windows of flat background are left out.
    """

    image: str
    model: str
    planes: tuple[Plane, ...]
    region: Box
    level: int | None
    options: AutomaticOptions
    skip_empty: bool


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A group of windows of one plane, by its place among the groups."""

    plane: Plane
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run on one image.

    Parameters
    ----------
    asked
        What it is for.
    plane_shape, level_shape
        (height, width) of a plane at level 0, and at the level that is segmented.
    factors
        (y, x) size of one pixel of that level, in pixels of level 0.
    level
        Which level that is.
    options
        With an object size, in pixels of the level.
    contrast
        (low, high) that are shown black and white, a channel.
    side, halo
        Of the windows, in pixels of the level.
    windows_along
        Windows along each side of a tile.
    emptiness
        How empty windows are told, None where all are looked at.
    """

    asked: RunRequest
    plane_shape: tuple[int, int]
    level_shape: tuple[int, int]
    factors: tuple[float, float]
    level: int
    options: AutomaticOptions
    contrast: tuple[tuple[float, float], ...]
    side: int
    halo: int
    windows_along: int
    emptiness: Emptiness | None

    @property
    def digest(self) -> str:
        """Names the run in all that is kept of it."""
        return blake2b(self.to_json().encode(), digest_size=16).hexdigest()

    @property
    def object_size(self) -> float:
        """Side of a typical object, in pixels of level 0."""
        return (self.options.object_size or 0.0) * sqrt(prod(self.factors))

    @property
    def settled_level(self) -> Level:
        """The level that is segmented."""
        return Level(self.level_shape, self.factors, stored=False)

    @property
    def area(self) -> Box:
        """What is segmented, in pixels of the level."""
        return at_level(self.asked.region, self.settled_level)

    @property
    def grid(self) -> WindowGrid:
        """The windows of each plane."""
        bounds = Box.of_shape(self.level_shape)
        return WindowGrid(self.area, bounds, self.side, self.halo)

    @property
    def tiles_along(self) -> tuple[int, int]:
        """Rows and columns of tiles in a plane."""
        grid, n = self.grid, self.windows_along
        return -(-grid.rows // n), -(-grid.columns // n)

    @property
    def tile_count(self) -> int:
        """Of all planes."""
        rows, columns = self.tiles_along
        return len(self.asked.planes) * rows * columns

    @property
    def window_count(self) -> int:
        """Of all planes."""
        return len(self.asked.planes) * self.grid.rows * self.grid.columns

    def tiles(self) -> Iterator[Tile]:
        """Plane by plane, row by row."""
        for plane in self.asked.planes:
            yield from self.tiles_of(plane)

    def tiles_of(self, plane: Plane) -> Iterator[Tile]:
        """Row by row."""
        rows, columns = self.tiles_along
        for row in range(rows):
            for column in range(columns):
                yield Tile(plane, row, column)

    def cells_of(self, tile: Tile) -> list[Cell]:
        """Which windows a tile has, row by row."""
        grid, n = self.grid, self.windows_along
        last_row = min((tile.row + 1) * n, grid.rows)
        last_column = min((tile.column + 1) * n, grid.columns)
        return [
            (row, column)
            for row in range(tile.row * n, last_row)
            for column in range(tile.column * n, last_column)
        ]

    def tile_with(self, plane: Plane, cell: Cell) -> Tile:
        """The tile that a window belongs to."""
        return Tile(plane, cell[0] // self.windows_along, cell[1] // self.windows_along)

    def on_plane(self, box: Box) -> Box:
        """The pixels of level 0 that a box of the level covers."""
        return from_level(box, self.settled_level, self.plane_shape)

    def rows_and_columns(
        self, wanted: Box, box: Box
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of a box of the level under each one of a box of level 0."""
        rows = _under(wanted.y0, wanted.y1, self.factors[0], self.level_shape[0])
        columns = _under(wanted.x0, wanted.x1, self.factors[1], self.level_shape[1])
        return rows - box.y0, columns - box.x0

    def to_json(self) -> str:
        """As text; the same plan is the same text."""
        fields = {"format": FORMAT, **asdict(self)}
        return json.dumps(fields, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RunPlan | None:
        """What `to_json` wrote; None if it is of another format."""
        fields = json.loads(text)
        if fields.pop("format") != FORMAT:
            return None
        asked = fields.pop("asked")
        asked["planes"] = tuple(map(tuple, asked["planes"]))
        asked["region"] = Box(**asked["region"])
        asked["options"] = _options(asked["options"])
        fields["options"] = _options(fields["options"])
        fields["contrast"] = tuple(map(tuple, fields["contrast"]))
        for name in ("plane_shape", "level_shape", "factors"):
            fields[name] = tuple(fields[name])
        if (found := fields["emptiness"]) is not None:
            found["background"] = tuple(found["background"])
            fields["emptiness"] = Emptiness(**found)
        return cls(RunRequest(**asked), **fields)


def _under(start: int, stop: int, factor: float, length: int) -> NDArray[np.int64]:
    """Which pixel of a level each one of level 0 lies on, along one axis."""
    # Levels are rounded to whole pixels: what lies beyond the last is of the last.
    places = np.floor(np.arange(start, stop) / factor).astype(np.int64)
    return np.minimum(places, length - 1)


def _options(fields: Mapping[str, Any]) -> AutomaticOptions:
    query, mode = fields["query"], fields["mode"]
    mode = None if mode is None else AutomaticMode(mode)
    options = AutomaticOptions(**{**fields, "query": None, "mode": mode})
    return replace(options, query=None if query is None else PointQuery(**query))
