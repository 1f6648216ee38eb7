"""Arrays that somebody else made: numpy's, dask's, xarray's, or lists of them.

    what is given                      what it becomes
    one array                          an image of one level
    arrays of falling sizes            a pyramid, finest first
    arrays of one size                 a stack: frames, slices

Arrays that name their axes, as xarray's do, are taken at their word. Whatever is not
indexed like numpy, or has pixel types of its own, is wrapped in a `ForeignArray`.
"""

from __future__ import annotations

import mmap
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, TypeGuard

import numpy as np
import xxhash
from numpy.typing import NDArray

from napari_sam.axes import PLANE, SPARE_LETTERS
from napari_sam.errors import ForeignErrors, ImageError
from napari_sam.images.stored import LazyArray, StoredImage, is_lazy_array, unique_state

MOST_BYTES = 2**30
"""That are read to know an array by its pixels: a tenth of a second."""

LETTERS_OF_NAMES = {
    "time": "t",
    "frame": "t",
    "channel": "c",
    "band": "c",
    "depth": "z",
    "plane": "z",
    "slice": "z",
    "row": "y",
    "height": "y",
    "column": "x",
    "col": "x",
    "width": "x",
}
"""What axes are called by other libraries, in the singular."""


@dataclass(frozen=True, slots=True, eq=False)
class ForeignArray:
    """An array of another library, read as numpy's.

    Parameters
    ----------
    array
        Indexed with integers and slices, and then taken by `np.asarray`.
    shape, dtype
        As numpy has them.
    chunks
        What is read at once along each axis; None: any part can be read alone.
    """

    array: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...] | None

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        part = self.array[index]
        for to_numpy in ("detach", "cpu", "get"):  # of torch and of cupy
            part = getattr(part, to_numpy)() if hasattr(part, to_numpy) else part
        return np.asarray(part)


@dataclass(frozen=True, slots=True, eq=False)
class StackedArrays:
    """Arrays of one shape as one, along a new first axis."""

    parts: Sequence[LazyArray]

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of parts, and the shape of each."""
        return (len(self.parts), *self.parts[0].shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of every part."""
        return np.dtype(self.parts[0].dtype)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """A part at a time, where parts have chunks."""
        part = self.parts[0]
        inner = getattr(part, "chunksize", None) or getattr(part, "chunks", None)
        return (1, *inner) if inner else None

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        first, *rest = index
        if isinstance(first, slice):
            chosen = self.parts[first]
            return np.stack([np.asarray(part[tuple(rest)]) for part in chosen])
        return np.asarray(self.parts[first][tuple(rest)])


def open_arrays(arrays: Sequence[LazyArray]) -> StoredImage:
    """Take arrays as the levels of an image, or as the planes of a stack.

    Pixels that lie in memory identify the image, so that what was computed from
    them is found again in another process. Others would have to be read or computed
    for that, and are a new image each time.

    Raises
    ------
    ImageError
        For arrays of no known shape, and for pixels that are no numbers.
    """
    axes = _named_axes(arrays[0]) if arrays else None
    levels = [_as_numpy_like(array) for array in arrays]
    state = _state(levels[0]) if levels else ""
    if len(levels) > 1 and len({tuple(level.shape) for level in levels}) == 1:
        levels, state = [StackedArrays(levels)], unique_state()
        axes = None if axes is None else _free_letter(axes) + axes
    return StoredImage(tuple(levels), axes=axes, state=state)


def is_pyramid(source: object) -> TypeGuard[Sequence[LazyArray]]:
    """Whether it is a sequence of arrays, also one that looks like its first one.

    napari's data of a multiscale layer has a shape and a type itself.
    """
    return (
        isinstance(source, Sequence)
        and not isinstance(source, str)
        and len(source) > 0
        and all(is_lazy_array(level) for level in source)
    )


def _as_numpy_like(array: Any) -> LazyArray:
    """The array as it is if numpy's rules hold for it, else wrapped."""
    if any(isinstance(n, float) and isnan(n) for n in array.shape):
        raise ImageError(
            f"An image needs to know its size, got a dask array of shape "
            f"{array.shape}. Call its compute_chunk_sizes() first."
        )
    if isinstance(array, np.ndarray):
        return array
    if _is_xarray(array):
        return _as_numpy_like(array.data) if array.chunks else _wrapped(array)
    try:
        np.dtype(array.dtype)
    except TypeError:
        return _wrapped(array)
    return array if type(array.shape) is tuple else _wrapped(array)


def _wrapped(array: Any) -> ForeignArray:
    kind = type(array).__name__
    with ForeignErrors(
        ImageError, f"An image needs pixels that numpy knows, got a {kind} whose"
    ):
        if hasattr(array.dtype, "numpy_dtype"):  # tensorstore
            dtype = np.dtype(array.dtype.numpy_dtype)
            layout = getattr(array, "chunk_layout", None)
            chunks = tuple(layout.read_chunk.shape) if layout is not None else None
        elif hasattr(array, "numpy"):  # torch: only a part says which type it is
            corner = array[(slice(0, 1),) * len(array.shape)]
            dtype, chunks = corner.detach().cpu().numpy().dtype, None
        else:
            dtype, chunks = np.dtype(array.dtype), None
    usable = chunks if chunks and all(chunks) else None
    return ForeignArray(array, tuple(int(n) for n in array.shape), dtype, usable)


def _is_xarray(array: Any) -> bool:
    return all(hasattr(array, name) for name in ("dims", "coords", "chunks", "data"))


def _named_axes(array: Any) -> str | None:
    """Letters for the axes that an array names, None where y or x is not among them."""
    names: Sequence[Hashable] = getattr(array, "dims", ()) if _is_xarray(array) else ()
    letters = [_letter(str(name)) for name in names]
    if any(letters.count(letter) != 1 for letter in PLANE):
        return None
    for index, letter in enumerate(letters):
        if not letter or letters.count(letter) > 1:
            letters[index] = next(s for s in SPARE_LETTERS if s not in letters)
    return "".join(letters)


def _letter(name: str) -> str:
    """The axis letter that a name stands for, "" if it is none that is known."""
    lower = name.lower()
    if len(lower) == 1:
        return lower if lower in "tczyxs" else ""
    return LETTERS_OF_NAMES.get(lower.removesuffix("s"), "")


def _free_letter(axes: str) -> str:
    return next(letter for letter in SPARE_LETTERS if letter not in axes)


def _state(array: LazyArray) -> str:
    if not _is_in_memory(array) or array.nbytes > MOST_BYTES:
        return unique_state()
    digest = xxhash.xxh3_128(repr((array.dtype.str, array.shape)).encode())
    # Plane by plane: a view may have to be copied for its bytes to be in a row.
    for part in array if array.ndim > 1 else (array,):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _is_in_memory(array: Any) -> TypeGuard[NDArray[Any]]:
    """Whether it is a numpy array of numbers whose pixels are not in a mapped file."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        return False
    owner: Any = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, memoryview):
        owner = owner.obj
    return not isinstance(owner, mmap.mmap)
