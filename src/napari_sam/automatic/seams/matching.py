"""Which objects of overlapping windows are the same, and which of them stay.

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
   smaller one's area, the better stays: by its score, its share in its own core, and
   how many other windows agree. It is drawn from its own window alone, over seams as
   far as it goes; so a neighbour that saw it worse, or missed it, cannot cut it. One
   that lies outside of its window's core, where a neighbour has the better view, counts
   only if `CONFIRMED_BY` other windows see it too.
3. A cut object that is the same as a whole one that stayed, or is mostly covered by
   it, is a part of it. What is left of the cut ones belongs together if it is the
   same: an object larger than a window. It is drawn as all of its windows together
   see it: were each to draw its core alone, a window that misses a part of the object
   would leave a straight edge.
4. A cut object that no other window confirms stays if most of it is in its core.

All of this is decided in an order that follows from the objects themselves and their
places, never from the order in which windows were computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SAME_IOU = 0.5
PART_SHARE = 0.75
"""Of a cut object's pixels in the overlap of two windows, that have to lie in another
object for it to be a part of that one; and they have to be `PART_IOU` of the two."""

PART_IOU = 0.25
CORE_WEIGHT = 0.25
"""How much worse than in its core an object far out in the halo is taken to be."""

AGREEMENT_WEIGHT = 0.25
"""How much better an object is for each other window that sees all of it alike."""

CONFIRMED_BY = 2  # other windows that see an object whole, and alike

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class PlaneObjects:
    """The objects of all windows, row by row of windows."""

    core: NDArray[np.float64]
    area: NDArray[np.float64]
    is_cut: Flags
    y0: NDArray[np.float64]
    x0: NDArray[np.float64]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.area)


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPairs:
    """Objects of different windows that share pixels; sorted, each pair once.

    Parameters
    ----------
    a, b
        The objects; the one of the earlier window first.
    shared
        Pixels that both have.
    common_a, common_b
        Pixels that each has where the two windows overlap.
    are_same
        Whether they are one object.
    """

    a: Indices
    b: Indices
    shared: Indices
    common_a: Indices
    common_b: Indices
    are_same: Flags

    @classmethod
    def of(cls, objects: PlaneObjects, columns: NDArray[np.int64]) -> ObjectPairs:
        """Pairs in any order: rows of a, b, shared, common_a and common_b."""
        is_turned = columns[0] > columns[1]
        columns[:, is_turned] = columns[:, is_turned][[1, 0, 2, 4, 3]]
        a, b, shared, common_a, common_b = columns[:, np.lexsort(columns[1::-1])]
        ious = _ious(shared, common_a, common_b)
        is_part = (objects.is_cut[a] & (shared >= PART_SHARE * common_a)) | (
            objects.is_cut[b] & (shared >= PART_SHARE * common_b)
        )
        are_same = (ious >= SAME_IOU) | (is_part & (ious >= PART_IOU))
        return cls(a, b, shared, common_a, common_b, are_same)

    def take(self, flags: Flags) -> ObjectPairs:
        """Some of them."""
        return ObjectPairs(
            self.a[flags],
            self.b[flags],
            self.shared[flags],
            self.common_a[flags],
            self.common_b[flags],
            self.are_same[flags],
        )


def _ious(shared: Indices, first: Indices, second: Indices) -> NDArray[np.float64]:
    ious: NDArray[np.float64] = shared / np.maximum(first + second - shared, 1)
    return ious


def whole_objects(
    objects: PlaneObjects, pairs: ObjectPairs, max_shared: float
) -> Flags:
    """Which whole objects stay."""
    is_whole = ~objects.is_cut
    both = pairs.take(is_whole[pairs.a] & is_whole[pairs.b] & pairs.are_same)
    confirmed_by = _sums(objects, both, np.ones(len(both.a)), np.ones(len(both.a)))
    may = is_whole & ((objects.core > 0) | (confirmed_by >= CONFIRMED_BY))
    ranks = _ranks(objects, _agreement(objects, pairs))
    pairs = pairs.take(may[pairs.a] & may[pairs.b])
    smaller = np.minimum(objects.area[pairs.a], objects.area[pairs.b])
    rivals = pairs.take(pairs.are_same | (pairs.shared > max_shared * smaller))
    return _best(ranks, may, rivals)


def _agreement(objects: PlaneObjects, pairs: ObjectPairs) -> NDArray[np.float64]:
    """How many other windows see each object alike; less for those that see less."""
    same = pairs.take(pairs.are_same)
    ious = _ious(same.shared, same.common_a, same.common_b)
    seen_a = same.common_a / np.maximum(objects.area[same.a], 1)
    seen_b = same.common_b / np.maximum(objects.area[same.b], 1)
    return _sums(objects, same, ious * seen_a, ious * seen_b)


def _sums(
    objects: PlaneObjects,
    pairs: ObjectPairs,
    of_a: NDArray[np.float64],
    of_b: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sums over the pairs of each object."""
    # In the order of the pairs, which is sorted: floats add up alike every time.
    count = len(objects)
    sums: NDArray[np.float64] = np.bincount(pairs.a, of_a, count).astype(np.float64)
    return sums + np.bincount(pairs.b, of_b, count)


def _ranks(objects: PlaneObjects, agreement: NDArray[np.float64]) -> Indices:
    """Place of each object among all, the best first; no two have the same."""
    share = objects.core / np.maximum(objects.area, 1)
    value = objects.score * (1 - CORE_WEIGHT + CORE_WEIGHT * share)
    value = value * (1 + AGREEMENT_WEIGHT * agreement)
    # The last key counts first; equal ones stay in the order of windows.
    order = np.lexsort((-objects.area, -value))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order))
    return ranks


def _best(ranks: Indices, may: Flags, rivals: ObjectPairs) -> Flags:
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


def groups_of(
    objects: PlaneObjects, pairs: ObjectPairs, whole: Flags, max_shared: float
) -> Indices:
    """A number for each object that is drawn, equal for parts of one; -1 for others."""
    if not len(objects):
        return np.zeros(0, dtype=np.int64)
    left = objects.is_cut.copy()
    for cut, other in ((pairs.a, pairs.b), (pairs.b, pairs.a)):
        covered = pairs.are_same | (pairs.shared > max_shared * objects.area[cut])
        left[cut[covered & whole[other]]] = False
    joined = pairs.take(left[pairs.a] & left[pairs.b] & pairs.are_same)
    graph = coo_array(
        (np.ones(len(joined.a), dtype=bool), (joined.a, joined.b)),
        shape=(len(objects), len(objects)),
    )
    _, groups = connected_components(graph, directed=False)
    in_core = np.bincount(groups, objects.core)[groups]
    is_alone = np.bincount(groups)[groups] == 1
    is_inside = 2 * objects.core > objects.area
    left &= np.where(is_alone, is_inside, in_core > 0)
    return np.where(whole | left, groups, -1).astype(np.int64)
