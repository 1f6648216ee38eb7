"""Stacks that lie in files of one plane each: a list of paths, a glob, a folder.

    slices/
        cell_z2.tif      plane 0
        cell_z10.tif     plane 1: names are sorted as people count

Only the first file is opened to begin with. Files are opened as their planes are read,
and a few stay open; one of another size is an error that names it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import ImageError, ImageReadError
from napari_sam.images.stored import StoredImage

MOST_OPEN = 16

OpenOne = Callable[[str | Path], StoredImage]


class FileStack:
    """Files of one plane each as one lazy array, along a new first axis.

    Parameters
    ----------
    files
        In order.
    open_one
        Opens one of them.
    """

    def __init__(self, files: Sequence[str | Path], open_one: OpenOne) -> None:
        self._files, self._open_one = tuple(files), open_one
        self._open: OrderedDict[int, StoredImage] = OrderedDict()
        self._lock = Lock()
        first = self._opened(0)
        self.first = first
        self.dtype = np.dtype(first.arrays[0].dtype)
        self.plane_shape = tuple(first.arrays[0].shape)
        self.shape = (len(self._files), *self.plane_shape)

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        first, *rest = index
        if isinstance(first, slice):
            numbers = range(*first.indices(len(self._files)))
            return np.stack([self._read(n, tuple(rest)) for n in numbers])
        return self._read(range(len(self._files))[first], tuple(rest))

    def close(self) -> None:
        """Close the files that are open."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _read(self, number: int, index: tuple[int | slice, ...]) -> NDArray[Any]:
        with self._lock:
            array = self._opened(number).arrays[0]
            found = tuple(array.shape), np.dtype(array.dtype)
            if found != (self.plane_shape, self.dtype):
                raise ImageReadError(
                    f"All files of a stack need the size and type of the first, "
                    f"{self.plane_shape} {self.dtype}; {self._files[number]} has "
                    f"{found[0]} {found[1]}. Leave it out."
                )
            return np.asarray(array[index])

    def _opened(self, number: int) -> StoredImage:
        if number not in self._open:
            self._open[number] = self._open_one(self._files[number])
            if len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return self._open[number]


def open_files(
    files: Sequence[str | Path], open_one: OpenOne, name: str, source: str | None
) -> StoredImage:
    """Take files as the planes of a stack.

    Parameters
    ----------
    files
        Paths or URLs, at least one, in order.
    open_one
        Opens one of them.
    name, source
        As in `StoredImage`.

    Raises
    ------
    ImageError
        The first cannot be opened, or has more than one plane.
    """
    stack = FileStack(files, open_one)
    first = stack.first
    axes = first.axes or "yx"
    planes = [
        n for n, a in zip(stack.plane_shape, axes, strict=False) if a not in "yxcs"
    ]
    if len(axes) != len(stack.plane_shape) or any(n > 1 for n in planes):
        stack.close()
        raise ImageError(
            f"A stack of files needs one plane in each, {files[0]} has shape "
            f"{stack.plane_shape}. Open it alone, or join them as one OME-Zarr."
        )
    letter = next(a for a in "ztp" if a not in axes)
    return StoredImage(
        arrays=(stack,),
        axes=letter + axes,
        is_rgb=first.is_rgb,
        pixel_size=first.pixel_size,
        units=first.units,
        name=name,
        source=source,
        close=stack.close,
    )


def counted_order(files: Sequence[Path]) -> list[Path]:
    """Sort names as people count: z2 comes before z10."""

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name)
        return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]

    return sorted(files, key=key)
