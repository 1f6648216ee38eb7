"""Two label volumes of one image, read block by block.

A block has the same pixels of both volumes. Its shape follows the chunks of both, so
that little is decoded twice, and small chunks are taken together, along x first:

    chunks of A   |--|--|--|--|--|--|
    chunks of B   |-----|-----|-----|
    blocks        |-----------|-----|     as many as fit into BLOCK_PIXELS

Only one block is ever in memory, besides what a format cannot do without: a picture
such as PNG is decoded whole, and so is a TIFF page that was compressed in one strip.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from math import ceil, prod
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.axes import CHANNEL
from napari_sam.errors import ForeignErrors, ImageReadError, LabelError
from napari_sam.images import LazyArray, StoredImage, find_image

BLOCK_PIXELS = 2**21
"""Read at once from each volume, unless one chunk is larger."""

Shape = tuple[int, ...]
Index = tuple[int | slice, ...]
Labels = NDArray[Any]  # of any integer type


@dataclass(frozen=True, slots=True)
class ComparedLabels:
    """The finest level of a stored label volume, without axes of size 1."""

    array: LazyArray
    dropped: tuple[int, ...]  # axes of size 1: channels, and leading ones
    name: str  # for errors

    @classmethod
    def of(cls, stored: StoredImage) -> Self:
        """Take a stored image for labels; a LabelError if it cannot be any."""
        # The numbers of a palette are ids; its colours are for the eye.
        array = stored.arrays[0] if stored.indices is None else stored.indices
        name = stored.source or stored.name
        if np.dtype(array.dtype).kind not in "bui":
            raise LabelError(
                f"Labels need whole numbers, got {array.dtype} in {name}. If that is "
                "the image, name its labels; else convert it to an integer type."
            )
        axes = (stored.axes or "").replace("s", CHANNEL)
        axes = axes if len(axes) == len(array.shape) else ""
        channel = axes.find(CHANNEL)
        if channel >= 0 and array.shape[channel] > 1:
            raise LabelError(
                f"Labels need one channel, got {array.shape[channel]} in {name}. Save "
                "ids as they are, as a grey picture, TIFF or zarr, not as colours."
            )
        dropped = [] if channel < 0 else [channel]
        for axis, size in enumerate(array.shape):
            if axis in dropped:
                continue
            if size > 1 or len(array.shape) - len(dropped) <= 2:
                break
            dropped.append(axis)
        return cls(array, tuple(sorted(dropped)), name)

    @property
    def shape(self) -> Shape:
        """Without the axes that are dropped."""
        return self._kept(self.array.shape)

    @property
    def chunks(self) -> Shape:
        """What is read at once along each axis; 1 where any part can be read alone."""
        chunks = getattr(self.array, "chunksize", None)  # dask
        chunks = chunks or getattr(self.array, "chunks", None)
        return self._kept(chunks) if chunks else (1,) * len(self.shape)

    def read(self, block: tuple[slice, ...]) -> Labels:
        """The labels in a block."""
        rest = iter(block)
        index: Index = tuple(
            0 if axis in self.dropped else next(rest)
            for axis in range(len(self.array.shape))
        )
        region = ", ".join(f"{part.start}:{part.stop}" for part in block)
        needed = f"Region [{region}] of {self.name} needs to be readable"
        with ForeignErrors(ImageReadError, needed, "The file may be damaged."):
            return np.asarray(self.array[index])

    def _kept(self, sizes: Sequence[int]) -> Shape:
        return tuple(
            int(size) for axis, size in enumerate(sizes) if axis not in self.dropped
        )


class LabelPair:
    """Two label volumes of the same image; files are closed at the end of a `with`.

    Parameters
    ----------
    tested, reference
        Anything that `open_image` takes: a path or URL of OME-Zarr, zarr, TIFF, PNG
        or .npy, or an array. Of a pyramid, the finest level counts. Axes of size 1
        that lead, or hold channels, are left out.

    Raises
    ------
    ImageError
        For what cannot be opened.
    LabelError
        For what cannot be labels, or not of the same image.
    """

    def __init__(self, tested: object, reference: object) -> None:
        with ExitStack() as on_failure:
            opened = on_failure.enter_context(ExitStack())
            views = []
            for source in (tested, reference):
                stored = find_image(source)
                opened.callback(stored.close)
                views.append(ComparedLabels.of(stored))
            self.tested, self.reference = views
            self._check_shapes()
            on_failure.pop_all()  # from here on `close` closes the files
        self._opened = opened

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files behind the volumes."""
        self._opened.close()

    @property
    def shape(self) -> Shape:
        """Pixels along each axis, of both."""
        return self.tested.shape

    def blocks(self, block_shape: Sequence[int] | None = None) -> LabelBlocks:
        """Cut both volumes into the same blocks; None: by their chunks."""
        if block_shape is None:
            block_shape = choose_block(
                self.shape, self.tested.chunks, self.reference.chunks
            )
        if len(block_shape) != len(self.shape) or min(block_shape) < 1:
            raise LabelError(
                f"A block of these labels needs {len(self.shape)} sizes of at least "
                f"one pixel, got {tuple(block_shape)}."
            )
        return LabelBlocks(self, tuple(block_shape))

    def _check_shapes(self) -> None:
        if self.tested.shape != self.reference.shape:
            raise LabelError(
                "Two label volumes need the same shape to be compared, got "
                f"{self.tested.array.shape} in {self.tested.name} and "
                f"{self.reference.array.shape} in {self.reference.name}. Both need to "
                "be of the same image, at the same level."
            )


@dataclass(frozen=True, slots=True)
class LabelBlocks:
    """The blocks of two label volumes, read one by one; each pixel is in one."""

    pair: LabelPair
    block_shape: Shape

    def __len__(self) -> int:
        sizes = zip(self.pair.shape, self.block_shape, strict=True)
        return prod(ceil(size / side) for size, side in sizes)

    def __iter__(self) -> Iterator[tuple[Labels, Labels]]:
        parts = [
            [slice(start, min(start + side, size)) for start in range(0, size, side)]
            for size, side in zip(self.pair.shape, self.block_shape, strict=True)
        ]
        for block in product(*parts):
            yield self.pair.tested.read(block), self.pair.reference.read(block)


def choose_block(shape: Shape, first: Shape, second: Shape) -> Shape:
    """Choose a block that reads well from volumes with these two chunks.

    It holds a chunk of both, or the larger one alone if that were too much, and then
    as many side by side as fit into BLOCK_PIXELS.
    """
    first, second = (
        tuple(max(1, min(pair)) for pair in zip(chunks, shape, strict=True))
        for chunks in (first, second)
    )
    both = tuple(max(pair) for pair in zip(first, second, strict=True))
    larger = max(first, second, key=prod)
    block = list(both if prod(both) <= max(BLOCK_PIXELS, prod(larger)) else larger)
    for axis in reversed(range(len(block))):
        needed = ceil(shape[axis] / block[axis])
        count = max(1, min(needed, BLOCK_PIXELS // prod(block)))
        block[axis] = min(block[axis] * count, shape[axis])
        if count < needed:
            break
    return tuple(block)
