"""Prompts become candidates, one refined by the next; signals tell."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_scene import (
    CLICK,
    FAR,
    SquaresModel,
    events,
    on_disk,
    shown,
    shown_after,
    unchanged,
)

from napari_sam.errors import (
    ImageError,
    ImageReadError,
    LabelError,
    PromptError,
    SessionError,
)
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt
from napari_sam.session import Session


def test_a_click_is_answered_chosen_and_written(session: Session, folder: Path) -> None:
    candidates = session.add(CLICK)
    assert len(candidates) == 3
    assert session.chosen == 0
    assert session.candidate is candidates[0]
    taken = session.choose(2)
    assert session.candidate is taken
    assert session.accept() == 1
    assert session.prompts == ()
    assert session.candidates == ()
    assert session.candidate is None
    labels = on_disk(folder)
    np.testing.assert_array_equal(labels[0][taken.box.slices] == 1, taken.mask)
    assert (labels == 1).sum() == taken.mask.sum()


def test_another_prompt_refines_the_chosen_candidate(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    chosen = session.choose(1)
    session.add(Click(17, 17))
    hints = [p for p in model.asked[-1] if isinstance(p, MaskPrompt)]
    assert [int(hint.mask.sum()) for hint in hints] == [int(chosen.mask.sum())]
    assert session.chosen == 0


def test_a_lone_negative_click_waits_for_a_positive_one(session: Session) -> None:
    assert session.add(FAR) == ()
    assert session.candidate is None
    with pytest.raises(SessionError, match="add a click or a box first"):
        session.accept()
    assert len(session.add(CLICK)) == 1
    assert session.prompts == (FAR, CLICK)
    session.remove(1)
    assert session.candidates == ()


def test_removing_a_prompt_answers_the_others(session: Session) -> None:
    alone = shown_after(session, CLICK)
    session.add(Click(18, 18))
    session.remove(1)
    assert session.prompts == (CLICK,)
    assert shown(session) == alone


def test_planes_and_clicks_of_numpy_are_taken(session: Session) -> None:
    session.set_plane(tuple(np.array([1])))
    session.add(Click(np.float32(16), np.int64(16)))
    session.accept()
    assert session.labels.label_at((1,), 16, 16) == 1


def test_prompts_in_one_window_are_encoded_once(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    session.add(Click(18, 18))
    session.undo()
    session.redo()
    assert model.encodes == 1


def test_signals_tell_what_changed(session: Session) -> None:
    heard = events(session)

    def after(step: Callable[[], Any]) -> list[str]:
        heard.clear()
        step()
        return list(heard)

    assert after(lambda: session.add(CLICK)) == ["prompts", "candidates"]
    assert after(lambda: session.choose(1)) == ["prompts", "candidates"]
    assert after(session.accept) == ["labels", "prompts", "candidates"]
    assert after(session.undo) == ["labels", "prompts", "candidates"]
    assert after(session.redo) == ["labels", "prompts", "candidates"]
    assert after(lambda: session.delete(1)) == ["labels"]
    assert after(lambda: session.set_plane((1,))) == ["plane"]
    session.add(CLICK)
    moved = after(lambda: session.set_plane((0,)))
    assert sorted(moved) == ["candidates", "plane", "prompts"]
    assert after(session.undo) == ["plane", "prompts", "candidates"]


def test_signals_carry_what_is_to_be_drawn(session: Session) -> None:
    got: list[tuple[Any, ...]] = []
    session.prompts_changed.connect(got.append)
    session.candidates_changed.connect(lambda c, i: got.append((len(c), i)))
    session.add(CLICK)
    session.choose(2)
    assert got == [(CLICK,), (3, 0), (CLICK,), (3, 2)]
    edits: list[Any] = []
    session.labels_changed.connect(edits.append)
    session.accept()
    assert [(edit.kind, edit.label_id) for edit in edits] == [("add", 1)]


def test_nothing_to_do_says_what_to_do(session: Session) -> None:
    with pytest.raises(SessionError, match="Nothing to accept: add a click"):
        session.accept()
    with pytest.raises(SessionError, match="nothing to undo"):
        session.undo()
    with pytest.raises(SessionError, match="nothing to redo"):
        session.redo()
    with pytest.raises(SessionError, match="no prompt to remove"):
        session.remove(0)
    with pytest.raises(SessionError, match="0 masks to choose from"):
        session.choose(0)
    session.add(CLICK)
    with pytest.raises(SessionError, match="prompts 0 to 0, got 1"):
        session.remove(1)
    with pytest.raises(SessionError, match=r"3 masks .* got 3"):
        session.choose(3)
    with pytest.raises(LabelError, match="Label 9"):
        session.delete(9)


@pytest.mark.parametrize("outside", [Click(64, 0), BoxPrompt(70, 0, 80, 5)])
def test_a_prompt_outside_the_image_changes_nothing(
    session: Session, outside: Prompt
) -> None:
    session.add(CLICK)
    unchanged(session, lambda: session.add(outside), PromptError)


@pytest.mark.parametrize("plane", [(2,), (-1,), (), (0, 0)])
def test_a_plane_that_does_not_exist_changes_nothing(
    session: Session, plane: tuple[int, ...]
) -> None:
    session.add(CLICK)
    unchanged(session, lambda: session.set_plane(plane), ImageError)


def test_an_answer_that_fails_changes_nothing(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    session.add(Click(18, 18))
    steps_before = len(session.labels.journal)
    model.broken = True
    unchanged(session, lambda: session.add(Click(20, 20)), ImageReadError)
    unchanged(session, lambda: session.remove(0), ImageReadError)
    assert len(session.labels.journal) == steps_before
    model.broken = False
    session.add(Click(20, 20))
    assert len(session.prompts) == 3


def test_discarding_nothing_is_no_step(session: Session) -> None:
    session.discard()
    assert not session.can_undo
