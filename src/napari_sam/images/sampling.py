"""Settle the intensity range of an image from a bounded number of chunks.

A first click must not read a 200,000 x 200,000 image to know what is dark and what
is bright in it. So the range comes from cells spread over a coarse stored level and
over the stack, always the same ones for the same image:

- The level is the coarsest stored one of at least 512 x 512 pixels, else the finest.
- A cell is one chunk, or up to 4 x 4 of them where they are smaller than 256 pixels;
  256 x 256 pixels of an array in memory.
- 16 cells are read, all of them where there are fewer, so that a small image is its
  own sample. Cells with more than 2^20 pixels together are thinned by whole steps.
- While every value of some channel is the same, as on the empty rim of a slide,
  another 16 cells are read, up to 64. If they are still the same, the first window
  that is shown and has more than one value settles the range.

Hence at most 64 cells of at most 16 chunks for each channel, and 16 chunks in the
common case of chunks of 256 pixels and more that are not all of one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.images.intensity import intensity_range
from napari_sam.images.levels import StoredLevel

SAMPLE_CELLS = 16
SAMPLE_ROUNDS = 4
CELL_SIDE = 256
CELL_CHUNKS = 4
"""Along each side of a cell, at most."""

SAMPLE_PIXELS = 2**20
"""Read in one round, for each channel."""

SAMPLE_LEVEL_PIXELS = 512**2
"""Coarser levels than this have lost too much of what is bright and small."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One window of a sample."""

    plane: tuple[int, ...]  # index along the stack axes
    box: Box  # in pixels of the level


def sample_level(levels: Sequence[StoredLevel]) -> StoredLevel:
    """The stored level to sample, of levels that are ordered finest first."""
    coarse = [level for level in levels if prod(level.shape) >= SAMPLE_LEVEL_PIXELS]
    return coarse[-1] if coarse else levels[0]


def cell_shape(level: StoredLevel) -> tuple[int, int]:
    """(height, width) of a cell, in pixels of the level."""
    if not level.is_chunked:
        return CELL_SIDE, CELL_SIDE
    height, width = (
        chunk * max(1, min(CELL_CHUNKS, CELL_SIDE // chunk))
        for chunk in level.plane_chunks
    )
    return height, width


def spread_cells(level: StoredLevel) -> Iterator[Cell]:
    """Cells in the order in which they are read, spread evenly, none twice.

    The Halton sequence picks them: its points fill a volume ever more finely, without
    lining up. Where there are at most 64, every cell of the image is among them.
    """
    height, width = cell_shape(level)
    rows, columns = (
        ceil(n / m) for n, m in zip(level.shape, (height, width), strict=True)
    )
    planes = prod(level.stack_shape)
    count = planes * rows * columns
    wanted = SAMPLE_CELLS * SAMPLE_ROUNDS
    order = [
        (int(_halton(i, 5) * planes) * rows + int(_halton(i, 2) * rows)) * columns
        + int(_halton(i, 3) * columns)
        for i in range(1, 4 * wanted)
    ]
    if count <= wanted:
        order.extend(range(count))
    bounds = Box.of_shape(level.shape)
    for number in list(dict.fromkeys(order))[:wanted]:
        cell, column = divmod(number, columns)
        plane, row = divmod(cell, rows)
        y, x = row * height, column * width
        where = np.unravel_index(plane, level.stack_shape) if level.stack_shape else ()
        yield Cell(
            tuple(int(i) for i in where), Box(y, x, y + height, x + width).clip(bounds)
        )


def settle_ranges(
    levels: Sequence[StoredLevel],
    channels: Sequence[int],
    fill: float | None = None,
) -> tuple[tuple[float, float], ...]:
    """The (low, high) that become black and white, for each of the channels.

    A value without data is left out, the one given as `fill` or one that is clear.
    Cells that cannot be read are left out: one damaged chunk must not take the rest
    of the image away. Where none can be read, the ImageReadError of the last stays.
    """
    level = sample_level(levels)
    cells = list(spread_cells(level))
    samples: list[NDArray[Any]] = []
    damage: ImageReadError | None = None
    for start in range(0, len(cells), SAMPLE_CELLS):
        batch = cells[start : start + SAMPLE_CELLS]
        pixels = sum(cell.box.area for cell in batch)
        step = max(1, ceil(sqrt(pixels / SAMPLE_PIXELS)))
        for cell in batch:
            try:
                block_chw = level.read(cell.plane, channels, cell.box, step)
            except ImageReadError as error:
                damage = error
                continue
            samples.append(block_chw.reshape(len(channels), -1))
        if samples:
            ranges = [intensity_range(s, fill) for s in np.concatenate(samples, axis=1)]
            if all(low < high for low, high in ranges):
                return tuple(ranges)
    if not samples and damage is not None:
        raise damage
    return tuple(ranges)


def widen_empty_range(
    settled: tuple[float, float], pixels: NDArray[Any]
) -> tuple[float, float]:
    """Stretch a range of one value over `pixels` too; any other range stays."""
    if settled[0] < settled[1]:
        return settled
    low, high = intensity_range(pixels)
    return min(low, settled[0]), max(high, settled[1])


def _halton(index: int, base: int) -> float:
    """The index-th number, from 1, of the van der Corput sequence, in (0, 1)."""
    value, weight = 0.0, 1.0
    while index:
        weight /= base
        index, digit = divmod(index, base)
        value += digit * weight
    return value
