"""Segment everything, from the widget's own button."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from widget_scene import SQUARES, SquaresModel, on_disk, stack
from widget_talk import MOST_S, clicked, says, wait_for

import napari_sam as ns
from napari_sam.annotator import run_merge, undo
from napari_sam.annotator.commands import Where
from napari_sam.jupyter_widget.widget import SegmentWidget
from napari_sam.labels import Edit


@pytest.mark.slow
def test_everything_in_view_is_found_and_objects_that_are_there_stay(
    widget: SegmentWidget, labels: Path
) -> None:
    clicked(widget, 70, 70)
    widget.accept()
    view = {"type": "view", "view": "v", "plane": [0], "box": [0, 0, 290, 400]}
    says(widget, **view, zoom=1, tiles=[])
    row = widget.controls.automatic
    row.start.click()
    wait_for(lambda: "added to the labels" in row.text.value)
    found = on_disk(labels)
    assert (found[0][SQUARES[0].slices] == 1).all()
    ids = [set(np.unique(found[0][box.slices]).tolist()) for box in SQUARES]
    assert all(len(seen) == 1 and 0 not in seen for seen in ids)
    assert len(set.union(*ids)) == 4
    assert not found[1:].any()
    widget.undo()
    assert len(np.unique(on_disk(labels))) == 2


def test_segmenting_everything_can_be_cancelled(labels: Path) -> None:
    widget = ns.SegmentWidget(stack(), labels, SquaresModel(0.05))
    row = widget.controls.automatic
    row.start.click()
    wait_for(lambda: row.cancel.layout.display == "")
    row.cancel.click()
    wait_for(lambda: "Cancelled. What was found is kept." in row.text.value)
    assert not row.start.disabled
    assert not on_disk(labels).any()
    widget.close()


@pytest.mark.slow
def test_the_undo_of_a_run_is_stopped_by_escape_and_gone_on_with(
    widget: SegmentWidget, labels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_merge, "BLOCK", 128)
    monkeypatch.setattr(undo, "CHUNK_S", -1.0)
    row = widget.controls.automatic
    row.start.click()
    wait_for(lambda: "added to the labels" in row.text.value)
    store = widget.label_store
    undo_edit, calls = store.undo, count(1)
    reached, opened = Event(), Event()

    def held(edit: Edit | int) -> Edit:
        if next(calls) == 2:
            reached.set()
            opened.wait(MOST_S)
        return undo_edit(edit)

    monkeypatch.setattr(store, "undo", held)
    widget.canvas._handle_custom_msg({"type": "command", "command": "undo"}, [])
    wait_for(reached.is_set)
    assert "Escape stops it" in widget.canvas.state["notice"]
    widget.canvas._handle_custom_msg({"type": "command", "command": "discard"}, [])
    opened.set()
    widget.wait()
    assert "Escape" not in widget.canvas.state["notice"]
    assert next(calls) == 3
    assert on_disk(labels).any()
    widget.undo()
    assert not on_disk(labels).any()


def test_a_cancelled_run_is_gone_on_with_in_all_planes(labels: Path) -> None:
    widget = ns.SegmentWidget(stack(), labels, SquaresModel(0.05))
    row = widget.controls.automatic
    row.where.value = Where.STACK
    row.size.value = 60
    assert row.go_on.layout.display == "none"
    row.start.click()
    wait_for(lambda: "Window" in row.text.value or "Tile" in row.text.value)
    row.cancel.click()
    wait_for(lambda: row.go_on.layout.display == "")
    row.go_on.click()
    wait_for(lambda: "added to the labels" in row.text.value)
    assert all(plane.any() for plane in on_disk(labels))
    wait_for(lambda: row.go_on.layout.display == "none")
    widget.close()
