"""The panel "Segment everything" in a real window: from buttons to labels on disk."""

from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from dock_run_scene import (
    WHOLE,
    assert_window_lives,
    catch_up,
    finish,
    labels_in,
    layer_names,
    open_dock,
    panel_of,
    run_of,
    start,
)
from dock_scene import CTRL, Person
from islands_scene import (
    BACKGROUND,
    COUNT,
    SHAPE,
    SOME,
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
from qtpy.QtCore import Qt

from napari_sam.annotator import automatic_run, run_merge
from napari_sam.annotator.commands import Discard, Where
from napari_sam.annotator.run_merge import RunMerge, run_location
from napari_sam.automatic.plan import Tile
from napari_sam.geometry import Box
from napari_sam.napari_plugin.layers.found_pyramid import FoundPyramid
from napari_sam.session import Session


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
    assert len(flat.session.objects) == COUNT
    assert len(flat.state.objects) == COUNT
    assert f"{COUNT} objects added" in panel_of(flat).text.text()
    assert layer_names(flat) == before
    assert not panel_of(flat).go_on.isEnabled()
    assert not run_location(flat.session).folder.exists()
    flat.screen.show_layers()
    flat.press(Qt.Key.Key_Z, CTRL)
    flat.wait()
    assert flat.state.objects == ()
    assert not labels_in(flat).any()


def test_only_what_is_in_view_is_segmented(flat: Person) -> None:
    flat.viewer.scene.camera.zoom = 12
    flat.viewer.scene.camera.center = (0, 100, 200)
    flat.qtbot.wait(20)
    view = flat.screen.view.box
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
    panel, area = panel_of(flat), flat.screen.rectangle
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
    assert flat.screen.takes_clicks
    assert flat.state.prompts == ()
    start(flat, Where.RECTANGLE)
    finish(flat)
    labels = labels_in(flat)
    wanted = (squares() > BACKGROUND)[box.slices]
    assert ((labels[box.slices] > 0) == wanted).mean() > 0.99
    labels[box.slices] = 0
    assert not labels.any()
    flat.drag((60, 100), (100, 140))
    flat.wait()
    assert len(flat.state.prompts) == 1
    panel.where.setCurrentText(Where.PLANE)
    assert "flat rectangle" not in layer_names(flat)


def test_a_rectangle_is_typed_and_one_that_cannot_be_is_refused(flat: Person) -> None:
    panel, area = panel_of(flat), flat.screen.rectangle
    panel.where.setCurrentText(Where.RECTANGLE)
    start(flat, Where.RECTANGLE)
    assert "There is no rectangle yet" in panel.text.text()
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
    assert "leave the 3D view" in panel_of(person).text.text()
    assert not run_of(person).is_running
    person.viewer.dims.ndisplay = 2
    start(person, Where.STACK)
    finish(person)
    for z, pixels in enumerate(stack):
        np.testing.assert_array_equal(labels_in(person, (z,)) > 0, pixels > BACKGROUND)
    assert len(person.state.objects) == 2 * COUNT


def test_the_preview_fills_while_the_window_and_clicks_go_on(
    flat: Person, model: IslandsModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first tile is told of, however soon it comes after the line before.
    monkeypatch.setattr(automatic_run, "REPORT_INTERVAL_S", 3600.0)
    flat.click(40 + 7, 40 + 7)  # the window around it is encoded now
    flat.wait()
    model.allow(SOME)
    start(flat, Where.PLANE)
    flat.until(lambda: flat.screen.found.layer is not None)
    layer = flat.screen.found.layer
    assert layer.name in layer_names(flat)
    assert flat.screen.takes_clicks
    wanted = squares() > BACKGROUND
    flat.until(lambda: seen(layer).shape == SHAPE and seen(layer).any())
    drawn = seen(layer)
    assert not drawn[~wanted].any()
    assert (drawn[wanted] == 0).any()  # not all tiles are done
    assert "left" in panel_of(flat).text.text()
    assert_window_lives(flat)
    flat.click(40 + 7, 40 + 7)
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    assert len(flat.state.objects) == 1
    assert run_of(flat).is_running
    assert_stays_over(layer, flat.screen.view.placement.layer)
    model.is_free.set()
    finish(flat)
    assert len(flat.state.objects) == COUNT
    assert labels_in(flat)[47, 47] == 1


def test_cancel_is_at_once_and_continue_goes_on(
    flat: Person, model: IslandsModel
) -> None:
    panel = panel_of(flat)
    model.allow(SOME)
    start(flat, Where.PLANE)
    flat.until(lambda: model.encodes > SOME and flat.screen.found.layer is not None)
    assert not panel.start.isEnabled()
    panel.cancel.click()
    catch_up(flat)
    assert not run_of(flat).is_running
    assert "Cancelled" in panel.text.text()
    assert not panel.cancel.isEnabled()
    model.is_free.set()
    finish(flat)
    assert not labels_in(flat).any()
    assert panel.go_on.isEnabled()
    assert "tiles found: Continue goes on" in panel.text.text()
    assert "flat found so far" in layer_names(flat)
    encodes = model.encodes
    panel.go_on.click()
    finish(flat)
    assert model.encodes - encodes == TILE_WINDOWS
    assert len(flat.state.objects) == COUNT
    assert "flat found so far" not in layer_names(flat)


def test_a_run_goes_on_after_the_dock_was_closed_and_opened_again(
    flat: Person, model: IslandsModel
) -> None:
    model.allow(SOME)
    start(flat, Where.PLANE)
    flat.until(lambda: model.encodes > SOME and flat.screen.found.layer is not None)
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
    assert len(flat.state.objects) == COUNT
    np.testing.assert_array_equal(labels_in(flat) > 0, squares() > BACKGROUND)
    assert again.encodes == TILE_WINDOWS


class Gate:
    """Holds up the writing of blocks at the so-manieth, until it is opened."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0
        self.is_reached, self.opened = Event(), Event()

    def hold(self) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.is_reached.set()
            self.opened.wait(60)


def test_what_is_put_into_the_labels_can_be_cancelled_and_gone_on_with(
    flat: Person, monkeypatch: pytest.MonkeyPatch, model: IslandsModel
) -> None:
    monkeypatch.setattr(run_merge, "BLOCK", 128)
    write, gates = RunMerge.write, (Gate(at=4), Gate(at=6))

    def held(self: RunMerge, session: Session, block: run_merge.Block) -> None:
        for gate in gates:
            gate.hold()
        write(self, session, block)

    monkeypatch.setattr(RunMerge, "write", held)
    start(flat, Where.PLANE)
    flat.until(gates[0].is_reached.is_set)
    flat.until(lambda: run_of(flat).done >= 3)
    assert "Adding to the labels: block" in panel_of(flat).text.text()
    flat.annotator.post(Discard())
    gates[0].opened.set()
    flat.until(gates[1].is_reached.is_set)  # what Discard drops is not the run's
    panel_of(flat).cancel.click()
    gates[1].opened.set()
    finish(flat)
    some = len(flat.state.objects)
    assert 0 < some < COUNT
    assert "Continue puts the objects" in panel_of(flat).text.text()
    encodes = model.encodes
    panel_of(flat).go_on.click()
    finish(flat)
    assert model.encodes == encodes
    assert len(flat.state.objects) == COUNT


def test_objects_that_are_there_stay_as_they_are(flat: Person) -> None:
    flat.drag((36, 36), (60, 60))  # larger than the square in it
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    mine = labels_in(flat) == 1
    assert mine.any()
    start(flat, Where.PLANE)
    finish(flat)
    np.testing.assert_array_equal(labels_in(flat) == 1, mine)
    assert len(flat.state.objects) == COUNT
    assert "1 left out" in panel_of(flat).text.text()


def test_windows_that_fail_are_told_with_place_and_reason(
    flat: Person, model: IslandsModel
) -> None:
    model.failing = {model.encodes + 1}
    start(flat, Where.PLANE)
    finish(flat)
    text = panel_of(flat).text.text()
    assert "1 window failed" in text
    assert "y 0 to 96, x 0 to 96: the device is gone" in text
    assert "added to the labels" in text
    found = len(flat.state.objects)
    assert 0 < found < COUNT
    panel_of(flat).go_on.click()
    finish(flat)
    np.testing.assert_array_equal(labels_in(flat) > 0, squares() > BACKGROUND)
    assert "failed" not in panel_of(flat).text.text()


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
    assert "No space left on device" in panel_of(flat).text.text()
    assert "No space left on device" in notification_manager.records[-1].message
    monkeypatch.setattr(FoundPyramid, "draw", undrawn)
    start(flat, Where.PLANE)
    finish(flat)
    assert len(flat.state.objects) == COUNT
