"""The levels of a plane: those that are stored, and those made from them.

    stored         0 ............ 2         the file has factors 1 and 4
    virtual              1           3  4   made by block means of 0, and of 2

Virtual levels fill gaps of four and more and go on until the plane fits into 256
pixels, so that an object of any size fits into a window of some level. They cost
nothing until a window of one is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.axes import CHANNEL, PLANE, stack_letters
from napari_sam.errors import ForeignErrors, ImageReadError
from napari_sam.geometry import Box
from napari_sam.images.stored import LazyArray

COARSEST_SIDE = 256
"""Virtual levels are added until both sides of the plane have at most these pixels."""

GAP_FACTOR = 1.5
"""A virtual level stays away from the next stored one by more than this factor."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of an image's planes."""

    shape: tuple[int, int]  # (height, width), in pixels of this level
    factors: tuple[float, float]  # (y, x) size of a pixel, in pixels of level 0
    stored: bool  # False: block means of the nearest finer stored level


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """Where the pixels of a level come from."""

    level: Level
    base: int  # index among the stored levels
    step: int  # side of the blocks of it that become one pixel; 1 if stored


@dataclass(frozen=True, slots=True)
class StoredLevel:
    """The array of one stored level, read by plane, channel and box."""

    array: LazyArray
    axes: str  # of the array, with at most one channel axis "c"
    stack_shape: tuple[int, ...]  # of level 0; this level may have fewer planes
    name: str  # for errors, such as "level 0 of cells.zarr"
    stack_factors: tuple[float, ...] = ()  # planes of level 0 in one of this level

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), in pixels."""
        height, width = (self.array.shape[self.axes.index(name)] for name in PLANE)
        return height, width

    @property
    def chunks(self) -> tuple[int, ...]:
        """Size of what is read at once along each axis; the array's if unchunked."""
        chunks = getattr(self.array, "chunksize", None)  # dask
        chunks = chunks or getattr(self.array, "chunks", None) or self.array.shape
        return tuple(
            max(1, min(int(chunk), size))
            for chunk, size in zip(chunks, self.array.shape, strict=True)
        )

    @property
    def is_chunked(self) -> bool:
        """False for arrays in memory, where any window costs only its own pixels."""
        return bool(
            getattr(self.array, "chunksize", None)
            or getattr(self.array, "chunks", None)
        )

    @property
    def plane_chunks(self) -> tuple[int, int]:
        """(height, width) of a chunk, in pixels."""
        height, width = (self.chunks[self.axes.index(name)] for name in PLANE)
        return height, width

    def read(
        self, plane: tuple[int, ...], channels: Sequence[int], box: Box, step: int = 1
    ) -> NDArray[Any]:
        """Pixels of a box inside the level, native byte order.

        Parameters
        ----------
        plane
            Index along the stack axes of level 0.
        channels
            Ascending or not, without repetition.
        box
            In pixels of this level.
        step
            Take each step-th row and column only.

        Returns
        -------
        numpy.ndarray
            (channels, height, width), or (channels, ceil(height / step), ...) with a
            step.

        Raises
        ------
        ImageReadError
            Names the first damaged chunk of the box.
        """
        if CHANNEL not in self.axes:
            parts = [self._read_index(self._index(plane, 0, box, step))]
        elif self._channels_lie_together(channels):
            first = min(channels)
            span = slice(first, max(channels) + 1)
            block = self._read_index(self._index(plane, span, box, step))
            parts = [block[[channel - first for channel in channels]]]
        else:
            parts = [
                self._read_index(self._index(plane, c, box, step)) for c in channels
            ]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _channels_lie_together(self, channels: Sequence[int]) -> bool:
        """Whether one chunk holds them all, so that they are best read at once."""
        size = self.chunks[self.axes.index(CHANNEL)]
        return min(channels) // size == max(channels) // size

    def _index(
        self, plane: tuple[int, ...], channels: int | slice, box: Box, step: int
    ) -> tuple[int | slice, ...]:
        """What to index the array with; stack axes with integers, the rest slices."""
        rows, columns = (slice(s.start, s.stop, step) for s in box.slices)
        span = (
            channels if isinstance(channels, slice) else slice(channels, channels + 1)
        )
        by_axis: dict[str, int | slice] = {CHANNEL: span, "y": rows, "x": columns}
        stack = stack_letters(self.axes)
        factors = self.stack_factors or (1.0,) * len(stack)
        for name, i, factor in zip(stack, plane, factors, strict=True):
            # A pyramid may shrink the stack too: then take the plane that holds the
            # middle of ours; the last one may have been dropped.
            last = self.array.shape[self.axes.index(name)] - 1
            by_axis[name] = min(int((i + 0.5) / factor), last)
        return tuple(by_axis[name] for name in self.axes)

    def _read_index(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        """The pixels at `index`, as (channels, height, width)."""
        try:
            block = self._fetch(index, self._where(index))
        except ImageReadError as error:
            damaged = self._first_damaged_chunk(index)
            raise damaged or error from error.__cause__
        kept = [
            n for n, i in zip(self.axes, index, strict=True) if isinstance(i, slice)
        ]
        if CHANNEL not in kept:
            kept, block = [CHANNEL, *kept], block[None]
        block = block.transpose([kept.index(name) for name in (CHANNEL, *PLANE)])
        return block.astype(block.dtype.newbyteorder("="), copy=False)

    def _fetch(self, index: tuple[int | slice, ...], where: str) -> NDArray[Any]:
        needed = f"{where} of {self.name} needs to be readable"
        remedy = (
            "The file may be damaged or out of reach; other regions may still work."
        )
        with ForeignErrors(ImageReadError, needed, remedy):
            return np.asarray(self.array[index])

    def _where(self, index: tuple[int | slice, ...]) -> str:
        """A region in words, such as "Region z=3, y=0:512, x=512:1024"."""
        words = (
            f"{name}={i.start}:{i.stop}" if isinstance(i, slice) else f"{name}={i}"
            for name, i in zip(self.axes, index, strict=True)
        )
        return f"Region {', '.join(words)}"

    def _first_damaged_chunk(
        self, index: tuple[int | slice, ...]
    ) -> ImageReadError | None:
        """The error of the first chunk at `index` that cannot be read, if it stays."""
        if not self.is_chunked:
            return None
        sides = self.chunks
        touched = (
            range(i.start // n, (i.stop - 1) // n + 1)
            if isinstance(i, slice)
            else range(i // n, i // n + 1)
            for i, n in zip(index, sides, strict=True)
        )
        for chunk in product(*touched):
            corner = tuple(
                slice(c * n, c * n + 1) for c, n in zip(chunk, sides, strict=True)
            )
            numbers = ", ".join(
                f"{name}={c}" for name, c in zip(self.axes, chunk, strict=True)
            )
            try:
                self._fetch(corner, f"Chunk {numbers} ({self._where(index).lower()})")
            except ImageReadError as error:
                return error
        return None


def plan_levels(
    shapes: Sequence[tuple[int, int]], factors: Sequence[tuple[float, float]]
) -> tuple[LevelPlan, ...]:
    """All levels of a plane, finest first.

    Parameters
    ----------
    shapes
        (height, width) of the stored levels, finest first.
    factors
        (y, x) size of their pixels, in pixels of level 0.
    """
    plans: list[LevelPlan] = []
    for base, (shape, factor) in enumerate(zip(shapes, factors, strict=True)):
        plans.append(LevelPlan(Level(shape, factor, stored=True), base, 1))
        following = factors[base + 1] if base + 1 < len(factors) else None
        plans.extend(_virtual_levels(base, shape, factor, following))
    return tuple(plans)


def _virtual_levels(
    base: int,
    shape: tuple[int, int],
    factor: tuple[float, float],
    following: tuple[float, float] | None,
) -> Iterator[LevelPlan]:
    """Levels made from a stored one, up to the next stored one or 256 pixels."""
    step = 1
    while True:
        finer = (ceil(shape[0] / step), ceil(shape[1] / step))
        step *= 2
        factors = (factor[0] * step, factor[1] * step)
        if following is None and max(finer) <= COARSEST_SIDE:
            return
        if following is not None and max(factors) * GAP_FACTOR >= max(following):
            return
        coarser = (ceil(shape[0] / step), ceil(shape[1] / step))
        yield LevelPlan(Level(coarser, factors, stored=False), base, step)


def axis_factor(size: int, finest: int, claimed: float | None, chunk: int = 1) -> float:
    """How many pixels of the finest level one pixel of a coarser one spans on an axis.

    What the metadata claim counts, also where the coarser level was cropped by a pixel,
    or padded to whole chunks:

        finest, 1000      |....................|
        level, 512 x 2    |....................|....|     2, not 1000 / 512

    A claim that the sizes contradict, or none, leaves the rounded ratio of the sizes,
    or the exact one where the pyramid was not made by whole numbers.

    Parameters
    ----------
    size, finest
        Of the level and of the finest one along the axis.
    claimed
        What the metadata say.
    chunk
        Of the level along the axis.
    """
    exact = finest / size
    if claimed is not None and claimed > 0:
        over = claimed * size - finest
        # Each halving may have dropped or added one of its pixels.
        if -2 * claimed <= over <= max(2, chunk) * claimed:
            return float(claimed)
    rounded = round(exact)
    is_whole = rounded > 0 and abs(finest - rounded * size) <= 2 * rounded
    return float(rounded) if is_whole else exact
