"""How many pixels each object of one label volume shares with each of another.

The table of overlaps is all that a comparison needs: areas are its sums, and every
measure follows from areas and overlaps. It has a row for each pair of ids that meet,
background included, so it grows with the objects and not with the volume.

Pixels are first folded into runs along x in which neither label changes, so that
sorting, which costs most, sees the runs only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import LabelError
from napari_sam.evaluation.label_blocks import LabelBlocks, Labels

SLICE_PIXELS = 2**19
"""Folded into runs at once, since that takes several times the memory of the labels."""

PENDING_ROWS = 2**18
"""Rows that may wait to be merged into the table, or as many as the table has."""

Ids = NDArray[np.uint64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class OverlapTable:
    """Pairs of ids that share pixels, sorted, each pair once; id 0 is background."""

    tested_ids: Ids
    reference_ids: Ids
    counts: Counts  # pixels that carry both ids

    @classmethod
    def empty(cls) -> Self:
        """Return the table of no pixel at all."""
        none = np.empty(0, dtype=np.uint64)
        return cls(none, none, np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.counts)


class OverlapCounter:
    """Adds up the overlaps of one block after the other."""

    def __init__(self) -> None:
        self._table = OverlapTable.empty()
        self._pending: list[OverlapTable] = []
        self._pending_rows = 0

    def add(self, tested: Labels, reference: Labels) -> None:
        """Count the pixels of a block; both arrays have its shape."""
        flat_tested, flat_reference = tested.ravel(), reference.ravel()
        for start in range(0, flat_tested.size, SLICE_PIXELS):
            part = slice(start, start + SLICE_PIXELS)
            found = merge_rows([fold_runs(flat_tested[part], flat_reference[part])])
            self._pending.append(found)
            self._pending_rows += len(found)
            # Waiting for as many rows as there are keeps the work for each constant.
            if self._pending_rows > max(PENDING_ROWS, len(self._table)):
                self._merge()

    def table(self) -> OverlapTable:
        """All that was counted so far."""
        self._merge()
        return self._table

    def _merge(self) -> None:
        self._table = merge_rows([self._table, *self._pending])
        self._pending, self._pending_rows = [], 0


def fold_runs(tested: Labels, reference: Labels) -> OverlapTable:
    """Fold pixels, both of shape (n,), into runs: rows that repeat, not sorted."""
    is_start = np.empty(tested.shape, dtype=bool)
    is_start[:1] = True
    np.not_equal(tested[1:], tested[:-1], out=is_start[1:])
    is_start[1:] |= reference[1:] != reference[:-1]
    starts = np.flatnonzero(is_start)
    lengths = np.diff(starts, append=tested.size).astype(np.int64, copy=False)
    return OverlapTable(as_ids(tested[starts]), as_ids(reference[starts]), lengths)


def as_ids(labels: Labels) -> Ids:
    """Labels of any integer type as ids; a LabelError if one is negative."""
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise LabelError(
            f"Label ids need to be 0 (background) or more, got {labels.min()}. "
            "Replace negative values, by 0 where they mean no object."
        )
    return labels.astype(np.uint64)


def merge_rows(tables: list[OverlapTable]) -> OverlapTable:
    """One sorted row for each pair of ids, with the sum of its pixels."""
    tested = np.concatenate([table.tested_ids for table in tables])
    reference = np.concatenate([table.reference_ids for table in tables])
    counts = np.concatenate([table.counts for table in tables])
    if not counts.size:
        return OverlapTable.empty()
    order = np.lexsort((reference, tested))
    tested, reference = tested[order], reference[order]
    is_new = (tested[1:] != tested[:-1]) | (reference[1:] != reference[:-1])
    starts = np.concatenate([[0], np.flatnonzero(is_new) + 1])
    sums = np.add.reduceat(counts[order], starts)
    return OverlapTable(tested[starts], reference[starts], sums)


def count_overlaps(
    blocks: LabelBlocks, on_block: Callable[[int, int], None] | None = None
) -> OverlapTable:
    """Read two label volumes once, and count what their objects share.

    Parameters
    ----------
    blocks
        Of the two volumes.
    on_block
        Called after each block with how many are done, and how many there are.
    """
    counter = OverlapCounter()
    total = len(blocks)
    for done, (tested, reference) in enumerate(blocks, start=1):
        counter.add(tested, reference)
        if on_block is not None:
            on_block(done, total)
    return counter.table()
