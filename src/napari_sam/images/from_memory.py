"""Arrays that somebody else made: numpy's, dask's, or a pyramid of them."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np
import xxhash
from numpy.typing import NDArray

from napari_sam.images.stored import LazyArray, StoredImage, unique_state

MOST_BYTES = 2**30
"""That are read to know an array by its pixels: a tenth of a second."""


def open_arrays(levels: Sequence[LazyArray]) -> StoredImage:
    """Take arrays as the levels of an image.

    Pixels that lie in memory identify the image, so that what was computed from
    them is found again in another process. Others would have to be read or computed
    for that, and are a new image each time.
    """
    return StoredImage(tuple(levels), state=_state(levels[0]) if levels else "")


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
