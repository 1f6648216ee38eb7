"""Opening and closing: one thread, progress, what is kept and what others may do."""

from __future__ import annotations

from pathlib import Path
from threading import Event, current_thread

import numpy as np
import pytest
from annotator_scene import MOST_S, Scene

from napari_sam.annotator.annotator import Annotator
from napari_sam.annotator.commands import Accept, AddPrompts, Cancel, Discard, Paint
from napari_sam.annotator.state import AnnotatorState
from napari_sam.errors import LabelsLockedError, SessionError
from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.prompts import Click

FIRST = AddPrompts((Click(70.5, 70.25),), (0,))


def test_prompts_that_were_left_are_answered_when_opened_again(scene: Scene) -> None:
    scene.post(AddPrompts((Click(70, 70),), (2,)))
    later = scene.again()
    state = later.post()
    assert state.plane == (2,)
    assert len(state.candidates) == 3
    later.annotator.close()


def test_a_session_is_opened_used_and_closed_on_one_thread(labels: Path) -> None:
    threads = []
    made: list[Scene] = []

    class Watched(Scene):
        def open(self, watch):  # type: ignore[no-untyped-def]
            made.append(self)
            threads.append(current_thread())
            session = super().open(watch)
            close = session.close
            session.close = lambda: (threads.append(current_thread()), close())
            return session

    scene = Watched(labels)
    scene.annotator.call(lambda _: threads.append(current_thread()))
    scene.annotator.close()
    assert len(threads) == 3
    assert len(set(threads)) == 1


def test_progress_of_opening_is_in_the_state_and_cancel_ends_it(labels: Path) -> None:
    may_go_on, is_there = Event(), Event()

    class Slow(Scene):
        def open(self, watch):  # type: ignore[no-untyped-def]
            watch.progress(3, 10)
            is_there.set()
            may_go_on.wait(MOST_S)
            watch.progress(10, 10)
            return super().open(watch)

    scene = Slow(labels)
    assert is_there.wait(MOST_S)
    state = scene.annotator.state
    assert (state.is_open, state.job.done, state.job.count) == (False, 3, 10)
    scene.annotator.post(Cancel())
    may_go_on.set()
    state = scene.post()
    assert not state.is_open
    assert not state.job.text
    assert state.error == ""
    assert not labels.exists()
    scene.annotator.close()


def test_an_image_that_cannot_be_opened_is_reported(scene: Scene) -> None:
    def open_again(watch):  # type: ignore[no-untyped-def]
        raise LabelsLockedError("somebody else writes them")

    screen = type(scene.screen)()
    other = Annotator(open_again, scene.cache, screen)
    with pytest.raises(LabelsLockedError):
        other.call(lambda _: None)
    assert not other.state.is_open
    assert "somebody else" in other.state.error
    assert len(screen.errors) == 1
    other.close()
    with pytest.raises(SessionError, match="closed"):
        other.call(lambda _: None)


def test_closing_lets_others_write_and_keeps_what_was_posted(scene: Scene) -> None:
    scene.post(FIRST)
    painted = Paint(np.full((4, 4), 9, np.uint32), Box(0, 0, 4, 4), (0,))
    scene.annotator.post(Accept())
    scene.annotator.post(painted)
    scene.annotator.close()
    with LabelStore.open(scene.labels) as store:
        assert {found.label_id for found in store.objects()} == {1, 9}


def test_closing_does_not_wait_for_answers(scene: Scene) -> None:
    scene.model.may_encode.clear()
    painted = Paint(np.full((4, 4), 9, np.uint32), Box(0, 0, 4, 4), (0,))
    for command in (FIRST, Accept(), painted):
        scene.annotator.post(command)
    scene.annotator.close(wait=False)
    scene.model.may_encode.set()
    scene.annotator.close()
    with LabelStore.open(scene.labels) as store:
        assert {found.label_id for found in store.objects()} == {9}


def test_a_closed_annotator_leaves_the_last_state_on_show(scene: Scene) -> None:
    state = scene.post(FIRST)
    scene.annotator.close()
    assert scene.annotator.state == state
    scene.annotator.post(Discard())
    assert scene.annotator.wait(0.1)
    assert scene.screen.states[-1] == state


def test_the_first_state_says_that_it_is_being_opened(scene: Scene) -> None:
    scene.post()
    first = scene.screen.states[0]
    assert isinstance(first, AnnotatorState)
    assert not first.is_open
    assert first.job.text
