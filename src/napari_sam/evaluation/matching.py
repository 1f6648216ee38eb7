"""Which object is which: matches and best partners, from a table of overlaps.

IoU is the shared pixels of two objects over the pixels of either. Objects of one
volume do not overlap, so an object that shares more than half of such a union leaves
no room for a second one: matches by IoU > 0.5 or more are one to one, and nothing has
to be assigned. A pair at exactly 0.5 is no match, since its object may have two.

Thresholds are whole twentieths, and compared in whole numbers: 9 of 10 pixels are not
above 0.90, which rounding could make of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import MaskError
from napari_sam.evaluation.overlaps import Counts, Ids, OverlapTable

TWENTIETHS = range(10, 20)
"""The thresholds of IoU, 0.50 to 0.95 in steps of 0.05, times 20."""

Positions = NDArray[np.int64]  # indices into the objects of a volume
Ratios = NDArray[np.float64]
NOBODY = -1


@dataclass(frozen=True, slots=True, eq=False)
class LabelledObjects:
    """The objects of one label volume, by ascending id."""

    ids: Ids
    areas: Counts  # pixels, or voxels of a volume

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, ids: Ids, counts: Counts) -> Self:
        """Sum up the pixels of each id but 0; ids may repeat in any order."""
        order = np.argsort(ids, kind="stable")
        ids, counts = ids[order], counts[order]
        found, starts = np.unique(ids, return_index=True)
        sums = np.add.reduceat(counts, starts) if len(starts) else counts
        return cls(found[found != 0], sums[found != 0])


@dataclass(frozen=True, slots=True, eq=False)
class Partners:
    """For each object of one volume, the one of the other with the highest IoU."""

    positions: Positions  # in the other volume; NOBODY for objects that meet none
    overlaps: Counts
    ious: Ratios  # 0 for objects that meet none
    twentieths: Counts  # the highest n with IoU > n / 20; -1 for objects that meet none

    def above(self, twentieths: int) -> NDArray[np.bool_]:
        """Which objects have a partner with IoU > twentieths / 20."""
        return self.twentieths >= twentieths


@dataclass(frozen=True, slots=True, eq=False)
class Meetings:
    """All pairs of objects of two volumes that share pixels."""

    tested: LabelledObjects
    reference: LabelledObjects
    tested_positions: Positions  # of each pair, in `tested`
    reference_positions: Positions
    overlaps: Counts  # shared pixels of each pair

    @classmethod
    def of(cls, table: OverlapTable) -> Self:
        """Find the objects and pairs in a table of overlaps."""
        tested = LabelledObjects.of(table.tested_ids, table.counts)
        reference = LabelledObjects.of(table.reference_ids, table.counts)
        is_pair = (table.tested_ids != 0) & (table.reference_ids != 0)
        return cls(
            tested,
            reference,
            np.searchsorted(tested.ids, table.tested_ids[is_pair]),
            np.searchsorted(reference.ids, table.reference_ids[is_pair]),
            table.counts[is_pair],
        )

    def swapped(self) -> Meetings:
        """The same with the two volumes swapped."""
        return Meetings(
            self.reference,
            self.tested,
            self.reference_positions,
            self.tested_positions,
            self.overlaps,
        )

    def only(self, keep: NDArray[np.bool_]) -> Meetings:
        """The same objects with some of the pairs."""
        return replace(
            self,
            tested_positions=self.tested_positions[keep],
            reference_positions=self.reference_positions[keep],
            overlaps=self.overlaps[keep],
        )

    @property
    def unions(self) -> Counts:
        """Pixels of each pair that are in either of its objects."""
        both = (
            self.tested.areas[self.tested_positions]
            + self.reference.areas[self.reference_positions]
        )
        return both - self.overlaps

    @property
    def ious(self) -> Ratios:
        """IoU of each pair, > 0."""
        return self.overlaps / self.unions

    def matches(self, twentieths: int = 10) -> Meetings:
        """The pairs with IoU > twentieths / 20, one to one; at least 10."""
        if twentieths < 10:
            raise MaskError(
                "Matches are one to one for thresholds of IoU of 10 twentieths or "
                f"more, got {twentieths}. Use a threshold of at least 0.5."
            )
        return self.only(self.overlaps * 20 > self.unions * twentieths)

    def best_partners(self) -> Partners:
        """Of each tested object; among equals, the partner with the lowest id."""
        ious = self.ious
        order = np.lexsort((self.reference_positions, -ious, self.tested_positions))
        own, firsts = np.unique(self.tested_positions[order], return_index=True)
        best = order[firsts]
        count = len(self.tested)
        partners = Partners(
            np.full(count, NOBODY, dtype=np.int64),
            np.zeros(count, dtype=np.int64),
            np.zeros(count),
            np.full(count, -1, dtype=np.int64),
        )
        partners.positions[own] = self.reference_positions[best]
        partners.overlaps[own] = self.overlaps[best]
        partners.ious[own] = ious[best]
        partners.twentieths[own] = (self.overlaps[best] * 20 - 1) // self.unions[best]
        return partners


@dataclass(frozen=True, slots=True)
class ThresholdScore:
    """How many objects match at one threshold; None stands for 0 / 0."""

    iou: float  # matches are above it
    true_positives: int
    false_positives: int  # tested objects without a match
    false_negatives: int  # reference objects without a match
    precision: float | None
    recall: float | None
    f1: float | None
    ap: float | None  # TP / (TP + FP + FN)


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """PQ = SQ x RQ, of the matches at IoU > 0.5; None stands for 0 / 0."""

    sq: float | None  # mean IoU of the matches
    rq: float | None  # F1 of the matches
    pq: float | None


def score_at(meetings: Meetings, twentieths: int) -> ThresholdScore:
    """Count matches and what has none, at IoU > twentieths / 20."""
    hits = len(meetings.matches(twentieths).overlaps)
    spurious, lost = len(meetings.tested) - hits, len(meetings.reference) - hits
    return ThresholdScore(
        twentieths / 20,
        hits,
        spurious,
        lost,
        precision=ratio(hits, hits + spurious),
        recall=ratio(hits, hits + lost),
        f1=ratio(2 * hits, 2 * hits + spurious + lost),
        ap=ratio(hits, hits + spurious + lost),
    )


def score_thresholds(meetings: Meetings) -> tuple[ThresholdScore, ...]:
    """Score at 0.50, 0.55 ... 0.95."""
    return tuple(score_at(meetings, twentieths) for twentieths in TWENTIETHS)


def panoptic_quality(meetings: Meetings) -> PanopticQuality:
    """Segmentation and recognition quality, and their product."""
    ious = meetings.matches().ious
    objects = len(meetings.tested) + len(meetings.reference)
    return PanopticQuality(
        sq=mean(ious),
        rq=ratio(2 * len(ious), objects),
        pq=ratio(2 * float(ious.sum()), objects),
    )


def ratio(part: float, whole: float) -> float | None:
    """Part of a whole; None if there is nothing to be a part of."""
    return part / whole if whole else None


def mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    """The mean, for flags the share that is true; None of nothing."""
    return float(values.mean()) if len(values) else None
