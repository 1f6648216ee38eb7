"""Every step can be taken back and done again, without end."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from session_scene import (
    CLICK,
    FAR,
    OTHER,
    SquaresModel,
    events,
    on_disk,
    shown,
    shown_after,
    unchanged,
)

from napari_sam.errors import ImageReadError, LabelWriteError
from napari_sam.labels import OverlapRule
from napari_sam.prompts import BoxPrompt, Click
from napari_sam.session import Session


def test_undo_then_redo_shows_equal_masks(session: Session) -> None:
    states = [shown(session)]
    steps: list[Callable[[], object]] = [
        lambda: session.add(CLICK),
        lambda: session.choose(2),
        lambda: session.add(Click(18, 18)),
        lambda: session.add(FAR),
        lambda: session.remove(1),
        lambda: session.add(BoxPrompt(2, 2, 30, 30)),
    ]
    for step in steps:
        step()
        states.append(shown(session))
    for state in states[-2::-1]:
        session.undo()
        assert shown(session) == state
    for state in states[1:]:
        session.redo()
        assert shown(session) == state


def test_the_choice_is_undone_too(session: Session) -> None:
    session.add(CLICK)
    session.choose(1)
    session.undo()
    assert session.chosen == 0
    session.redo()
    assert session.chosen == 1


def test_choosing_what_is_chosen_is_no_step(session: Session) -> None:
    session.add(CLICK)
    heard = events(session)
    session.choose(0)
    assert heard == []
    session.undo()
    assert not session.can_undo


def test_an_accepted_object_is_undone_and_redone(
    session: Session, folder: Path
) -> None:
    session.add(CLICK)
    before = shown(session)
    session.accept()
    written = on_disk(folder)
    session.undo()
    assert not on_disk(folder).any()
    assert session.prompts == (CLICK,)
    assert shown(session) == before
    session.redo()
    np.testing.assert_array_equal(on_disk(folder), written)
    assert session.candidates == ()


def test_a_deleted_object_comes_back(session: Session, folder: Path) -> None:
    session.add(CLICK)
    session.accept()
    written = on_disk(folder)
    session.add(OTHER)
    session.delete(1)
    assert not on_disk(folder).any()
    assert session.prompts == (OTHER,)
    session.undo()
    np.testing.assert_array_equal(on_disk(folder), written)
    assert session.prompts == (OTHER,)


def test_undo_reaches_the_beginning(session: Session, folder: Path) -> None:
    for round_ in range(12):
        session.add(Click(5 + 4 * round_, 5))
        session.accept(rule=OverlapRule.OVERWRITE)
    written = on_disk(folder)
    for _ in range(24):
        session.undo()
    assert not session.can_undo
    assert not on_disk(folder).any()
    for _ in range(24):
        session.redo()
    assert not session.can_redo
    np.testing.assert_array_equal(on_disk(folder), written)


def test_discarding_drops_prompts_and_can_be_undone(session: Session) -> None:
    session.add(CLICK)
    session.discard()
    assert (session.prompts, session.candidates) == ((), ())
    session.undo()
    assert session.prompts == (CLICK,)
    assert len(session.candidates) == 3


def test_another_plane_has_its_own_prompts(session: Session, folder: Path) -> None:
    session.add(CLICK)
    session.set_plane((1,))
    assert (session.plane, session.prompts, session.candidates) == ((1,), (), ())
    session.add(OTHER)
    session.accept()
    labels = on_disk(folder)
    assert not labels[0].any()
    assert labels[1].any()
    for _ in range(3):
        session.undo()
    assert session.plane == (0,)
    assert session.prompts == (CLICK,)


def test_planes_passed_by_are_no_steps(session: Session) -> None:
    session.add(CLICK)
    session.accept()
    for plane in (1, 0, 1):
        session.set_plane((plane,))
    session.undo()
    assert session.plane == (0,)
    assert session.prompts == (CLICK,)


def test_the_same_plane_is_no_step(session: Session) -> None:
    session.set_plane((0,))
    session.set_plane([0])  # type: ignore[arg-type]
    assert not session.can_undo


def test_an_undo_whose_answer_fails_is_done_and_answered_later(
    session: Session, model: SquaresModel
) -> None:
    alone = shown_after(session, CLICK)
    session.add(Click(18, 18))
    model.broken = True
    with pytest.raises(ImageReadError):
        session.undo()
    model.broken = False
    assert session.prompts == (CLICK,)
    assert shown(session) == alone


def test_a_journal_that_cannot_be_written_changes_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.add(CLICK)

    def full(*_: object, **__: object) -> None:
        raise LabelWriteError(28, "No space left")

    with monkeypatch.context() as patch:
        patch.setattr(session.labels.journal, "append", full)
        for step in (
            lambda: session.add(Click(18, 18)),
            lambda: session.choose(1),
            session.accept,
            session.undo,
        ):
            unchanged(session, step, LabelWriteError)
    assert session.accept() == 1
