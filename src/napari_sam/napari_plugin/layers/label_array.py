"""Labels on disk, (stack axes, y, x), with the axes of the image layer over them.

    layer    t  c  z  y  x        the labels of an object are the same in every
    labels   t     z  y  x        channel: c is there, but costs nothing

Lazy as the zarr array underneath, never dask, whose cache would show old pixels. Where
the axes are the same already, the zarr array itself does.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam.axes import CHANNEL

Index = int | slice | EllipsisType


class LabelArray:
    """One level of labels, indexed as viewers do: with integers and slices.

    Parameters
    ----------
    array
        Of the axes `stored`.
    stored
        A letter for each axis of the array.
    axes
        Those to show: the stored ones in some order, and perhaps channels.
    channel_count
        Length of the channel axis.
    """

    def __init__(
        self, array: zarr.Array[Any], stored: str, axes: str, channel_count: int
    ) -> None:
        self._array, self._stored, self._axes = array, stored, axes
        sizes = dict(zip(stored, array.shape, strict=True))
        self.shape = tuple({CHANNEL: channel_count, **sizes}[name] for name in axes)
        self.dtype = array.dtype
        self.ndim = len(axes)
        self.size = int(np.prod(self.shape))

    def __getitem__(self, index: Index | tuple[Index, ...]) -> NDArray[Any]:
        wanted = self._by_axis(index)
        key = tuple(wanted[name] for name in self._stored)
        found = np.asarray(self._array[key])
        left = [name for name in self._stored if isinstance(wanted[name], slice)]
        shown = [name for name in self._axes if isinstance(wanted[name], slice)]
        channels = wanted.get(CHANNEL)
        if isinstance(channels, slice):
            count = len(range(self.shape[self._axes.index(CHANNEL)])[channels])
            found = np.broadcast_to(found, (count, *found.shape))
            left = [CHANNEL, *left]
        return found.transpose([left.index(name) for name in shown])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[(slice(None),) * self.ndim]
        return np.array(whole, dtype=dtype) if copy else np.asarray(whole, dtype=dtype)

    def _by_axis(self, index: Index | tuple[Index, ...]) -> dict[str, int | slice]:
        given = list(index) if isinstance(index, tuple) else [index]
        at = given.index(...) if ... in given else len(given)
        before = [part for part in given[:at] if not isinstance(part, EllipsisType)]
        after = [part for part in given[at + 1 :] if not isinstance(part, EllipsisType)]
        between = [slice(None)] * (self.ndim - len(before) - len(after))
        parts = zip(self._axes, [*before, *between, *after], strict=True)
        return {n: p if isinstance(p, slice) else int(p) for n, p in parts}


def as_shown(
    levels: Sequence[zarr.Array[Any]], stored: str, axes: str, channel_count: int
) -> list[zarr.Array[Any] | LabelArray]:
    """The levels with the axes of a layer; parameters as of `LabelArray`."""
    if stored == axes:
        return list(levels)
    return [LabelArray(level, stored, axes, channel_count) for level in levels]
