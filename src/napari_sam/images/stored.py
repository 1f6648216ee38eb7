"""What the openers of all file formats hand over: lazy arrays and their metadata."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, TypeGuard

import numpy as np

from napari_sam.errors import ImageError


class LazyArray(Protocol):
    """Anything that reads pixels when indexed with integers and slices, not before."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel, either byte order."""

    def __getitem__(self, index: tuple[int | slice, ...], /) -> Any:
        """Read a part, as something that `np.asarray` takes."""


def nothing_to_close() -> None:
    """Close an image that holds no file open."""


def unique_state() -> str:
    """A new state for what has no lasting name to know it by."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as it lies in memory or on disk: no pixel of it has been read yet."""

    arrays: tuple[LazyArray, ...]  # the stored levels, finest first
    axes: str | None = None  # letters of `axes`; None: not known
    is_rgb: bool | None = None  # None: not known
    factors: tuple[Mapping[str, float], ...] | None = None  # of each level, by axis
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    translation: Mapping[str, float] = field(default_factory=dict)
    name: str = "image"
    source: str | None = None  # path or URL; None for what has neither
    state: str = field(default_factory=unique_state)  # differs between versions
    indices: LazyArray | None = None  # of a picture with a palette: its labels
    part: int | str | None = None  # which image of a file of several the user chose
    fill: float | None = None  # what stands for "no data", if the user has said
    notices: tuple[str, ...] = ()  # what is left out, in sentences for the user
    close: Callable[[], None] = nothing_to_close

    def __post_init__(self) -> None:
        check_levels(self.arrays, self.source or self.name)


def check_levels(arrays: Sequence[LazyArray], name: str) -> None:
    """Raise an ImageError unless the arrays are levels of one image, finest first."""
    if not arrays:
        raise ImageError(f"An image needs at least one array, got none in {name}.")
    first = arrays[0]
    for finer, array in pairwise(arrays):
        if len(array.shape) != len(finer.shape) or np.dtype(array.dtype) != first.dtype:
            raise ImageError(
                f"All levels of an image need the same axes and pixel type, got "
                f"{finer.shape} {finer.dtype} and {array.shape} {array.dtype} in "
                f"{name}."
            )
        if any(n > m for n, m in zip(array.shape, finer.shape, strict=True)):
            raise ImageError(
                f"The levels of an image need to come finest first, got {finer.shape} "
                f"before {array.shape} in {name}."
            )
    for array in arrays:
        if 0 in array.shape:
            raise ImageError(
                f"An image needs at least one pixel, got shape {array.shape} in {name}."
            )
    dtype = np.dtype(first.dtype)
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        raise ImageError(
            f"An image needs bool, integer or float pixels of at most 64 bits, got "
            f"{dtype} in {name}. Convert it first, a complex image to its magnitude."
        )


def is_lazy_array(value: object) -> TypeGuard[LazyArray]:
    """Whether `value` is like an array: numpy, dask, zarr, h5py and their like."""
    return all(hasattr(value, name) for name in ("shape", "dtype", "__getitem__"))
