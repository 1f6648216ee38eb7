"""What went wrong with which object: merged, split, missed, extra.

An object covers another if it holds at least half of its pixels.

    merged   a tested object covers two or more reference objects
    split    a reference object covers two or more tested objects
    missed   a reference object that no tested object covers, and that is not split
    extra    a tested object that covers no reference object, and is covered by none

The lists hold what happened and may name objects that match all the same: a nucleus
with a good outline that also swallowed a fragment beside it is in the list of merges.
Each reference object also has one verdict, which is the first that holds of: matched
(IoU > 0.5 with its partner), merged, split, missed, loose (an object covers it, and
goes on far beyond it).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_sam.evaluation.matching import Meetings, Positions
from napari_sam.evaluation.overlaps import Ids

Flags = NDArray[np.bool_]


class Verdict(StrEnum):
    """What became of a reference object."""

    MATCHED = "matched"
    MERGED = "merged"
    SPLIT = "split"
    MISSED = "missed"
    LOOSE = "loose"


@dataclass(frozen=True, slots=True)
class Group:
    """One object that covers several of the other volume."""

    one: int  # label id
    several: tuple[int, ...]  # label ids, ascending


@dataclass(frozen=True, slots=True, eq=False)
class Mistakes:
    """Lists of mistakes by label id, and flags for each reference object."""

    merged: tuple[Group, ...]  # one tested object, several of the reference
    split: tuple[Group, ...]  # one reference object, several tested
    missed: Ids  # of the reference
    extra: Ids  # of the tested
    is_merged: Flags  # in the order of the reference's objects, as the following
    is_split: Flags
    verdicts: NDArray[np.str_]


def find_mistakes(meetings: Meetings) -> Mistakes:
    """Sort out which objects were merged, split, missed or made up."""
    tested, reference = meetings.tested, meetings.reference
    held = meetings.only(
        meetings.overlaps * 2 >= reference.areas[meetings.reference_positions]
    )  # pairs whose tested object covers the reference object
    holding = meetings.only(
        meetings.overlaps * 2 >= tested.areas[meetings.tested_positions]
    )  # pairs whose reference object covers the tested object
    merges = repeated(held.tested_positions, len(tested))
    splits = repeated(holding.reference_positions, len(reference))
    merging, splitting = held.only(merges), holding.only(splits)
    is_split = named(splitting.reference_positions, len(reference))
    is_missed = ~named(held.reference_positions, len(reference)) & ~is_split
    is_known = named(held.tested_positions, len(tested))
    is_known |= named(holding.tested_positions, len(tested))
    is_merged = named(merging.reference_positions, len(reference))
    is_matched = named(meetings.matches().reference_positions, len(reference))
    verdicts = np.select(
        [is_matched, is_merged, is_split, is_missed],
        [Verdict.MATCHED, Verdict.MERGED, Verdict.SPLIT, Verdict.MISSED],
        Verdict.LOOSE,
    )
    return Mistakes(
        merged=groups(merging),
        split=groups(splitting.swapped()),
        missed=reference.ids[is_missed],
        extra=tested.ids[~is_known],
        is_merged=is_merged,
        is_split=is_split,
        verdicts=verdicts,
    )


def repeated(positions: Positions, count: int) -> Flags:
    """Which of the positions, each below `count`, are there more than once."""
    return np.bincount(positions, minlength=count)[positions] > 1


def named(positions: Positions, count: int) -> Flags:
    """Flags for 0 ... count - 1: which of them is among the positions."""
    flags = np.zeros(count, dtype=bool)
    flags[positions] = True
    return flags


def groups(meetings: Meetings) -> tuple[Group, ...]:
    """Gather the pairs by tested object."""
    order = np.lexsort((meetings.reference_positions, meetings.tested_positions))
    ones, starts = np.unique(meetings.tested_positions[order], return_index=True)
    several = meetings.reference.ids[meetings.reference_positions[order]]
    return tuple(
        Group(int(one), tuple(members.tolist()))
        for one, members in zip(
            meetings.tested.ids[ones], np.split(several, starts)[1:], strict=True
        )
    )
