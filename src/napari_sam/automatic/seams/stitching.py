"""One object, one id, across the seams of any number of windows.

Windows and their overlaps are collected in any order; then it is decided which objects
are the same (the rules are in `matching`). Ids are numbered from 1 in reading
order. Whole objects are painted over cut ones, whose ends are straight where a window
ends; and small objects over large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.seams.matching import (
    Flags,
    Indices,
    ObjectPairs,
    PlaneObjects,
    groups_of,
    whole_objects,
)
from napari_sam.automatic.window.window_objects import Overlaps, WindowTable
from napari_sam.predictor import Cell


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """What became of the objects of all windows of a plane; n ids are given.

    Parameters
    ----------
    keys_w
        The windows, ascending; see `key_of`.
    starts_w
        Where the objects of each window begin in `ids`; one more entry ends the last.
    ids
        Final id of each object, 0 where there is none.
    is_shared_n
        Whether several windows draw an id together, each what it sees of it.
    order_n
        Place of an id in the order of painting; what is painted last is on top.
    scores_n
        0..1, the highest of what an id is drawn from.
    """

    keys_w: Indices
    starts_w: Indices
    ids: NDArray[np.uint32]
    is_shared_n: Flags
    order_n: Indices
    scores_n: NDArray[np.float32]

    @property
    def count(self) -> int:
        """How many ids there are; the highest of them."""
        return len(self.scores_n)

    def ids_of(self, cell: Cell) -> NDArray[np.uint32]:
        """The final ids of a window's objects, 0 where one is not drawn from it."""
        key = key_of(cell)
        index = int(np.searchsorted(self.keys_w, key))
        if index == len(self.keys_w) or self.keys_w[index] != key:
            return np.zeros(0, dtype=np.uint32)
        return self.ids[self.starts_w[index] : self.starts_w[index + 1]]


class Stitcher:
    """Collects the results of windows, and decides what is one object.

    It keeps some 60 bytes for each object of a window, and as many for each pair of
    objects that share a pixel, and nothing else.

    Parameters
    ----------
    max_shared
        Of two objects that share more than this of the smaller one's area, one stays.
    """

    def __init__(self, max_shared: float) -> None:
        self._max_shared = max_shared
        self._keys: list[int] = []
        self._counts: list[int] = []
        self._objects = _Rows("core area cut y0 x0 score")
        self._pairs = _Rows("key_a a key_b b shared common_a common_b")

    def add(self, cell: Cell, table: WindowTable) -> None:
        """Take the objects of a window into account; each window once."""
        self._keys.append(key_of(cell))
        self._counts.append(len(table))
        self._objects.add(
            table.core_areas_n,
            table.areas_n,
            table.is_cut_n,
            table.boxes_n4[:, 0],
            table.boxes_n4[:, 1],
            table.scores_n,
        )

    def join(self, first: Cell, second: Cell, shared: Overlaps) -> None:
        """Take into account what two windows have in common; each pair once."""
        count = len(shared.shared_n)
        self._pairs.add(
            np.full(count, key_of(first)),
            shared.first_n,
            np.full(count, key_of(second)),
            shared.second_n,
            shared.shared_n,
            shared.first_common_n,
            shared.second_common_n,
        )

    def solve(self) -> Assignment:
        """Decide, now that every window and every pair has been added."""
        keys = np.array(self._keys, dtype=np.int64)
        counts = np.array(self._counts, dtype=np.int64)
        order = np.argsort(keys)
        starts_before = np.concatenate([[0], np.cumsum(counts)])
        # PlaneObjects in the order of windows, whatever the order they came in.
        chosen = [
            np.arange(starts_before[w], starts_before[w + 1]) for w in order.tolist()
        ]
        index = np.concatenate([*chosen, np.zeros(0, dtype=np.int64)])
        core, area, cut, y0, x0, score = (c[index] for c in self._objects.columns())
        objects = PlaneObjects(core, area, cut > 0, y0, x0, score.astype(np.float32))
        keys, starts = keys[order], np.concatenate([[0], np.cumsum(counts[order])])
        pairs = self._sorted_pairs(keys, starts, objects)
        whole = whole_objects(objects, pairs, self._max_shared)
        groups = groups_of(objects, pairs, whole, self._max_shared)
        return _numbered(objects, groups, keys, starts)

    def _sorted_pairs(
        self, keys: Indices, starts: Indices, objects: PlaneObjects
    ) -> ObjectPairs:
        columns = [c.astype(np.int64) for c in self._pairs.columns()]
        key_a, a, key_b, b, shared, common_a, common_b = columns
        a = starts[np.searchsorted(keys, key_a)] + a
        b = starts[np.searchsorted(keys, key_b)] + b
        return ObjectPairs.of(objects, np.stack([a, b, shared, common_a, common_b]))


def key_of(cell: Cell) -> int:
    """A number for a window; they ascend row by row."""
    return (cell[0] << 31) + cell[1]


class _Rows:
    """A table that grows, in few large arrays rather than in many small ones."""

    BATCH = 4096

    def __init__(self, columns: str) -> None:
        self._width = len(columns.split())
        self._done: list[NDArray[np.float64]] = []
        self._new: list[NDArray[np.float64]] = []

    def add(self, *columns: NDArray[np.generic]) -> None:
        if len(columns[0]):
            # Whole numbers are exact in a float64 as far as they count pixels.
            self._new.append(np.stack(columns).astype(np.float64))
        if len(self._new) >= self.BATCH:
            self._pack()

    def columns(self) -> NDArray[np.float64]:
        self._pack()
        return np.concatenate([np.zeros((self._width, 0)), *self._done], axis=1)

    def _pack(self) -> None:
        if self._new:
            self._done.append(np.concatenate(self._new, axis=1))
            self._new = []


def _numbered(
    objects: PlaneObjects, groups: Indices, keys: Indices, starts: Indices
) -> Assignment:
    """Ids in reading order of the topmost, then leftmost pixel of what has them."""
    drawn = np.flatnonzero(groups >= 0)
    in_order = drawn[np.lexsort((drawn, objects.x0[drawn], objects.y0[drawn]))]
    _, first, inverse = np.unique(
        groups[in_order], return_index=True, return_inverse=True
    )
    numbers = np.empty(len(first), dtype=np.int64)
    numbers[np.argsort(first)] = np.arange(len(first))
    number = numbers[inverse]  # from 0, of each object in order
    count = len(first)
    ids = np.zeros(len(objects), dtype=np.uint32)
    ids[in_order] = number + 1
    parts = np.bincount(number, minlength=count)
    alone = parts[number] == 1
    seen = np.where(alone, objects.area[in_order], objects.core[in_order])
    areas = np.bincount(number, seen, minlength=count)
    scores = np.zeros(count, dtype=np.float32)
    np.maximum.at(scores, number, objects.score[in_order])
    is_whole = np.zeros(count, dtype=bool)
    is_whole[number] = ~objects.is_cut[in_order]
    order = np.empty(count, dtype=np.int64)
    # The last key counts first: a whole object is never under the end of a cut one.
    by = np.lexsort((-np.arange(count), scores, -areas, is_whole))
    order[by] = np.arange(count)
    return Assignment(keys, starts, ids, parts > 1, order, scores)
