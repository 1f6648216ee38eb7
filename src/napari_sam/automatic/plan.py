"""What a run over many windows is: all that its labels depend on, as one value.

It is plain JSON on disk, can be sent to another machine, and lists the run's tiles. A
tile is a rectangular group of windows whose results are computed and kept together:

    +--+--+--+--+--+--+      windows of the grid, here 3 x 3 in a tile; which windows
    |  |  |  |  |  |  |      share a tile says nothing about the labels
    +--+--+--+--+--+--+
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.estimate.empty_windows import Emptiness
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.images import Image, Level
from napari_sam.model.window_model import PointQuery
from napari_sam.predictor import Cell, WindowGrid, at_level, from_level

FORMAT = 3
"""Of what is kept on disk, and of how a window is segmented: to be raised when either
changes. A run of another format is not continued."""

Plane = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is to find, before anything is settled.

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
    """A group of windows of one plane, by its row and column among the groups."""

    plane: Plane
    row: int
    column: int


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run on one image.

    Parameters
    ----------
    request
        What it is to find.
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
        How empty windows are recognised, None where all are shown to the model.
    """

    request: RunRequest
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
        """The name of the run in all that is kept of it."""
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
        return at_level(self.request.region, self.settled_level)

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
        """Tiles of all planes."""
        rows, columns = self.tiles_along
        return len(self.request.planes) * rows * columns

    @property
    def window_count(self) -> int:
        """Windows of all planes."""
        return len(self.request.planes) * self.grid.rows * self.grid.columns

    def tiles(self) -> Iterator[Tile]:
        """The tiles of all planes, plane by plane, row by row."""
        for plane in self.request.planes:
            yield from self.tiles_of(plane)

    def tiles_of(self, plane: Plane) -> Iterator[Tile]:
        """The tiles of a plane, row by row."""
        rows, columns = self.tiles_along
        for row in range(rows):
            for column in range(columns):
                yield Tile(plane, row, column)

    def cells_of(self, tile: Tile) -> list[Cell]:
        """The windows of a tile, row by row."""
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
        """The plan as text; the same plan is the same text."""
        fields = {"format": FORMAT, **asdict(self)}
        return json.dumps(fields, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RunPlan | None:
        """The plan that `to_json` wrote; None if it is of another format."""
        fields = json.loads(text)
        if fields.pop("format") != FORMAT:
            return None
        request = fields.pop("request")
        request["planes"] = tuple(map(tuple, request["planes"]))
        request["region"] = Box(**request["region"])
        request["options"] = _options(request["options"])
        fields["options"] = _options(fields["options"])
        fields["contrast"] = tuple(map(tuple, fields["contrast"]))
        for name in ("plane_shape", "level_shape", "factors"):
            fields[name] = tuple(fields[name])
        if (emptiness := fields["emptiness"]) is not None:
            emptiness["background"] = tuple(emptiness["background"])
            fields["emptiness"] = Emptiness(**emptiness)
        return cls(RunRequest(**request), **fields)


def _under(start: int, stop: int, factor: float, length: int) -> NDArray[np.int64]:
    """Which pixel of a level each one of level 0 lies on, along one axis."""
    # Levels are rounded to whole pixels: what lies beyond the last is of the last.
    pixels = np.floor(np.arange(start, stop) / factor).astype(np.int64)
    return np.minimum(pixels, length - 1)


def _options(fields: Mapping[str, Any]) -> AutomaticOptions:
    query, mode = fields["query"], fields["mode"]
    mode = None if mode is None else AutomaticMode(mode)
    options = AutomaticOptions(**{**fields, "query": None, "mode": mode})
    return replace(options, query=None if query is None else PointQuery(**query))


def checked_planes(
    image: Image, planes: Sequence[Sequence[int]] | None
) -> tuple[Plane, ...]:
    """The planes of a run in the stack's order, none twice; None: all of them."""
    if planes is None:
        # Not numpy.ndindex: a stack without axes has one plane, the empty index.
        return tuple(_all_planes(image.stack_shape))
    checked = sorted({tuple(plane) for plane in planes})
    if not checked:
        raise ImageError(
            "Segmenting everything needs at least one plane, got none. Leave planes "
            "out for all of them."
        )
    for plane in checked:
        image.check_plane(plane)
    return tuple(tuple(int(i) for i in plane) for plane in checked)


def _all_planes(stack_shape: tuple[int, ...]) -> list[Plane]:
    planes: list[Plane] = [()]
    for count in stack_shape:
        planes = [(*plane, index) for plane in planes for index in range(count)]
    return planes


def checked_region(image: Image, region: Box | None) -> Box:
    """The region in pixels of level 0; None: the whole plane."""
    whole = Box.of_shape(image.shape)
    if region is None:
        return whole
    is_box = isinstance(region, Box)
    if not is_box or not whole.contains(region):
        raise ImageError(
            f"A region needs to be a Box inside of the {image.shape} pixels of "
            f"{image.name}, got {region}. Clip it first."
        )
    return region


def check_level(image: Image, level: int | None) -> None:
    """Raise an ImageError if there is no such level."""
    if level is not None and not 0 <= level < len(image.levels):
        raise ImageError(
            f"{image.name} has levels 0 to {len(image.levels) - 1}, got {level!r}."
        )
