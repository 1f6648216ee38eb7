"""Objects go into a label volume by the rule that was chosen, and come out again."""

from pathlib import Path

import numpy as np
import pytest
from label_scenes import add, full, plane_of

from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels import (
    LabelStore,
    OverlapRule,
)

pytestmark = pytest.mark.usefixtures("no_flushing")


# Rules


def test_by_default_older_labels_keep_their_pixels(store: LabelStore) -> None:
    assert add(store, Box(0, 0, 20, 20)) == 1
    assert add(store, Box(10, 10, 30, 30)) == 2
    assert store.label_at((0,), 15, 15) == 1
    assert store.label_at((0,), 29.9, 29.9) == 2


def test_with_overwrite_the_new_object_takes_them(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    edit = store.add(
        full(Box(10, 10, 30, 30)),
        Box(10, 10, 30, 30),
        (0,),
        rule=OverlapRule.OVERWRITE,
    )
    assert store.label_at((0,), 15, 15) == 2
    assert edit.pixels == 400


def test_with_merge_it_joins_the_object_it_overlaps_most(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    add(store, Box(0, 40, 20, 60))
    joined = add(store, Box(5, 15, 10, 50), rule=OverlapRule.MERGE)
    assert joined == 2
    assert store.label_at((0,), 7, 30) == 2
    assert store.label_at((0,), 7, 16) == 1  # the other one keeps its own


def test_with_merge_an_object_that_meets_none_is_new(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    assert add(store, Box(50, 50, 60, 60), rule=OverlapRule.MERGE) == 2


@pytest.mark.parametrize("rule", [OverlapRule.KEEP, OverlapRule.MERGE])
def test_an_object_with_nothing_left_to_write_is_refused(
    store: LabelStore, rule: OverlapRule
) -> None:
    add(store, Box(0, 0, 20, 20))
    lines = len(store.journal)
    with pytest.raises(LabelError, match="Nothing is left to write"):
        add(store, Box(5, 5, 10, 10), rule=rule)
    assert (len(store.journal), store.next_id) == (lines, 2)


def test_rules_can_be_given_by_name(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    assert add(store, Box(0, 0, 10, 10), rule="overwrite") == 2
    with pytest.raises(LabelError, match="'keep', 'overwrite', 'merge', got 'nope'"):
        add(store, Box(0, 0, 10, 10), rule="nope")


# Ids and records


def test_an_id_is_never_given_twice(store: LabelStore, path: Path) -> None:
    first = store.add(full(Box(0, 0, 9, 9)), Box(0, 0, 9, 9), (0,))
    store.undo(first)
    assert add(store, Box(0, 0, 9, 9)) == 2
    store.erase(2)
    store.close()
    with LabelStore.open(path) as again:
        assert again.next_id == 3


def test_one_object_can_go_on_in_another_plane_under_its_id(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    assert add(store, Box(0, 0, 20, 20), plane=1, label_id=1) == 1
    assert [record.plane for record in store.records()] == [(0,), (1,)]
    assert store.erase(1).planes == ((0,), (1,))
    assert not plane_of(store, 0).any()
    assert not plane_of(store, 1).any()


def test_erasing_can_be_limited_to_a_plane(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    add(store, Box(0, 0, 20, 20), plane=1, label_id=1)
    store.erase(1, (0,))
    assert not plane_of(store, 0).any()
    assert plane_of(store, 1).any()
    assert [record.plane for record in store.records()] == [(1,)]


def test_erasing_a_part_keeps_the_record(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    edit = store.erase(1, (0,), Box(0, 0, 10, 200 - 50))
    assert edit.pixels == 200
    assert len(store.records()) == 1


def test_erasing_what_is_not_there_is_refused(store: LabelStore) -> None:
    with pytest.raises(LabelError, match="Label 7 has no pixels"):
        store.erase(7)


def test_a_record_comes_back_after_reopening(store: LabelStore, path: Path) -> None:
    said = {"points": [[1.5, 2.0, 1]], "model": "abc", "score": 0.9}
    box = Box(3, 4, 13, 24)
    add(store, box, record=said)
    store.close()
    with LabelStore.open(path) as again:
        (record,) = again.records()
    assert record.record == said
    assert (record.label_id, record.plane, record.box) == (1, (0,), box)
    assert (record.pixels, record.rule) == (200, OverlapRule.KEEP)


def test_objects_that_are_gone_have_no_record(store: LabelStore) -> None:
    undone = store.add(full(Box(0, 0, 9, 9)), Box(0, 0, 9, 9), (0,))
    store.undo(undone)
    add(store, Box(20, 20, 30, 30))
    store.erase(2)
    add(store, Box(40, 40, 50, 50))
    add(store, Box(39, 39, 51, 51), rule=OverlapRule.OVERWRITE)
    assert [record.label_id for record in store.records()] == [4]


@pytest.mark.parametrize("bad", [0, -1, 2**32])
def test_an_id_that_uint32_cannot_hold_is_refused(store: LabelStore, bad: int) -> None:
    with pytest.raises(LabelError, match="1 to 4294967295"):
        add(store, Box(0, 0, 9, 9), label_id=bad)


def test_when_ids_run_out_it_says_so(store: LabelStore) -> None:
    add(store, Box(0, 0, 9, 9), label_id=2**32 - 1)
    with pytest.raises(LabelError, match="if all are used"):
        add(store, Box(20, 20, 29, 29))


# Undo and redo


def test_undo_and_redo_are_exact_over_several_edits(store: LabelStore) -> None:
    boxes = [Box(0, 0, 70, 70), Box(30, 30, 100, 100), Box(60, 10, 90, 120)]
    states, edits = [plane_of(store)], []
    for box in boxes:
        edits.append(store.add(full(box), box, (0,), rule=OverlapRule.OVERWRITE))
        states.append(plane_of(store))
    for edit, state in zip(edits[::-1], states[-2::-1], strict=True):
        store.undo(edit)
        assert not store.is_applied(edit)
        np.testing.assert_array_equal(plane_of(store), state)
    for edit, state in zip(edits, states[1:], strict=True):
        store.redo(edit.sequence)
        np.testing.assert_array_equal(plane_of(store), state)


def test_undo_out_of_order_never_harms_a_later_object(store: LabelStore) -> None:
    first = store.add(full(Box(0, 0, 20, 20)), Box(0, 0, 20, 20), (0,))
    add(store, Box(10, 10, 30, 30), rule=OverlapRule.OVERWRITE)
    before = plane_of(store)
    with pytest.raises(LabelError, match="Undo the later edits first"):
        store.undo(first)
    np.testing.assert_array_equal(plane_of(store), before)


def test_undoing_twice_is_refused(store: LabelStore) -> None:
    edit = store.add(full(Box(0, 0, 20, 20)), Box(0, 0, 20, 20), (0,))
    store.undo(edit)
    with pytest.raises(LabelError, match="undone already"):
        store.undo(edit)
    with pytest.raises(LabelError, match="no edit"):
        store.undo(1)


def test_undo_reaches_back_beyond_reopening(store: LabelStore, path: Path) -> None:
    edit = store.add(full(Box(0, 0, 20, 20)), Box(0, 0, 20, 20), (0,))
    store.close()
    with LabelStore.open(path) as again:
        again.undo(edit)
        assert not plane_of(again).any()
        again.redo(edit)
        assert plane_of(again).any()


def test_notes_keep_their_place_among_the_edits(store: LabelStore, path: Path) -> None:
    store.note("prompts", {"points": [[1, 2, 1]]})
    add(store, Box(0, 0, 20, 20))
    store.note("prompts", {"points": []})
    store.close()
    with LabelStore.open(path) as again:
        kinds = [entry.kind for entry in again.journal.entries()]
    assert kinds == ["volume", "prompts", "add", "prompts", "checkpoint"]


def test_a_note_cannot_pass_for_an_edit(store: LabelStore) -> None:
    with pytest.raises(LabelError, match="writes entries of kind 'add' itself"):
        store.note("add", {})
