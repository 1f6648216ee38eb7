"""The widget from Python and by its messages, without a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import ipywidgets as ipw
import numpy as np
import pytest
from widget_scene import PLANES, SHAPE, SQUARES, SquaresModel, on_disk, stack
from widget_talk import MOST_S, clicked, says, sent, wait_for

import napari_sam as ns
from napari_sam.errors import LabelsLockedError, SamError, SessionError
from napari_sam.jupyter_widget.widget import SegmentWidget

CLICK = ns.Click(70.5, 70.25)


def test_one_line_shows_a_numpy_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    widget = ns.SegmentWidget(stack(), model=SquaresModel()).show()
    assert isinstance(widget, ipw.DOMWidget)
    assert "SegmentWidget" in capsys.readouterr().out
    widget.add(CLICK)
    widget.accept()
    (place,) = tmp_path.glob("*.labels.ome.zarr")
    widget.close()
    again = ns.SegmentWidget(stack(), model=SquaresModel())
    assert again.label_store.path == place
    assert len(again.objects) == 1
    again.close()


def test_a_click_arrives_and_is_answered_with_three_candidates(
    widget: SegmentWidget,
) -> None:
    state = clicked(widget, 70.5, 70.25)
    assert widget.prompts == (CLICK,)
    assert state["scores"] == [0.9, 0.86, 0.82]
    assert state["candidateBox"] == [40, 40, 100, 100]
    assert not state["pending"]


def test_accepting_writes_the_object_to_disk(
    widget: SegmentWidget, labels: Path
) -> None:
    clicked(widget, 70, 70)
    state = says(widget, type="command", command="accept")
    assert state["objects"] == 1
    assert state["prompts"] == []
    assert (on_disk(labels)[0] == 1).sum() == SQUARES[0].area
    assert np.array_equal(widget.labels[0], on_disk(labels)[0])


def test_undo_and_redo_go_through_prompts_and_objects(
    widget: SegmentWidget, labels: Path
) -> None:
    clicked(widget, 70, 70)
    says(widget, type="command", command="accept")
    state = says(widget, type="command", command="undo")
    assert not on_disk(labels).any()
    assert len(state["prompts"]) == 1
    assert state["scores"]
    assert says(widget, type="command", command="undo")["prompts"] == []
    says(widget, type="command", command="redo")
    says(widget, type="command", command="redo")
    assert (on_disk(labels)[0] == 1).sum() == SQUARES[0].area


def test_a_box_a_negative_click_and_a_choice_arrive(widget: SegmentWidget) -> None:
    says(widget, type="box", plane=[0], box=[30, 190, 110, 270])
    state = clicked(widget, 70, 240, positive=False)
    assert [p["kind"] for p in state["prompts"]] == ["box", "click"]
    assert widget.candidates[0].box.x1 == 240
    says(widget, type="command", command="discard")
    clicked(widget, 70, 70)
    assert says(widget, type="choose", index=2)["chosen"] == 2
    assert says(widget, type="command", command="next")["chosen"] == 0
    assert says(widget, type="choose", index=9)["chosen"] == 0


def test_another_plane_is_shown_and_clicks_go_there(
    widget: SegmentWidget, labels: Path
) -> None:
    widget.controls.sliders[0].value = 2
    assert widget.wait(MOST_S)
    assert widget.canvas.state["plane"] == [2]
    assert says(widget, type="move", axis=0, step=1)["plane"] == [3]
    assert widget.controls.sliders[0].value == 3
    assert says(widget, type="move", axis=0, step=5)["plane"] == [PLANES - 1]
    clicked(widget, 70, 70)
    says(widget, type="command", command="accept")
    found = on_disk(labels)
    assert found[3].any()
    assert not found[:3].any()


def test_looking_at_another_plane_keeps_the_candidate(widget: SegmentWidget) -> None:
    clicked(widget, 70, 70)
    state = says(widget, type="move", axis=0, step=1)
    assert state["plane"] == [1]
    assert state["promptPlane"] == [0]
    assert len(widget.candidates) == 3


def test_an_object_is_picked_changed_and_deleted(
    widget: SegmentWidget, labels: Path
) -> None:
    clicked(widget, 70, 70)
    says(widget, type="command", command="accept")
    assert says(widget, type="pick", plane=[0], y=50, x=50)["target"] == 1
    clicked(widget, 70, 80, positive=False)
    says(widget, type="command", command="accept")
    assert (on_disk(labels)[0] == 1).sum() == 60 * 40
    says(widget, type="pick", plane=[0], y=50, x=50)
    says(widget, type="command", command="delete")
    assert not on_disk(labels).any()
    assert "no object" in says(widget, type="pick", plane=[0], y=50, x=50)["error"]


def test_a_message_that_makes_no_sense_is_told_and_changes_nothing(
    widget: SegmentWidget,
) -> None:
    clicked(widget, 70, 70)
    for content in ({"type": "nonsense"}, {"type": "click", "plane": [99], "y": 1}):
        assert says(widget, **content)["error"]
    assert "plane" in clicked(widget, 1, 1, plane=[99])["error"]
    assert "outside" in clicked(widget, 1, 10**6)["error"]
    assert widget.prompts == (ns.Click(70, 70),)
    assert says(widget, type="choose", index=0)["error"] == ""


def test_an_error_of_the_model_is_shown_and_the_next_click_works(
    labels: Path,
) -> None:
    model = SquaresModel(is_broken=True)
    widget = ns.SegmentWidget(stack(), labels, model)
    assert "no memory left" in clicked(widget, 70, 70)["error"]
    with pytest.raises(RuntimeError, match="no memory left"):
        widget.add(CLICK)
    model.is_broken = False
    state = clicked(widget, 70, 70)
    assert state["error"] == ""
    assert state["scores"]
    widget.close()


def test_prompts_can_be_read_and_set_from_python(
    widget: SegmentWidget, labels: Path
) -> None:
    widget.prompts = [ns.Click(70, 70), ns.Click(70, 80, positive=False)]
    assert len(widget.prompts) == 2
    assert widget.candidates[0].box == ns.BoxPrompt(40, 40, 100, 80).box
    assert widget.accept() == 1
    widget.edit(1)
    widget.discard()
    widget.delete(1)
    widget.undo()
    assert (on_disk(labels)[0] == 1).sum() == 60 * 40


def test_what_goes_wrong_in_a_call_is_raised_there(widget: SegmentWidget) -> None:
    with pytest.raises(SessionError, match="nothing to accept"):
        widget.accept()
    with pytest.raises(SamError, match="outside"):
        widget.prompts = [ns.Click(10**6, 1)]
    with pytest.raises(SamError, match="plane"):
        widget.plane = (99,)


def test_clicks_that_come_faster_than_the_model_answers_all_count(
    labels: Path,
) -> None:
    widget = ns.SegmentWidget(stack(), labels, SquaresModel(0.02))
    for k in range(20):
        box = SQUARES[k % 4]
        content = {"type": "click", "plane": [0], "positive": True}
        at = {"y": box.y0 + 2.0 * k + 5, "x": box.x0 + 2.0 * k + 5}
        widget.canvas._handle_custom_msg({**content, **at}, [])
    says(widget, type="command", command="accept")
    (record,) = widget.label_store.records()
    assert len(record.record["prompts"]["points"]) == 20
    assert all(on_disk(labels)[0][box.slices].all() for box in SQUARES)
    widget.close()


def test_the_main_thread_is_free_while_the_model_computes(labels: Path) -> None:
    model, entered, may_go = SquaresModel(), Event(), Event()
    plain = model.predict

    def predict(*given: Any) -> Any:
        entered.set()
        assert may_go.wait(MOST_S)
        return plain(*given)

    model.predict = predict  # type: ignore[method-assign]
    widget = ns.SegmentWidget(stack(), labels, model)
    content = {"type": "click", "plane": [0], "y": 70, "x": 70, "positive": True}
    widget.canvas._handle_custom_msg(content, [])
    assert entered.wait(MOST_S)
    # The handler has come back, and the prompt is on show before its answer is.
    assert widget.canvas.state["pending"]
    assert len(widget.canvas.state["prompts"]) == 1
    may_go.set()
    assert widget.wait(MOST_S)
    assert not widget.canvas.state["pending"]
    widget.close()


def test_tiles_that_a_view_asks_for_are_sent(widget: SegmentWidget) -> None:
    heard = sent(widget)
    view = {"type": "view", "view": "v", "plane": [0], "box": [0, 0, 300, 400]}
    tiles = [["image", 0, 0, 0], ["labels", 0, 0, 0], ["candidate", 0, 0, 0]]
    says(widget, **view, zoom=1, tiles=tiles)
    wait_for(lambda: len(heard) == 3)
    kinds = {content["kind"]: content for content, _ in heard}
    assert kinds["image"]["encoding"] == "png"
    assert kinds["image"]["shape"] == list(SHAPE)
    assert kinds["labels"]["encoding"] == "empty"
    assert kinds["candidate"]["encoding"] == "empty"


def test_a_new_candidate_in_view_is_sent_before_it_is_asked_for(
    widget: SegmentWidget,
) -> None:
    view = {"type": "view", "view": "v", "plane": [0], "box": [0, 0, 300, 400]}
    says(widget, **view, zoom=1, tiles=[])
    heard = sent(widget)
    clicked(widget, 70, 70)
    (found,) = [content for content, _ in heard if content["type"] == "tile"]
    assert found["kind"] == "candidate"
    assert found["encoding"] == "bits"
    assert found["version"] == widget.canvas.state["versions"]["candidate"]


def test_a_page_that_missed_the_state_is_told_again(
    widget: SegmentWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicked(widget, 70, 70)
    told: list[Any] = []
    monkeypatch.setattr(widget.canvas, "send_state", told.append)
    says(widget, type="again")
    assert told == ["state"]


def test_views_are_told_where_labels_have_changed(widget: SegmentWidget) -> None:
    clicked(widget, 70, 70)
    heard = sent(widget)
    says(widget, type="command", command="accept")
    (stale,) = [content for content, _ in heard if content["type"] == "stale"]
    assert stale["planes"] == [[0]]
    assert stale["box"] == [40, 40, 100, 100]
    assert stale["version"] == widget.canvas.state["versions"]["labels"]


def test_the_preview_shows_what_a_click_would_give_and_adds_nothing(
    widget: SegmentWidget,
) -> None:
    says(widget, type="display", preview=True)
    assert widget.controls.preview.value
    clicked(widget, 70, 230)  # the window around it is encoded now
    says(widget, type="command", command="discard")
    says(widget, type="hover", plane=[0], y=70, x=70)
    wait_for(lambda: widget.canvas.state["previewBox"] == [40, 40, 100, 100])
    assert widget.prompts == ()
    says(widget, type="hover", plane=[0])
    assert widget.canvas.state["previewBox"] is None


def test_what_is_in_view_is_encoded_while_nobody_waits(
    widget: SegmentWidget, model: SquaresModel
) -> None:
    view = {"type": "view", "view": "v", "plane": [0], "box": [0, 0, 300, 400]}
    says(widget, **view, zoom=1, tiles=[])
    wait_for(lambda: model.predictions > 0)
    assert widget.prompts == ()


def test_keys_of_the_browser_change_the_controls(widget: SegmentWidget) -> None:
    says(widget, type="display", labels="outline", tool="pick")
    assert widget.controls.labels.value == "outline"
    assert widget.canvas.display["labels"] == "outline"
    assert widget.canvas.display["tool"] == "pick"
    widget.controls.opacity.value = 0.25
    assert widget.canvas.display["opacity"] == 0.25


def test_contrast_changes_what_is_shown_and_not_what_the_model_sees(
    widget: SegmentWidget,
) -> None:
    before = widget.image.fingerprint, widget.image.contrast
    version = widget.canvas.state["versions"]["image"]
    widget.controls.ranges[0].value = (30, 90)
    widget.wait()
    assert widget.canvas.state["versions"]["image"] == version + 1
    assert (widget.image.fingerprint, widget.image.contrast) == before


def test_another_channel_goes_on_with_prompts_and_labels(labels: Path) -> None:
    both = np.stack([stack()[0], 255 - stack()[0]])
    widget = ns.SegmentWidget(both, labels, SquaresModel(), axes="cyx")
    clicked(widget, 70, 70)
    widget.accept()
    clicked(widget, 70, 230)
    assert [c for _, c in widget.controls.channel.options] == [(0, 1), (0,), (1,)]
    version = widget.canvas.state["versions"]["image"]
    widget.controls.channel.value = (1,)
    widget.wait()
    assert widget.canvas.state["versions"]["image"] == version + 1
    assert widget.image.channels == (1,)
    assert len(widget.prompts) == 1
    assert len(widget.objects) == 1
    widget.accept()
    assert len(widget.objects) == 2
    widget.close()


def test_a_cell_that_is_run_again_takes_over_the_labels(
    widget: SegmentWidget, labels: Path
) -> None:
    clicked(widget, 70, 70)
    says(widget, type="command", command="accept")
    clicked(widget, 70, 230)
    newer = ns.SegmentWidget(stack(), labels, SquaresModel())
    newer.wait()
    assert len(newer.objects) == 1
    assert len(newer.prompts) == 1
    newer.accept()
    assert len(np.unique(on_disk(labels))) == 3
    with pytest.raises(SessionError, match="newer one"):
        widget.show()
    newer.close()


@pytest.mark.slow
def test_labels_that_another_program_writes_are_left_to_it(
    widget: SegmentWidget, labels: Path
) -> None:
    code = (
        "import sys; from napari_sam.labels import LabelStore\n"
        "LabelStore.open(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(labels)], capture_output=True, check=False
    )
    assert LabelsLockedError.__name__.encode() in done.stderr


def test_the_widget_lives_in_ordinary_layouts(widget: SegmentWidget) -> None:
    box = ipw.HBox([widget, ipw.Output()])
    assert widget in box.children
    bundle = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_saved_picture_has_the_image_the_labels_and_a_hint(
    widget: SegmentWidget, labels: Path
) -> None:
    before = widget._page._still()
    clicked(widget, 70, 70)
    widget.accept()
    after = widget._page._still()
    assert "Run the cell again" in after
    assert str(labels) in after
    assert "data:image/png;base64," in after
    assert before != after
    assert widget.canvas.facts["marker"] in after


def test_closing_lets_others_write(labels: Path, model: SquaresModel) -> None:
    widget = ns.SegmentWidget(stack(), labels, model)
    widget.add(CLICK)
    widget.close()
    with ns.Session(stack(), labels, model) as session:
        assert session.prompts == (CLICK,)
