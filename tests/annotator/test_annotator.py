"""What a user does with one image, and what a screen is shown of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotator_scene import PLANES, SQUARES, Scene, stack, wait_for

from napari_sam.annotator.commands import (
    Accept,
    AddPrompts,
    Cancel,
    Choose,
    ChooseNext,
    CollectBox,
    Delete,
    Discard,
    EditAt,
    EditObject,
    GoTo,
    MergeInto,
    MoveBy,
    MoveMouse,
    Paint,
    Redo,
    ReplacePrompts,
    SegmentBoxes,
    SetBoxCollecting,
    SetLevel,
    SetPreviews,
    Undo,
)
from napari_sam.errors import SamError, SessionError
from napari_sam.geometry import Box
from napari_sam.prompts import BoxPrompt, Click

FIRST, SECOND = (
    AddPrompts((Click(70.5, 70.25),), (0,)),
    AddPrompts((Click(70, 230),), (0,)),
)


def test_a_click_is_answered_with_three_candidates(scene: Scene) -> None:
    state = scene.post(FIRST)
    assert state.prompts == (Click(70.5, 70.25),)
    assert [c.score for c in state.candidates] == pytest.approx([0.9, 0.86, 0.82])
    assert state.candidate is state.candidates[0]
    assert state.candidate.box == SQUARES[0]
    assert not state.is_pending


def test_accepting_writes_the_object_and_says_so(scene: Scene) -> None:
    state = scene.post(FIRST, Accept())
    assert [found.label_id for found in state.objects] == [1]
    assert state.prompts == ()
    assert state.candidate is None
    assert state.notice == "Object 1 is in the labels."
    assert (scene.on_disk()[0] == 1).sum() == SQUARES[0].area


def test_labels_have_changed_before_the_state_says_so(scene: Scene) -> None:
    scene.post(FIRST)
    seen: list[int] = []
    scene.screen.change_labels = lambda _: seen.append(  # type: ignore[method-assign]
        scene.annotator.state.labels_version
    )
    state = scene.post(Accept())
    assert seen == [0]
    assert state.labels_version == 1


def test_undo_and_redo_go_through_prompts_and_objects(scene: Scene) -> None:
    scene.post(FIRST, Accept())
    state = scene.post(Undo())
    assert not scene.on_disk().any()
    assert len(state.prompts) == 1
    assert state.candidates
    state = scene.post(Undo())
    assert state.prompts == ()
    assert not state.can_undo
    state = scene.post(Redo(), Redo())
    assert not state.can_redo
    assert state.candidate is None
    assert (scene.on_disk()[0] == 1).sum() == SQUARES[0].area


def test_a_box_a_negative_click_and_a_choice(scene: Scene) -> None:
    scene.post(AddPrompts((BoxPrompt(30, 190, 110, 270),), (0,)))
    state = scene.post(AddPrompts((Click(70, 240, positive=False),), (0,)))
    assert len(state.prompts) == 2
    assert state.candidates[0].box.x1 == 240
    scene.post(Discard(), FIRST)
    assert scene.post(Choose(2)).chosen == 2
    assert scene.post(ChooseNext()).chosen == 0
    assert scene.post(ChooseNext(-1)).chosen == 2
    assert scene.post(Choose(9)).chosen == 2


def test_a_prompt_that_the_candidate_does_not_honour_is_named(scene: Scene) -> None:
    state = scene.post(FIRST, AddPrompts((Click(70, 50, positive=False),), (0,)))
    assert state.unmet == {0}


def test_another_plane_keeps_the_candidate_until_a_click_is_there(
    scene: Scene,
) -> None:
    scene.post(FIRST)
    state = scene.post(MoveBy(0, 1))
    assert (state.plane, state.prompt_plane) == ((1,), (0,))
    assert len(state.candidates) == 3
    assert scene.post(MoveBy(0, 9)).plane == (PLANES - 1,)
    assert scene.post(MoveBy(7, 1)).plane == (PLANES - 1,)
    state = scene.post(AddPrompts((Click(70, 70),), (3,)), Accept())
    assert state.prompt_plane == (3,)
    assert scene.on_disk()[3].any()
    assert not scene.on_disk()[:3].any()


def test_an_object_is_edited_merged_and_deleted(scene: Scene) -> None:
    scene.post(FIRST, Accept())
    assert scene.post(EditAt((0,), 50, 50)).target == 1
    scene.post(AddPrompts((Click(70, 80, positive=False),), (0,)), Accept())
    assert (scene.on_disk()[0] == 1).sum() == 60 * 40
    scene.post(SECOND, MergeInto(1))
    assert (scene.on_disk()[0] == 1).sum() == 60 * 40 + SQUARES[1].area
    scene.post(GoTo((2,)))
    state = scene.post(EditObject(1))
    assert (state.plane, state.target) == ((0,), 1)
    state = scene.post(Delete())
    assert state.target is None
    assert not scene.on_disk().any()
    assert "no object" in scene.post(EditAt((0,), 50, 50)).error


def test_objects_are_deleted_by_their_ids(scene: Scene) -> None:
    scene.post(FIRST, Accept(), SECOND, Accept())
    assert scene.post(Delete((1, 2))).objects == ()
    assert "Pick an object" in scene.post(Delete()).error


def test_what_is_painted_is_one_step_for_undo(scene: Scene) -> None:
    painted = np.full((10, 12), 7, np.uint32)
    state = scene.post(Paint(painted, Box(0, 0, 10, 12), (1,)))
    assert [found.label_id for found in state.objects] == [7]
    assert scene.post(Undo()).objects == ()


def test_prompts_are_replaced_in_the_plane_on_show(scene: Scene) -> None:
    state = scene.post(FIRST, GoTo((2,)), ReplacePrompts((Click(70, 230),)))
    assert state.prompts == (Click(70, 230),)
    assert state.prompt_plane == (2,)


def test_collected_boxes_become_an_object_each(scene: Scene) -> None:
    scene.post(SetBoxCollecting(is_on=True))
    for square in SQUARES[:3]:
        scene.post(AddPrompts((BoxPrompt.from_box(square),), (1,)))
    state = scene.post(Undo())
    assert len(state.boxes) == 2
    assert state.prompt_plane == (1,)
    assert state.prompts == ()
    state = scene.post(SegmentBoxes())
    assert state.boxes == ()
    assert [found.box for found in state.objects] == list(SQUARES[:2])
    assert all(found.planes == ((1,),) for found in state.objects)


def test_boxes_of_another_plane_begin_anew(scene: Scene) -> None:
    boxes = [BoxPrompt.from_box(square) for square in SQUARES]
    state = scene.post(CollectBox(boxes[0], (0,)), CollectBox(boxes[1], (1,)))
    assert state.boxes == (boxes[1],)
    assert scene.post(Discard()).boxes == ()


def test_a_wrong_prompt_is_reported_and_changes_nothing(scene: Scene) -> None:
    scene.post(FIRST)
    state = scene.post(AddPrompts((Click(1, 10**6),), (0,)))
    assert "outside" in state.error
    assert len(scene.screen.errors) == 1
    assert "plane" in scene.post(AddPrompts((Click(1, 1),), (99,))).error
    state = scene.post(Choose(0))
    assert state.error == ""
    assert state.prompts == (Click(70.5, 70.25),)


def test_an_error_stays_while_the_mouse_moves(scene: Scene) -> None:
    scene.post(Accept())
    state = scene.post(MoveMouse((0,), Click(5, 5)))
    assert "nothing to accept" in state.error


def test_a_broken_model_is_reported_and_the_next_click_works(scene: Scene) -> None:
    scene.model.is_broken = True
    assert "no memory left" in scene.post(FIRST).error
    with pytest.raises(RuntimeError, match="no memory left"):
        scene.annotator.do(FIRST)
    scene.model.is_broken = False
    state = scene.post(FIRST)
    assert state.error == ""
    assert len(state.candidates) == 3


def test_what_goes_wrong_in_a_call_is_raised_there(scene: Scene) -> None:
    with pytest.raises(SessionError, match="nothing to accept"):
        scene.annotator.accept()
    with pytest.raises(SamError, match="plane"):
        scene.annotator.do(GoTo((99,)))
    with pytest.raises(ZeroDivisionError):
        scene.annotator.call(lambda _: 1 / 0)
    assert scene.annotator.call(lambda session: session.plane) == (0,)


def test_clicks_that_come_faster_than_the_answers_all_count(scene: Scene) -> None:
    scene.model.may_predict.clear()
    for k in range(20):
        box = SQUARES[k % 4]
        click = Click(box.y0 + 2.0 * k + 5, box.x0 + 2.0 * k + 5)
        scene.annotator.post(AddPrompts((click,), (0,)))
    wait_for(lambda: len(scene.annotator.state.prompts) == 20)
    assert scene.annotator.state.is_pending
    scene.model.may_predict.set()
    scene.post(Accept())
    (record,) = scene.annotator.session.labels.records()
    assert len(record.record["prompts"]["points"]) == 20
    assert all(scene.on_disk()[0][box.slices].all() for box in SQUARES)


def test_accept_waits_for_its_answer_and_the_click_after_is_of_another_object(
    scene: Scene,
) -> None:
    scene.model.may_encode.clear()
    for command in (FIRST, Accept(), SECOND):
        scene.annotator.post(command)
    scene.annotator.call(lambda _: None)
    assert scene.annotator.state.is_pending
    scene.model.may_encode.set()
    state = scene.post()
    assert len(state.objects) == 1
    assert state.prompts == (Click(70, 230),)


def test_undo_takes_back_what_waits_then_what_is_on_its_way(scene: Scene) -> None:
    scene.model.may_encode.clear()
    for command in (FIRST, SECOND, Accept(), Undo(), Undo()):
        scene.annotator.post(command)
    scene.annotator.call(lambda _: None)
    assert scene.annotator.state.prompts == (Click(70.5, 70.25),)
    scene.model.may_encode.set()
    state = scene.post()
    assert state.objects == ()
    assert len(state.candidates) == 3


def test_cancel_gives_up_the_answer_and_what_waits_for_it(scene: Scene) -> None:
    scene.model.may_encode.clear()
    for command in (FIRST, Accept(), Cancel()):
        scene.annotator.post(command)
    scene.annotator.call(lambda _: None)
    state = scene.annotator.state
    assert not state.is_pending
    assert state.prompts == ()
    assert state.error == ""
    scene.model.may_encode.set()
    assert scene.post().objects == ()


def test_what_is_painted_is_not_lost_with_the_answer_it_waited_for(
    scene: Scene,
) -> None:
    painted = Paint(np.full((4, 4), 9, np.uint32), Box(0, 0, 4, 4), (0,))
    scene.model.may_encode.clear()
    for command in (FIRST, Accept(), painted, Discard()):
        scene.annotator.post(command)
    scene.annotator.call(lambda _: None)
    assert [found.label_id for found in scene.annotator.state.objects] == [9]
    scene.model.may_encode.set()


def test_a_preview_is_shown_only_where_it_is_encoded(scene: Scene) -> None:
    over = MoveMouse((0,), Click(70, 70))
    scene.post(over)
    assert scene.annotator.state.preview is None
    scene.post(SetPreviews(is_on=True), over)
    scene.annotator.call(lambda _: None)
    assert scene.annotator.state.preview is None
    assert scene.model.encodes == 0
    scene.post(FIRST)
    scene.post(Discard(), over)
    wait_for(lambda: scene.annotator.state.preview is not None)
    assert scene.annotator.state.preview.box == SQUARES[0]
    assert scene.annotator.state.prompts == ()
    assert scene.model.encodes == 1
    assert scene.post(MoveMouse((0,), None)).preview is None
    scene.annotator.post(over)
    wait_for(lambda: scene.annotator.state.preview is not None)
    assert scene.post(SetPreviews(is_on=False)).preview is None


def test_a_state_is_shown_only_when_it_is_another(scene: Scene) -> None:
    scene.post(FIRST)
    count = len(scene.screen.states)
    for _ in range(5):
        scene.annotator.call(lambda _: None)
        scene.annotator.post(GoTo((0,)))
    scene.post()
    assert len(scene.screen.states) == count
    pairs = zip(scene.screen.states, scene.screen.states[1:], strict=False)
    assert all(one != other for one, other in pairs)


def test_no_level_finer_than_the_chosen_one_is_read(labels: Path) -> None:
    scene = Scene(labels, [stack()[0], stack()[0][::2, ::2]], axes="yx")
    click = AddPrompts((Click(70, 70),), ())
    state = scene.post(SetLevel(1), click)
    assert state.level == 1
    assert state.candidate.level == 1
    assert scene.post(Discard(), SetLevel(None), click).candidate.level == 0
    scene.annotator.close()
