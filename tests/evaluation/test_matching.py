"""Matches, scores and mistakes: hand-worked, and against doing it the long way."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from napari_sam.errors import MaskError
from napari_sam.evaluation.label_blocks import LabelPair
from napari_sam.evaluation.matching import (
    TWENTIETHS,
    Meetings,
    panoptic_quality,
    score_at,
    score_thresholds,
)
from napari_sam.evaluation.mistakes import Group, find_mistakes
from napari_sam.evaluation.overlaps import count_overlaps

Mask = NDArray[np.bool_]


def meet(tested: ArrayLike, reference: ArrayLike) -> Meetings:
    with LabelPair(np.atleast_2d(tested), np.atleast_2d(reference)) as pair:
        return Meetings.of(count_overlaps(pair.blocks()))


def moved(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels of squares, and the same with borders moved, ids mixed, some gone."""
    rng = np.random.default_rng(seed)
    tested, reference = np.zeros((2, 48, 48), dtype=np.int64)
    ids = rng.permutation(64) + 1
    for number, (y, x) in enumerate(product(range(0, 48, 6), repeat=2)):
        dy, dx = rng.integers(0, 3, 2)
        if rng.random() < 0.9:
            reference[y : y + 6 - dy, x : x + 6 - dx] = number + 1
        if rng.random() < 0.9:
            tested[y + dx : y + 6, x : x + 6] = ids[number]
    return tested, reference


def masks_of(labels: NDArray[np.int64]) -> list[Mask]:
    return [labels == one for one in np.unique(labels) if one]


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_scores_of_a_hand_worked_case() -> None:
    #  tested 1 and reference 1: IoU 3/4;  tested 2 and reference 2: IoU 2/5
    tested = [1, 1, 1, 0, 2, 2, 2, 0, 0, 3]
    reference = [1, 1, 1, 1, 0, 2, 2, 2, 2, 0]
    meetings = meet(tested, reference)
    score = score_at(meetings, 10)
    assert (score.true_positives, score.false_positives, score.false_negatives) == (
        1,
        2,
        1,
    )
    assert (score.precision, score.recall) == (1 / 3, 1 / 2)
    assert (score.ap, score.f1) == (1 / 4, 2 / 5)
    quality = panoptic_quality(meetings)
    assert (quality.sq, quality.rq) == (3 / 4, 2 / 5)
    assert quality.pq == pytest.approx(3 / 4 * 2 / 5)


def test_an_iou_of_exactly_the_threshold_is_not_above_it() -> None:
    nine_of_ten = meet([1] * 9 + [0], [1] * 10)
    assert [score.true_positives for score in score_thresholds(nine_of_ten)] == (
        [1] * 8 + [0] * 2
    )
    assert not nine_of_ten.best_partners().above(18).any()
    assert nine_of_ten.best_partners().above(17).all()


def test_two_halves_of_an_object_do_not_match_it() -> None:
    halves = meet([1, 1, 2, 2], [5, 5, 5, 5])
    assert score_at(halves, 10).true_positives == 0
    assert halves.best_partners().ious.tolist() == [0.5, 0.5]


def test_thresholds_that_leave_room_for_two_are_refused() -> None:
    with pytest.raises(MaskError, match=r"at least 0\.5"):
        meet([1], [1]).matches(9)


@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_assigning_masks_one_by_one(seed: int) -> None:
    tested, reference = moved(seed)
    ious = np.array(
        [[iou(a, b) for b in masks_of(reference)] for a in masks_of(tested)]
    )
    meetings = meet(tested, reference)
    assert 0 < score_at(meetings, 15).true_positives < ious.shape[0]
    for twentieths in TWENTIETHS:
        is_hit = ious > twentieths / 20
        hits = int(is_hit[linear_sum_assignment(is_hit, maximize=True)].sum())
        score = score_at(meetings, twentieths)
        assert score.true_positives == hits
        assert score.false_positives == ious.shape[0] - hits
        assert score.false_negatives == ious.shape[1] - hits
        assert score.ap == pytest.approx(hits / (sum(ious.shape) - hits))
    partners = meetings.best_partners()
    np.testing.assert_allclose(partners.ious, ious.max(axis=1))
    back = meetings.swapped().best_partners()
    np.testing.assert_allclose(back.ious, ious.max(axis=0))
    met = back.positions >= 0
    np.testing.assert_array_equal(
        ious[back.positions[met], np.flatnonzero(met)], ious.max(axis=0)[met]
    )
    above = ious[ious > 0.5]
    expected = above.sum() / (sum(ious.shape) / 2)
    assert panoptic_quality(meetings).pq == pytest.approx(expected)


