"""Segment everything, from a command to labels on disk, without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from annotator_run_scene import ALL, PLANE, SHAPE, SIZE, RunScene
from annotator_scene import MOST_S, wait_for
from run_scene import assert_same_objects, scene, truth
from run_scene import write_image as stored

from napari_sam.annotator import automatic_run, run_merge, undo
from napari_sam.annotator.commands import (
    Accept,
    AddPrompts,
    Cancel,
    CancelRun,
    ContinueRun,
    Discard,
    GoTo,
    MoveView,
    Paint,
    StartRun,
    Undo,
    Where,
)
from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels import Edit
from napari_sam.prompts import Click


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return stored(tmp_path / "image.zarr", scene(SHAPE))


@pytest.fixture
def runs(tmp_path: Path, image: Path, no_flushing: None) -> Iterator[RunScene]:
    made = RunScene(tmp_path, image)
    yield made
    made.close()


def test_everything_in_a_plane_is_found_put_in_and_undone_in_one_step(
    runs: RunScene,
) -> None:
    text = runs.run()
    count = truth(SHAPE).max()
    assert f"{count} objects added to the labels" in text
    assert_same_objects(runs.in_labels(), truth(SHAPE))
    assert not runs.state.run.can_continue
    assert runs.screen.errors == []
    assert runs.post(Undo()).objects == ()
    assert not runs.in_labels().any()


def test_tiles_are_shown_as_they_are_found_and_cleared_in_the_end(
    runs: RunScene,
) -> None:
    runs.run()
    first, *tiles, last = runs.screen.tiles
    assert first is last is None
    assert len(set(tiles)) == len(tiles) > 1
    assert None not in tiles


def test_progress_is_said_with_time_left(
    runs: RunScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automatic_run, "REPORT_INTERVAL_S", 0.0)
    runs.run()
    texts = [state.run.text for state in runs.screen.states]
    for part in ("Looking at the image", "Window 1 of", "Tile 1 of", "left", "Adding"):
        assert any(part in text for text in texts), part
    counts = [state.run.count for state in runs.screen.states if state.run.is_running]
    assert 0 in counts
    assert max(counts) > 1


def test_clicks_are_answered_and_accepted_while_a_run_goes_on(runs: RunScene) -> None:
    y, x = (int(n.mean()) for n in np.nonzero(truth(SHAPE) == 1))
    runs.post(AddPrompts((Click(y, x),), ()))  # the window around it is encoded now
    runs.begin()
    state = runs.post(Accept())
    assert state.run.is_running
    assert len(state.objects) == 1
    runs.model.is_free.set()
    assert "1 left out" in runs.finish()
    assert_same_objects(runs.in_labels(), truth(SHAPE))
    assert runs.in_labels()[y, x] == 1


def test_a_cancelled_run_is_gone_on_with(runs: RunScene) -> None:
    runs.begin()
    state = runs.post(CancelRun())
    assert not state.run.is_running
    assert "Cancelled" in state.run.text
    runs.model.is_free.set()
    text = runs.finish()
    assert "tiles found: Continue goes on" in text
    assert runs.state.run.can_continue
    assert not runs.in_labels().any()
    encodes = runs.model.encodes
    runs.run(ContinueRun())
    assert_same_objects(runs.in_labels(), truth(SHAPE))
    assert runs.model.encodes - encodes < ALL


def test_cancel_is_not_about_the_run(runs: RunScene) -> None:
    runs.begin()
    assert runs.post(Cancel(), Discard()).run.is_running
    runs.model.is_free.set()
    runs.finish()
    assert_same_objects(runs.in_labels(), truth(SHAPE))


def test_a_run_is_gone_on_with_after_closing_and_opening_again(
    runs: RunScene, tmp_path: Path, image: Path
) -> None:
    runs.begin()
    runs.annotator.close(wait=False)
    runs.close()
    again = RunScene(tmp_path, image)
    again.until_checked()
    assert again.state.run.can_continue
    again.run(ContinueRun())
    assert_same_objects(again.in_labels(), truth(SHAPE))
    again.close()


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_merge, "BLOCK", 64)


def held_block(
    runs: RunScene, monkeypatch: pytest.MonkeyPatch, at: int
) -> tuple[Event, Event]:
    """The block of this number, from 1, stays until it is let go."""
    reached, opened_ = Event(), Event()
    write, calls = run_merge.RunMerge.write, iter(range(1, 10**6))

    def held(self: Any, *given: Any) -> None:
        if next(calls) == at:
            reached.set()
            assert opened_.wait(MOST_S)
        write(self, *given)

    monkeypatch.setattr(run_merge.RunMerge, "write", held)
    return reached, opened_


@pytest.mark.usefixtures("small_blocks")
def test_a_merge_can_be_cancelled_and_gone_on_with(
    runs: RunScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, let_go = held_block(runs, monkeypatch, at=3)
    runs.annotator.post(PLANE)
    wait_for(reached.is_set)
    assert "Adding to the labels: block 3 of" in runs.state.run.text
    runs.annotator.post(CancelRun())
    let_go.set()
    text = runs.finish()
    assert "Continue puts the objects into the labels" in text
    assert 0 < len(runs.state.objects) < truth(SHAPE).max()
    encodes = runs.model.encodes
    runs.run(ContinueRun())
    assert runs.model.encodes == encodes
    assert_same_objects(runs.in_labels(), truth(SHAPE))


@pytest.mark.usefixtures("small_blocks")
def test_what_the_user_does_comes_between_two_blocks(
    runs: RunScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, let_go = held_block(runs, monkeypatch, at=2)
    runs.annotator.post(PLANE)
    wait_for(reached.is_set)
    painted = Paint(np.full((2, 2), 999, np.uint32), Box(0, 0, 2, 2), ())
    runs.annotator.post(painted)
    let_go.set()
    runs.finish()
    steps = [edit.kind for edit in runs.screen.edits]
    boxes = [edit.box for edit in runs.screen.edits]
    at = boxes.index(Box(0, 0, 2, 2))
    assert 0 < at < len(steps) - 1


@pytest.mark.usefixtures("small_blocks")
def test_a_merge_that_fails_ends_the_run_and_can_be_gone_on_with(
    runs: RunScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_merge.RunMerge, "write", full)
        assert "No space left on device" in runs.run()
    assert "No space left" in runs.state.error
    assert len(runs.screen.errors) == 1
    runs.run(ContinueRun())
    assert_same_objects(runs.in_labels(), truth(SHAPE))


def test_a_run_that_fails_says_why_and_the_next_one_works(
    runs: RunScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run_merge, "segment_image", full)
        assert "No space left on device" in runs.run()
    assert len(runs.screen.errors) == 1
    runs.run()
    assert_same_objects(runs.in_labels(), truth(SHAPE))


def test_windows_that_failed_are_named_and_tried_again(runs: RunScene) -> None:
    runs.model.failing = {3}
    text = runs.run()
    assert "1 window failed; Continue tries again" in text
    assert "the device is gone" in text
    assert "added to the labels" in text
    assert runs.state.run.can_continue
    text = runs.run(ContinueRun())
    assert "failed" not in text
    np.testing.assert_array_equal(runs.in_labels() > 0, truth(SHAPE) > 0)


def test_only_the_view_or_the_rectangle_is_segmented(runs: RunScene) -> None:
    view, rectangle = Box(0, 0, SHAPE[0], 300), Box(0, 900, *SHAPE)
    runs.post(MoveView((), view))
    runs.run(StartRun(Where.VIEW, object_size=SIZE))
    assert not runs.in_labels()[:, 300:].any()
    runs.run(StartRun(Where.RECTANGLE, rectangle, object_size=SIZE))
    labels, wanted = runs.in_labels(), truth(SHAPE)
    assert not labels[:, 300:900].any()
    for part in (view, rectangle):
        np.testing.assert_array_equal(labels[part.slices] > 0, wanted[part.slices] > 0)


def test_without_a_known_view_it_is_the_whole_plane(runs: RunScene) -> None:
    runs.run(StartRun(Where.VIEW, object_size=SIZE))
    assert_same_objects(runs.in_labels(), truth(SHAPE))


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (StartRun(Where.VIEW), "no part of the image in view"),
        (StartRun(Where.RECTANGLE), "There is no rectangle yet"),
    ],
)
def test_a_part_that_is_not_there_is_refused(
    runs: RunScene, command: StartRun, text: str
) -> None:
    runs.post(MoveView((), None))
    assert text in runs.run(command)
    assert text in runs.state.error


def test_all_planes_are_segmented_each_by_itself(
    tmp_path: Path, no_flushing: None
) -> None:
    planes = np.stack([scene(SHAPE, seed) for seed in range(2)])
    runs = RunScene(tmp_path, stored(tmp_path / "stack.zarr", planes))
    runs.post(GoTo((1,)))
    runs.run(StartRun(Where.STACK, object_size=SIZE))
    for z in (0, 1):
        labels = runs.in_labels((z,))
        np.testing.assert_array_equal(labels > 0, truth(SHAPE, z) > 0)
    runs.close()


def test_a_second_start_while_it_runs_changes_nothing(runs: RunScene) -> None:
    runs.begin()
    runs.post(StartRun(Where.STACK))
    runs.model.is_free.set()
    runs.finish()
    assert_same_objects(runs.in_labels(), truth(SHAPE))


class HeldUndo:
    """The undo of this number, from 1, stays until it is let go."""

    def __init__(self, runs: RunScene, at: int) -> None:
        self.is_reached, self.opened, self.calls = Event(), Event(), 0
        labels = runs.annotator.session.labels
        undo_edit: Callable[[Edit | int], Edit] = labels.undo

        def held(edit: Edit | int) -> Edit:
            self.calls += 1
            if self.calls == at:
                self.is_reached.set()
                assert self.opened.wait(MOST_S)
            return undo_edit(edit)

        labels.undo = held  # type: ignore[method-assign]


@pytest.fixture
def segmented(
    runs: RunScene, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> RunScene:
    """In many blocks, each of which is a chunk of an undo."""
    monkeypatch.setattr(undo, "CHUNK_S", -1.0)
    runs.run()
    return runs


@pytest.mark.slow
@pytest.mark.parametrize("command", [Cancel(), Discard()])
def test_the_undo_of_a_run_is_stopped_at_once_and_gone_on_with(
    segmented: RunScene, command: Any
) -> None:
    held = HeldUndo(segmented, at=2)
    segmented.annotator.post(Undo())
    wait_for(held.is_reached.is_set)
    assert segmented.state.is_saving
    segmented.annotator.post(command)
    held.opened.set()
    state = segmented.post()
    assert held.calls == 2
    assert not state.is_saving
    assert 0 < len(state.objects) < truth(SHAPE).max()
    assert segmented.post(Undo()).objects == ()
    assert not segmented.in_labels().any()


def test_closing_does_not_wait_for_the_undo_of_a_run(segmented: RunScene) -> None:
    held = HeldUndo(segmented, at=2)
    segmented.annotator.post(Undo())
    wait_for(held.is_reached.is_set)
    segmented.annotator.close(wait=False)
    held.opened.set()
    segmented.annotator.close()
    assert held.calls == 2
    assert segmented.in_labels().any()


def test_an_undo_that_fails_is_over(segmented: RunScene) -> None:
    labels = segmented.annotator.session.labels
    undo_edit = labels.undo

    def fail(edit: Edit | int) -> Edit:
        raise LabelError("a later edit is in the way")

    labels.undo = fail  # type: ignore[method-assign]
    state = segmented.post(Undo())
    assert not state.is_saving
    assert "in the way" in state.error
    labels.undo = undo_edit  # type: ignore[method-assign]
    assert segmented.post(Undo()).objects == ()
