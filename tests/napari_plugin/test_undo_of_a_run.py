"""Undo of what a run has written goes a little at a time, in a real window."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest
from dock_run_scene import assert_window_lives, finish, labels_in, open_dock, start
from dock_scene import CTRL, Person
from islands_scene import COUNT, IslandsModel, on_disk, squares
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam.annotator import run_merge, undo
from napari_sam.annotator.commands import Where
from napari_sam.errors import LabelError
from napari_sam.labels import Edit


@pytest.fixture
def flat(
    make_napari_viewer: Callable[..., Viewer], qtbot: QtBot, tmp_path: Path
) -> Person:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1366, 768)
    viewer.add_image(on_disk(tmp_path / "flat.zarr", squares()), name="flat")
    person = Person(viewer, qtbot)
    open_dock(person, IslandsModel())
    return person


class Gate:
    """Holds up the undo of edits at the so-manieth of them, until it is opened."""

    def __init__(self, person: Person, at: int) -> None:
        self.calls = 0
        self.is_reached, self.opened = Event(), Event()
        labels = person.session.labels
        undo = labels.undo

        def held(edit: Edit | int) -> Edit:
            self.calls += 1
            if self.calls == at:
                self.is_reached.set()
                self.opened.wait(60)
            return undo(edit)

        labels.undo = held  # type: ignore[method-assign]


@pytest.fixture
def segmented(flat: Person, monkeypatch: pytest.MonkeyPatch) -> Person:
    """In eight blocks, each of which is a while for an undo."""
    monkeypatch.setattr(run_merge, "BLOCK", 256)
    monkeypatch.setattr(undo, "CHUNK_S", -1.0)
    start(flat, Where.PLANE)
    finish(flat)
    flat.screen.show_layers()
    return flat


def test_the_undo_of_a_run_can_be_cancelled_and_gone_on_with(
    segmented: Person,
) -> None:
    gate = Gate(segmented, at=2)
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.until(gate.is_reached.is_set)
    assert_window_lives(segmented)
    panel = segmented.dock.object_panel
    assert panel.cancel.isEnabled()
    assert "Cancel stops it" in segmented.dock.status.text()
    panel.cancel.click()
    gate.opened.set()
    segmented.wait()
    assert gate.calls == 2
    assert not segmented.state.is_saving
    assert not panel.cancel.isEnabled()
    left = len(segmented.state.objects)
    assert 0 < left < COUNT
    assert labels_in(segmented).any()
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.wait()
    assert segmented.state.objects == ()
    assert not labels_in(segmented).any()


def test_a_dock_that_is_closed_does_not_wait_for_the_undo_of_a_run(
    segmented: Person,
) -> None:
    gate = Gate(segmented, at=2)
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.until(gate.is_reached.is_set)
    gate.opened.set()
    segmented.dock.close()
    assert gate.calls < 4


def test_an_undo_that_fails_is_over(segmented: Person) -> None:
    def fail(edit: Edit | int) -> Edit:
        raise LabelError("a later edit is in the way")

    labels = segmented.session.labels
    undo, labels.undo = labels.undo, fail  # type: ignore[method-assign]
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.until(lambda: not segmented.state.is_saving)
    segmented.wait()
    labels.undo = undo  # type: ignore[method-assign]
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.wait()
    assert not labels_in(segmented).any()