small_labels = st.lists(st.integers(0, 5), min_size=12, max_size=12)


@settings(max_examples=80, deadline=None)
@given(small_labels, small_labels)
def test_matches_are_one_to_one(tested: list[int], reference: list[int]) -> None:
    found = meet(tested, reference).matches()
    assert len(set(found.tested_positions.tolist())) == len(found.overlaps)
    assert len(set(found.reference_positions.tolist())) == len(found.overlaps)


@settings(max_examples=80, deadline=None)
@given(small_labels, small_labels)
def test_a_merge_of_one_side_is_a_split_of_the_other(
    tested: list[int], reference: list[int]
) -> None:
    there = find_mistakes(meet(tested, reference))
    back = find_mistakes(meet(reference, tested))
    assert (there.merged, there.split) == (back.split, back.merged)


def test_equal_partners_are_settled_by_the_lowest_id() -> None:
    partners = meet([1, 1, 1, 1], [9, 9, 4, 4]).best_partners()
    assert partners.positions.tolist() == [0]
    assert partners.ious.tolist() == [0.5]


def test_nothing_at_all_is_neither_good_nor_bad() -> None:
    meetings = meet([0, 0], [0, 0])
    score, quality = score_at(meetings, 10), panoptic_quality(meetings)
    assert score.precision is score.recall is score.f1 is score.ap is None
    assert quality.sq is quality.rq is quality.pq is None
    assert not len(meetings.best_partners().ious)


def test_finding_nothing_has_no_precision_and_no_recall() -> None:
    meetings = meet([0, 0], [1, 2])
    score = score_at(meetings, 10)
    assert (score.precision, score.recall, score.ap) == (None, 0, 0)
    assert panoptic_quality(meetings).pq == 0
    assert find_mistakes(meetings).missed.tolist() == [1, 2]


def test_an_object_over_two_is_a_merge() -> None:
    found = find_mistakes(meet([3, 3, 3, 3, 3, 3], [1, 1, 1, 2, 2, 2]))
    assert found.merged == (Group(3, (1, 2)),)
    assert found.verdicts.tolist() == ["merged", "merged"]
    assert (found.split, found.missed.tolist(), found.extra.tolist()) == ((), [], [])


def test_two_objects_in_one_are_a_split() -> None:
    found = find_mistakes(meet([1, 1, 1, 2, 2, 2], [3, 3, 3, 3, 3, 3]))
    assert found.split == (Group(3, (1, 2)),)
    assert found.verdicts.tolist() == ["split"]
    assert (found.merged, found.missed.tolist(), found.extra.tolist()) == ((), [], [])


def test_an_object_in_pieces_is_split_and_not_missed() -> None:
    found = find_mistakes(meet([1, 1, 2, 2, 3, 3], [4, 4, 4, 4, 4, 4]))
    assert found.split == (Group(4, (1, 2, 3)),)
    assert found.verdicts.tolist() == ["split"]
    assert not found.missed.size


def test_less_than_half_of_an_object_does_not_make_a_merge() -> None:
    covered = find_mistakes(meet([1, 1, 1, 1, 0, 0], [5, 5, 5, 6, 6, 6]))
    assert covered.merged == ()
    assert covered.verdicts.tolist() == ["matched", "missed"]


def test_a_matched_object_that_swallowed_another_is_listed_too() -> None:
    found = find_mistakes(meet([1] * 8, [5] * 7 + [6]))
    assert found.merged == (Group(1, (5, 6)),)
    assert found.verdicts.tolist() == ["matched", "merged"]
    assert found.is_merged.tolist() == [True, True]


def test_missed_and_extra_objects_have_no_part_in_each_other() -> None:
    found = find_mistakes(meet([7, 0, 0, 8, 8, 8], [0, 2, 0, 0, 4, 4]))
    assert found.missed.tolist() == [2]
    assert found.extra.tolist() == [7]


def test_an_outline_that_goes_far_beyond_is_loose_and_not_extra() -> None:
    found = find_mistakes(meet([1] * 6, [5, 5, 0, 0, 0, 0]))
    assert found.verdicts.tolist() == ["loose"]
    assert not found.missed.size
    assert not found.extra.size


def test_a_speck_inside_an_object_leaves_it_missed_but_is_not_extra() -> None:
    found = find_mistakes(meet([1, 0, 0, 0], [5, 5, 5, 5]))
    assert found.verdicts.tolist() == ["missed"]
    assert not found.extra.size


def test_several_groups_keep_their_members_apart() -> None:
    found = find_mistakes(meet([2, 2, 2, 1, 1, 0], [7, 8, 9, 5, 3, 0]))
    assert found.merged == (Group(1, (3, 5)), Group(2, (7, 8, 9)))
