"""Many objects at once: all of them are computed before the first is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from annotator_scene import SQUARES, Scene, wait_for

from napari_sam.annotator.commands import (
    Accept,
    AddPrompts,
    Cancel,
    CollectBox,
    Delete,
    LoadPrompts,
    SavePrompts,
    SegmentBoxes,
    Undo,
)
from napari_sam.labels import LabelStore
from napari_sam.prompts import BoxPrompt, Click

BOXES = tuple(CollectBox(BoxPrompt.from_box(square), (1,)) for square in SQUARES)


def test_cancel_leaves_nothing_half_done(scene: Scene) -> None:
    scene.model.may_predict.clear()
    for command in (*BOXES, SegmentBoxes()):
        scene.annotator.post(command)
    wait_for(lambda: scene.annotator.state.job.text == "Segmenting 4 objects")
    scene.annotator.post(Cancel())
    scene.model.may_predict.set()
    state = scene.post()
    assert state.objects == ()
    assert state.job.text == ""
    assert state.error == ""


def test_each_object_of_a_batch_is_a_step_for_undo(scene: Scene) -> None:
    assert len(scene.post(*BOXES, SegmentBoxes()).objects) == 4
    assert len(scene.post(Undo()).objects) == 3


def test_prompts_are_saved_and_loaded_into_other_labels(
    scene: Scene, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.json"
    scene.post(AddPrompts((Click(70, 70),), (0,)), Accept())
    scene.post(AddPrompts((BoxPrompt.from_box(SQUARES[1]),), (2,)), Accept())
    scene.post(SavePrompts(file))
    saved = json.loads(file.read_text())["objects"]
    assert [(item["id"], item["plane"]) for item in saved] == [(1, [0]), (2, [2])]
    assert scene.post(Delete((1, 2))).objects == ()
    state = scene.post(LoadPrompts(file))
    assert [found.box for found in state.objects] == list(SQUARES[:2])
    assert [found.planes for found in state.objects] == [((0,),), ((2,),)]


def test_a_prompts_file_that_cannot_be_read_is_reported(
    scene: Scene, tmp_path: Path
) -> None:
    assert "none.json" in scene.post(LoadPrompts(tmp_path / "none.json")).error
    assert len(scene.screen.errors) == 1


def full(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


def test_a_batch_ends_at_the_first_object_that_cannot_be_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LabelStore, "add", full)
        state = scene.post(*BOXES, SegmentBoxes())
    assert "No space left" in state.error
    assert len(scene.screen.errors) == 1
    assert scene.post().objects == ()


def test_a_disk_that_is_full_is_reported_and_the_candidate_is_still_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.post(AddPrompts((Click(70, 70),), (0,)))
    with monkeypatch.context() as patch:
        patch.setattr(LabelStore, "add", full)
        state = scene.post(Accept())
    assert "No space left" in state.error
    assert len(state.candidates) == 3
    assert len(scene.post(Accept()).objects) == 1


def test_a_write_that_fails_while_it_closes_is_reported(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.post(AddPrompts((Click(70, 70),), (0,)))
    with monkeypatch.context() as patch:
        patch.setattr(LabelStore, "add", full)
        scene.annotator.post(Accept())
        scene.annotator.close()
    assert [str(error) for error in scene.screen.errors] == [
        "[Errno 28] No space left on device"
    ]
    with LabelStore.open(scene.labels) as store:
        assert not store.objects()


def test_objects_that_are_computed_are_written_before_it_closes(scene: Scene) -> None:
    for command in (*BOXES, SegmentBoxes()):
        scene.annotator.post(command)
    wait_for(lambda: bool(scene.annotator.state.objects))
    scene.annotator.close()
    with LabelStore.open(scene.labels) as store:
        assert len(store.objects()) == 4
