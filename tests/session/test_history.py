"""The past of a session is in the journal: walked back, walked forth, reopened."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt
from napari_sam.session.history import History, PromptState

GEOMETRY = LabelGeometry("zyx", (3,), (32, 40), (1.0,) * 3, (None,) * 3, (0.0,) * 3)
PLANE = (1,)
BOX = Box(2, 3, 6, 9)
CLICKS = (Click(1, 2), Click(3.5, 4, positive=False), Click(7, 8))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LabelStore]:
    with LabelStore.open(tmp_path / "labels.ome.zarr", GEOMETRY) as opened:
        yield opened


def accept(store: LabelStore, history: History, box: Box = BOX) -> int:
    edit = store.add(np.ones(box.shape, dtype=bool), box, history.state.plane)
    history.changed_labels(edit)
    return edit.label_id


def say(history: History, *prompts: Click | BoxPrompt) -> None:
    for prompt in prompts:
        history.change_state(history.state.with_prompt(prompt))


def reopened(store: LabelStore) -> tuple[LabelStore, History]:
    store.close()
    opened = LabelStore.open(store.path, GEOMETRY)
    return opened, History(opened, (0,))


def test_a_new_history_is_empty(store: LabelStore) -> None:
    history = History(store, PLANE)
    assert (history.state.plane, history.state.prompts) == (PLANE, ())
    assert not history.can_undo
    assert not history.can_redo


def test_prompts_are_undone_and_redone_one_by_one(store: LabelStore) -> None:
    history = History(store, PLANE)
    say(history, *CLICKS)
    for count in (2, 1, 0):
        assert history.undo() is None
        assert history.state.prompts == CLICKS[:count]
    assert not history.can_undo
    for count in (1, 2, 3):
        assert history.redo() is None
        assert history.state.prompts == CLICKS[:count]
    assert not history.can_redo


def test_history_has_no_end(store: LabelStore) -> None:
    history = History(store, PLANE)
    for index in range(300):
        history.change_state(PromptState(PLANE, (Click(index % 32, 0),), (0,)))
    for _ in range(300):
        history.undo()
    assert not history.can_undo
    assert history.state.prompts == ()


def test_something_new_ends_what_could_be_redone(store: LabelStore) -> None:
    history = History(store, PLANE)
    say(history, *CLICKS[:2])
    history.undo()
    say(history, CLICKS[2])
    assert not history.can_redo
    assert history.state.prompts == (CLICKS[0], CLICKS[2])


def test_undoing_an_object_brings_its_prompts_back(store: LabelStore) -> None:
    history = History(store, PLANE)
    say(history, *CLICKS)
    label_id = accept(store, history)
    assert history.state.prompts == ()
    assert history.state.plane == PLANE
    edit = history.undo()
    assert edit is not None
    assert edit.label_id == label_id
    assert history.state.prompts == CLICKS
    assert store.label_at(PLANE, 4, 5) == 0
    history.redo()
    assert history.state.prompts == ()
    assert store.label_at(PLANE, 4, 5) == label_id


def test_a_deletion_is_a_step_that_leaves_the_draft(store: LabelStore) -> None:
    history = History(store, PLANE)
    label_id = accept(store, history)
    say(history, CLICKS[0])
    history.changed_labels(store.erase(label_id))
    assert history.state.prompts == CLICKS[:1]
    history.undo()
    assert store.label_at(PLANE, 4, 5) == label_id
    assert history.state.prompts == CLICKS[:1]


def test_reopening_goes_on_where_it_was(store: LabelStore) -> None:
    history = History(store, PLANE)
    label_id = accept(store, history)
    say(history, *CLICKS)
    history.undo()
    opened, again = reopened(store)
    with opened:
        assert again.state.plane == PLANE
        assert again.state.prompts == CLICKS[:2]
        assert again.state.choices == (0, 0)
        again.redo()
        assert again.state.prompts == CLICKS
        for _ in range(4):
            again.undo()
        assert not again.can_undo
        assert opened.label_at(PLANE, 4, 5) == 0
        for _ in range(4):
            again.redo()
        assert opened.label_at(PLANE, 4, 5) == label_id
        assert again.state.prompts == CLICKS


def test_what_a_script_took_back_does_not_block_undo(store: LabelStore) -> None:
    history = History(store, PLANE)
    accept(store, history)
    first = store.records()[0].sequence
    accept(store, history, Box(20, 20, 24, 24))
    store.undo(first)
    store, history = reopened(store)
    with store:
        history.undo()
        assert store.records() == []
        assert not history.can_undo


def test_an_undone_object_stays_undone_after_reopening(store: LabelStore) -> None:
    history = History(store, PLANE)
    say(history, CLICKS[0])
    accept(store, history)
    history.undo()
    opened, again = reopened(store)
    with opened:
        assert again.state.prompts == CLICKS[:1]
        assert again.can_redo
        assert again.redo() is not None
        assert opened.label_at(PLANE, 4, 5) == 1


@pytest.mark.parametrize(
    "prompt", [Click(1.25, 2), Click(0, 0, positive=False), BoxPrompt(1, 2.5, 3, 4)]
)
def test_a_draft_comes_back_from_json(prompt: Click | BoxPrompt) -> None:
    draft = PromptState((2, 5), (CLICKS[0], prompt, CLICKS[1]), (0, 2, 1))
    again = PromptState.from_json(draft.to_json())
    assert (again.plane, again.prompts, again.choices) == (
        draft.plane,
        draft.prompts,
        draft.choices,
    )


def test_a_mask_prompt_of_a_draft_keeps_its_mask() -> None:
    mask = np.eye(3, dtype=bool)
    prompt = MaskPrompt.from_mask(mask, Box(1, 2, 4, 5))
    (again,) = PromptState.from_json(PromptState((), (prompt,), (0,)).to_json()).prompts
    assert isinstance(again, MaskPrompt)
    assert again.box == prompt.box
    np.testing.assert_array_equal(again.logits_hw, prompt.logits_hw)


def test_removing_a_prompt_takes_its_choice_along() -> None:
    draft = PromptState((), CLICKS, (0, 1, 2)).without(1)
    assert (draft.prompts, draft.choices) == ((CLICKS[0], CLICKS[2]), (0, 2))
