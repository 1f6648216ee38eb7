"""One object, one id, across the seams of any number of windows.

Each window has been segmented by itself. Near a seam two windows show the same object,
one of them perhaps only a part of it, or something else, or nothing:

    core of A      |  core of B            window A ends here
        +----------|-------+               v
        |  ####    |       |   A sees all of 1 (#), and a part of 2 (o), which is cut
        |  ######  | oooooo|   by the end of the window
        |   ####   | oooooo|ooo
        +----------|-------+

An object is *cut* if it touches an inner end of its window, else it is *whole*.

1. Two objects are the same if they agree where their windows overlap: an intersection
   over union of `SAME_IOU`; or one that is cut lies mostly in the other.
2. Of whole objects that are the same, or that share more than `max_shared` of the
   smaller one's area, the better stays: by its score, and by its share in its own core.
   It is drawn from its own window alone, over seams as far as it goes; so a neighbour
   that saw it worse, or missed it, cannot cut it. One that lies outside of its window's
   core, where a neighbour has the better view, counts only if nothing speaks against
   it there: it is dropped.
3. A cut object that is the same as a whole one that stayed, or is mostly covered by
   it, is a part of it. What is left of the cut ones belongs together if it is the
   same: an object larger than a window. Each window draws its core of it, and beyond
   it only where no other window sees the object.
4. A cut object that no other window confirms stays if most of it is in its core.
5. Ids are numbered from 1 in reading order. Small objects are painted over large ones.

All of this is decided in an order that follows from the objects themselves and their
places, never from the order in which windows were computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_sam.automatic.overlaps import Overlaps
from napari_sam.automatic.piece import PieceTable
from napari_sam.tiling.window_grid import Cell

SAME_IOU = 0.5
PART_SHARE = 0.75
"""Of a cut object's pixels in the overlap of two windows, that have to lie in another
object for it to be a part of that one; and they have to be `PART_IOU` of the two."""

PART_IOU = 0.25
CORE_WEIGHT = 0.25
"""How much worse than in its core an object far out in the halo is taken to be."""

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


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
        Whether several windows draw an id, each a part.
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
        place = int(np.searchsorted(self.keys_w, key))
        if place == len(self.keys_w) or self.keys_w[place] != key:
            return np.zeros(0, dtype=np.uint32)
        return self.ids[self.starts_w[place] : self.starts_w[place + 1]]


class Stitcher:
    """Collects what windows have found, and says what is one object.

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

    def add(self, cell: Cell, table: PieceTable) -> None:
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
        # Objects in the order of windows, whatever the order they came in.
        chosen = [
            np.arange(starts_before[w], starts_before[w + 1]) for w in order.tolist()
        ]
        index = np.concatenate([*chosen, np.zeros(0, dtype=np.int64)])
        core, area, cut, y0, x0, score = (c[index] for c in self._objects.columns())
        objects = _Objects(core, area, cut > 0, y0, x0, score.astype(np.float32))
        keys, starts = keys[order], np.concatenate([[0], np.cumsum(counts[order])])
        pairs = self._sorted_pairs(keys, starts, objects)
        whole = _whole(objects, pairs, self._max_shared)
        groups = _groups(objects, pairs, whole, self._max_shared)
        return _numbered(objects, groups, keys, starts)

    def _sorted_pairs(
        self, keys: Indices, starts: Indices, objects: _Objects
    ) -> _Pairs:
        columns = [c.astype(np.int64) for c in self._pairs.columns()]
        key_a, a, key_b, b, shared, common_a, common_b = columns
        a = starts[np.searchsorted(keys, key_a)] + a
        b = starts[np.searchsorted(keys, key_b)] + b
        return _Pairs.of(objects, a, b, shared, common_a, common_b)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Objects:
    """The objects of all windows, row by row of windows."""

    core: NDArray[np.float64]
    area: NDArray[np.float64]
    is_cut: Flags
    y0: NDArray[np.float64]
    x0: NDArray[np.float64]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.area)

    @property
    def ranks(self) -> Indices:
        """Place of each object among all, the best first; no two have the same."""
        share = self.core / np.maximum(self.area, 1)
        value = self.score * (1 - CORE_WEIGHT + CORE_WEIGHT * share)
        # The last key counts first; equal ones stay in the order of windows.
        order = np.lexsort((-self.area, -value))
        ranks = np.empty(len(order), dtype=np.int64)
        ranks[order] = np.arange(len(order))
        return ranks


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Objects of different windows that share pixels."""

    a: Indices
    b: Indices
    shared: Indices
    are_same: Flags

    @classmethod
    def of(
        cls,
        objects: _Objects,
        a: Indices,
        b: Indices,
        shared: Indices,
        common_a: Indices,
        common_b: Indices,
    ) -> _Pairs:
        iou = shared / np.maximum(common_a + common_b - shared, 1)
        is_part = (objects.is_cut[a] & (shared >= PART_SHARE * common_a)) | (
            objects.is_cut[b] & (shared >= PART_SHARE * common_b)
        )
        return cls(a, b, shared, (iou >= SAME_IOU) | (is_part & (iou >= PART_IOU)))

    def take(self, flags: Flags) -> _Pairs:
        return _Pairs(
            self.a[flags], self.b[flags], self.shared[flags], self.are_same[flags]
        )


def _whole(objects: _Objects, pairs: _Pairs, max_shared: float) -> Flags:
    """Which whole objects stay."""
    may = ~objects.is_cut & (objects.core > 0)
    pairs = pairs.take(may[pairs.a] & may[pairs.b])
    smaller = np.minimum(objects.area[pairs.a], objects.area[pairs.b])
    rivals = pairs.take(pairs.are_same | (pairs.shared > max_shared * smaller))
    return _best(objects.ranks, may, rivals)


def _best(ranks: Indices, may: Flags, rivals: _Pairs) -> Flags:
    """Those that have no better rival that stays: best first, but all at once.

    Whoever is better than all its rivals that are left stays; they go; and so on. That
    is what going through them one by one would give, in a few rounds.
    """
    stays = np.zeros(len(ranks), dtype=bool)
    is_open = may.copy()
    a, b = rivals.a, rivals.b
    while is_open.any():
        best_rival = np.full(len(ranks), len(ranks))
        np.minimum.at(best_rival, a, ranks[b])
        np.minimum.at(best_rival, b, ranks[a])
        winners = is_open & (ranks < best_rival)
        stays |= winners
        is_open &= ~winners
        is_open[b[winners[a]]] = False
        is_open[a[winners[b]]] = False
        left = is_open[a] & is_open[b]
        a, b = a[left], b[left]
    return stays


def _groups(
    objects: _Objects, pairs: _Pairs, whole: Flags, max_shared: float
) -> Indices:
    """A number for each object that is drawn, equal for parts of one; -1 for others."""
    left = objects.is_cut.copy()
    for cut, other in ((pairs.a, pairs.b), (pairs.b, pairs.a)):
        covered = pairs.are_same | (pairs.shared > max_shared * objects.area[cut])
        left[cut[covered & whole[other]]] = False
    joined = pairs.take(left[pairs.a] & left[pairs.b] & pairs.are_same)
    count = len(objects)
    graph = coo_array(
        (np.ones(len(joined.a), dtype=bool), (joined.a, joined.b)), shape=(count, count)
    )
    _, groups = connected_components(graph, directed=False)
    is_alone = np.bincount(groups, minlength=1)[groups] == 1 if count else left
    in_core = np.bincount(groups, objects.core) if count else objects.core
    in_all = np.bincount(groups, objects.area) if count else objects.area
    keeps = 2 * in_core > in_all if count else left
    left &= ~is_alone | keeps[groups] if count else left
    drawn = whole | (left & (in_core[groups] > 0) if count else left)
    return np.where(drawn, groups, -1).astype(np.int64)


def _numbered(
    objects: _Objects, groups: Indices, keys: Indices, starts: Indices
) -> Assignment:
    """Ids in reading order of the topmost, then leftmost pixel of what has them."""
    drawn = np.flatnonzero(groups >= 0)
    in_order = drawn[np.lexsort((drawn, objects.x0[drawn], objects.y0[drawn]))]
    _, first, inverse = np.unique(
        groups[in_order], return_index=True, return_inverse=True
    )
    place = np.empty(len(first), dtype=np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    number = place[inverse]  # from 0, of each object in order
    count = len(first)
    ids = np.zeros(len(objects), dtype=np.uint32)
    ids[in_order] = number + 1
    parts = np.bincount(number, minlength=count)
    alone = parts[number] == 1
    seen = np.where(alone, objects.area[in_order], objects.core[in_order])
    areas = np.bincount(number, seen, minlength=count)
    scores = np.zeros(count, dtype=np.float32)
    np.maximum.at(scores, number, objects.score[in_order])
    order = np.empty(count, dtype=np.int64)
    order[np.lexsort((-np.arange(count), scores, -areas))] = np.arange(count)
    return Assignment(keys, starts, ids, parts > 1, order, scores)
