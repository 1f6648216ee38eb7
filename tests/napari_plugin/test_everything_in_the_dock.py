"""The panel "Segment everything" in a real window: from buttons to labels on disk."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from dock_scene import CTRL, Person
from everything_scene import (
    BACKGROUND,
    COUNT,
    SHAPE,
    SOME,
    SQUARE,
    TILE_WINDOWS,
    WINDOWS,
    IslandsModel,
    on_disk,
    squares,
)
from napari.layers.base import Layer
from napari.utils.notifications import notification_manager
from napari.viewer import Viewer
from plugin_scene import seen
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QTimer

from napari_sam import walking
from napari_sam.annotator import run_merge
from napari_sam.annotator.run_merge import run_location
from napari_sam.automatic.plan import Tile
from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels import Edit
from napari_sam.napari_plugin import everything_run
from napari_sam.napari_plugin.dock import SegmentDock
from napari_sam.napari_plugin.everything_run import EverythingRun
from napari_sam.napari_plugin.layers.found_pyramid import FoundPyramid
from napari_sam.napari_plugin.layers.rectangle import Where
from napari_sam.napari_plugin.panels.automatic_panel import AutomaticPanel

WHOLE = Box.of_shape(SHAPE)


@pytest.fixture
def person(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot) -> Person:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1366, 768)
    return Person(viewer, qtbot)


@pytest.fixture
def model() -> IslandsModel:
    return IslandsModel()


@pytest.fixture
def flat(person: Person, model: IslandsModel, tmp_path: Path) -> Person:
    person.viewer.add_image(on_disk(tmp_path / "flat.zarr", squares()), name="flat")
    open_dock(person, model)
    return person


def open_dock(person: Person, model: IslandsModel) -> SegmentDock:
    dock = person.open_dock(model)
    # The windows in view would be encoded also.
    dock.controller._prefetch.stop()
    person.until(lambda: dock.controller.jobs.is_idle)
    model.encodes = 0
    return dock


def panel_of(person: Person) -> AutomaticPanel:
    return person.dock.everything


def run_of(person: Person) -> EverythingRun:
    run = person.dock.controller.everything
    assert run is not None
    return run


def start(person: Person, where: Where, size: float = SQUARE) -> None:
    panel = panel_of(person)
    panel.where.setCurrentText(where)
    panel.size.setValue(size)
    panel.start.click()


def finish(person: Person) -> None:
    """Until the run has ended, and it is known whether one is left."""
    jobs = person.dock.controller.long_jobs
    person.until(lambda: not run_of(person).is_running and jobs.is_idle)
    person.wait()


def labels_in(person: Person, plane: tuple[int, ...] = ()) -> np.ndarray:
    return np.asarray(person.workspace.session.labels.read(plane, WHOLE))


def layer_names(person: Person) -> list[str]:
    return [layer.name for layer in person.viewer.layers]


def assert_window_lives(person: Person) -> None:
    beats: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(5)
    person.until(lambda: len(beats) >= 20)
    timer.stop()


def assert_stays_over(layer: Layer, image: Layer) -> None:
    """Also where the image is moved, and has other pixel sizes."""
    image.scale, image.translate = (0.25, 0.5), (7, -3)
    for point in ((0, 0), (100, 50)):
        np.testing.assert_allclose(
            layer.data_to_world(point), image.data_to_world(point)
        )


def test_the_whole_plane_is_segmented_and_undone_and_the_preview_goes(
    flat: Person, model: IslandsModel
) -> None:
    before = layer_names(flat)
    assert panel_of(flat).where.findText(Where.STACK) == -1
    start(flat, Where.PLANE)
    finish(flat)
    assert model.encodes == WINDOWS
    np.testing.assert_array_equal(labels_in(flat) > 0, squares() > BACKGROUND)
    assert len(flat.workspace.session.objects) == COUNT
    assert len(flat.workspace.objects) == COUNT
    assert f"{COUNT} objects added" in panel_of(flat).said.text()
    assert layer_names(flat) == before
    assert not panel_of(flat).go_on.isEnabled()
    assert not run_location(flat.workspace.session).folder.exists()
    flat.workspace.show_layers()
    flat.press(Qt.Key.Key_Z, CTRL)
    flat.wait()
    assert flat.workspace.session.objects == ()
    assert not labels_in(flat).any()


class Gate:
    """Holds up the undo of edits at the so-manieth of them, until it is opened."""

    def __init__(self, person: Person, at: int) -> None:
        self.calls = 0
        self.is_reached, self.opened = Event(), Event()
        labels = person.workspace.session.labels
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
    monkeypatch.setattr(walking, "A_WHILE_S", -1.0)
    start(flat, Where.PLANE)
    finish(flat)
    flat.workspace.show_layers()
    return flat


def test_the_undo_of_a_run_can_be_cancelled_and_gone_on_with(
    segmented: Person,
) -> None:
    gate = Gate(segmented, at=2)
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.until(gate.is_reached.is_set)
    assert_window_lives(segmented)
    panel = segmented.dock.draft
    assert panel.cancel.isEnabled()
    assert "Cancel stops it" in segmented.dock.status.text()
    panel.cancel.click()
    gate.opened.set()
    segmented.wait()
    assert gate.calls == 2
    assert not segmented.workspace.is_walking
    assert not panel.cancel.isEnabled()
    left = len(segmented.workspace.objects)
    assert 0 < left < COUNT
    assert labels_in(segmented).any()
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.wait()
    assert segmented.workspace.objects == ()
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

    labels = segmented.workspace.session.labels
    undo, labels.undo = labels.undo, fail  # type: ignore[method-assign]
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.until(lambda: not segmented.workspace.is_walking)
    segmented.wait()
    labels.undo = undo  # type: ignore[method-assign]
    segmented.press(Qt.Key.Key_Z, CTRL)
    segmented.wait()
    assert not labels_in(segmented).any()


def test_only_what_is_in_view_is_segmented(flat: Person) -> None:
    flat.viewer.scene.camera.zoom = 12
    flat.viewer.scene.camera.center = (0, 100, 200)
    flat.qtbot.wait(20)
    view = flat.dock.controller.view()
    assert view is not None
    assert view.area < WHOLE.area / 2
    start(flat, Where.VIEW)
    finish(flat)
    labels = labels_in(flat)
    wanted = (squares() > BACKGROUND)[view.slices]
    np.testing.assert_array_equal(labels[view.slices] > 0, wanted)
    labels[view.slices] = 0
    assert not labels.any()


def test_a_rectangle_is_dragged_on_the_canvas(flat: Person) -> None:
    panel, area = panel_of(flat), run_of(flat).area
    panel.where.setCurrentText(Where.RECTANGLE)
    panel.drawn.click()
    assert area.is_drawing
    flat.drag((30, 60), (170, 250))
    assert not area.is_drawing
    assert not panel.drawn.isChecked()
    box = area.rectangle
    assert box is not None
    np.testing.assert_allclose(
        (box.y0, box.x0, box.y1, box.x1), (30, 60, 170, 250), atol=2
    )
    assert panel.rectangle.text() == area.text
    assert "flat rectangle" in layer_names(flat)
    assert flat.workspace.is_pointing
    assert flat.workspace.session.prompts == ()
    start(flat, Where.RECTANGLE)
    finish(flat)
    labels = labels_in(flat)
    wanted = (squares() > BACKGROUND)[box.slices]
    assert ((labels[box.slices] > 0) == wanted).mean() > 0.99
    labels[box.slices] = 0
    assert not labels.any()
    flat.drag((60, 100), (100, 140))
    flat.wait()
    assert len(flat.workspace.session.prompts) == 1
    panel.where.setCurrentText(Where.PLANE)
    assert "flat rectangle" not in layer_names(flat)


def test_a_rectangle_is_typed_and_one_that_cannot_be_is_refused(flat: Person) -> None:
    panel, area = panel_of(flat), run_of(flat).area
    panel.where.setCurrentText(Where.RECTANGLE)
    start(flat, Where.RECTANGLE)
    assert "There is no rectangle yet" in panel.said.text()
    for text, words in (("1, 2, 3", "four whole numbers"), ("900 900 950 950", "meet")):
        panel.rectangle.setText(text)
        panel.rectangle.editingFinished.emit()
        assert words in notification_manager.records[-1].message
        assert area.rectangle is None
    panel.rectangle.setText("32, 64, 96, 9999")
    panel.rectangle.editingFinished.emit()
    assert area.rectangle == Box(32, 64, 96, SHAPE[1])
    assert panel.rectangle.text() == f"32, 64, 96, {SHAPE[1]}"


def test_all_planes_are_segmented_each_by_itself(
    person: Person, model: IslandsModel, tmp_path: Path
) -> None:
    stack = np.stack([squares(), np.full(SHAPE, BACKGROUND, np.uint8), squares(5)])
    person.viewer.add_image(
        on_disk(tmp_path / "stack.zarr", stack),
        name="stack",
        scale=(4, 0.5, 0.5),
        axis_labels=("z", "y", "x"),
    )
    open_dock(person, model)
    person.viewer.dims.ndisplay = 3
    start(person, Where.PLANE)
    assert "leave the 3D view" in panel_of(person).said.text()
    assert not run_of(person).is_running
    person.viewer.dims.ndisplay = 2
    start(person, Where.STACK)
    finish(person)
    for z, pixels in enumerate(stack):
        np.testing.assert_array_equal(labels_in(person, (z,)) > 0, pixels > BACKGROUND)
    assert len(person.workspace.session.objects) == 2 * COUNT


def test_the_preview_fills_while_the_window_and_clicks_go_on(
    flat: Person, model: IslandsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first tile is told of, however soon it comes after the line before.
    monkeypatch.setattr(everything_run, "REPORT_INTERVAL_S", 3600.0)
    flat.click(40 + 7, 40 + 7)  # the window around it is encoded now
    flat.wait()
    model.allow(SOME)
    start(flat, Where.PLANE)
    flat.until(lambda: run_of(flat).found.layer is not None)
    layer = run_of(flat).found.layer
    assert layer.name in layer_names(flat)
    assert flat.workspace.is_pointing
    wanted = squares() > BACKGROUND
    flat.until(lambda: seen(layer).shape == SHAPE and seen(layer).any())
    drawn = seen(layer)
    assert not drawn[~wanted].any()
    assert (drawn[wanted] == 0).any()  # not all tiles are done
    assert "left" in panel_of(flat).said.text()
    assert_window_lives(flat)
    flat.click(40 + 7, 40 + 7)
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    assert len(flat.workspace.session.objects) == 1
    assert run_of(flat).is_running
    assert_stays_over(layer, flat.workspace.layer)
    model.is_free.set()
    finish(flat)
    assert len(flat.workspace.session.objects) == COUNT
    assert labels_in(flat)[47, 47] == 1


def test_cancel_is_at_once_and_continue_goes_on(
    flat: Person, model: IslandsModel
) -> None:
    panel = panel_of(flat)
    model.allow(SOME)
    start(flat, Where.PLANE)
    flat.until(lambda: model.encodes > SOME and run_of(flat).found.layer is not None)
    assert not panel.start.isEnabled()
    panel.cancel.click()
    assert not run_of(flat).is_running
    assert "Cancelled" in panel.said.text()
    assert not panel.cancel.isEnabled()
    model.is_free.set()
    finish(flat)
    assert not labels_in(flat).any()
    assert panel.go_on.isEnabled()
    assert "tiles found: Continue goes on" in panel.said.text()
    assert "flat found so far" in layer_names(flat)
    encodes = model.encodes
    panel.go_on.click()
    finish(flat)
    assert model.encodes - encodes == TILE_WINDOWS
    assert len(flat.workspace.session.objects) == COUNT
    assert "flat found so far" not in layer_names(flat)


def test_a_run_goes_on_after_the_dock_was_closed_and_opened_again(
    flat: Person, model: IslandsModel
) -> None:
    model.allow(SOME)
    start(flat, Where.PLANE)
    flat.until(lambda: model.encodes > SOME and run_of(flat).found.layer is not None)
    model.is_free.set()
    flat.viewer.window.remove_dock_widget(flat.dock)
    assert layer_names(flat) == ["flat"]
    again = IslandsModel()
    open_dock(flat, again)
    panel = panel_of(flat)
    flat.until(panel.go_on.isEnabled)
    assert panel.isVisible()
    panel.go_on.click()
    finish(flat)
    assert len(flat.workspace.session.objects) == COUNT
    np.testing.assert_array_equal(labels_in(flat) > 0, squares() > BACKGROUND)
    assert again.encodes == TILE_WINDOWS


def test_what_is_put_into_the_labels_can_be_cancelled_and_gone_on_with(
    flat: Person, monkeypatch: pytest.MonkeyPatch, model: IslandsModel
) -> None:
    monkeypatch.setattr(run_merge, "BLOCK", 128)
    start(flat, Where.PLANE)
    text = "Adding to the labels: block"
    run = run_of(flat)
    flat.until(lambda: text in panel_of(flat).said.text() and run.done >= 3)
    flat.workspace.discard()
    flat.qtbot.wait(50)
    assert run_of(flat).is_running  # what Discard drops is not the run's
    panel_of(flat).cancel.click()
    finish(flat)
    some = len(flat.workspace.session.objects)
    assert 0 < some < COUNT
    assert "Continue puts the objects" in panel_of(flat).said.text()
    encodes = model.encodes
    panel_of(flat).go_on.click()
    finish(flat)
    assert model.encodes == encodes
    assert len(flat.workspace.session.objects) == COUNT


def test_objects_that_are_there_stay_as_they_are(flat: Person) -> None:
    flat.drag((36, 36), (60, 60))  # larger than the square in it
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    mine = labels_in(flat) == 1
    assert mine.any()
    start(flat, Where.PLANE)
    finish(flat)
    np.testing.assert_array_equal(labels_in(flat) == 1, mine)
    assert len(flat.workspace.session.objects) == COUNT
    assert "1 left out" in panel_of(flat).said.text()


def test_windows_that_fail_are_told_with_place_and_reason(
    flat: Person, model: IslandsModel
) -> None:
    model.failing = {model.encodes + 1}
    start(flat, Where.PLANE)
    finish(flat)
    text = panel_of(flat).said.text()
    assert "1 window failed" in text
    assert "y 0 to 96, x 0 to 96: the device is gone" in text
    assert "added to the labels" in text
    found = len(flat.workspace.session.objects)
    assert 0 < found < COUNT
    panel_of(flat).go_on.click()
    finish(flat)
    np.testing.assert_array_equal(labels_in(flat) > 0, squares() > BACKGROUND)
    assert "failed" not in panel_of(flat).said.text()


def test_an_error_is_said_in_words_and_the_panel_lives_on(
    flat: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    def undrawn(self: FoundPyramid, tile: Tile) -> None:
        raise ValueError("the look at a tile, which the run does not need")

    with monkeypatch.context() as patch:
        patch.setattr("napari_sam.annotator.run_merge.segment_image", full)
        start(flat, Where.PLANE)
        finish(flat)
    assert "No space left on device" in panel_of(flat).said.text()
    assert "No space left on device" in notification_manager.records[-1].message
    monkeypatch.setattr(FoundPyramid, "draw", undrawn)
    start(flat, Where.PLANE)
    finish(flat)
    assert len(flat.workspace.session.objects) == COUNT
