"""A store with room for one object, and disks that fail while it is written."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import numpy as np
from zarr.storage import LocalStore

from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore

GEOMETRY = LabelGeometry.of_shape("yx", (100, 100))
SMALL = LabelOptions(chunk_size=16, shard_size=32, coarsest_size=32)
BOX = Box(20, 20, 80, 80)
MASK = np.ones(BOX.shape, dtype=bool)


def levels(store: LabelStore) -> list[np.ndarray[Any, Any]]:
    return [level[:] for level in store.levels]


def assert_object_whole(store: LabelStore) -> None:
    expected = np.zeros(GEOMETRY.shape, dtype=np.uint32)
    expected[BOX.slices] = 1
    for number, level in enumerate(levels(store)):
        step = 2**number
        np.testing.assert_array_equal(level, expected[::step, ::step])


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def read_only(*_: Any, **__: Any) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def failing_after(count: int) -> Callable[..., Any]:
    """A `LocalStore.set` for which the disk is full after so many blocks."""
    real, left = LocalStore.set, [count]

    async def write(self: LocalStore, key: str, *rest: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            full_disk()
        await real(self, key, *rest)

    return write
