"""The dock in a real window: what a person does with mouse and keys ends up on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dock_scene import CTRL, RIGHT, SHIFT, Person, SquaresModel
from napari.utils.notifications import notification_manager
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QTimer

from napari_sam.annotator.commands import Delete
from napari_sam.labels import LabelStore
from napari_sam.napari_plugin import sample_data
from napari_sam.prompts import BoxPrompt, MaskPrompt

SIDE = 256


@pytest.fixture
def person(
    make_napari_viewer: Callable[..., Viewer], qtbot: QtBot, tmp_path: Path
) -> Person:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1366, 768)
    return Person(viewer, qtbot)


@pytest.fixture
def model() -> SquaresModel:
    return SquaresModel()


@pytest.fixture
def flat(person: Person, model: SquaresModel) -> Person:
    pixels = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE), np.uint8)
    person.viewer.add_image(pixels, name="flat")
    person.open_dock(model)
    return person


def area_of(person: Person, label_id: int) -> int:
    return person.annotator.call(lambda session: session.labels.area(label_id))


def labels_on_disk(path: Path) -> np.ndarray:
    with LabelStore.open(path, mode="r") as store:
        return np.asarray(store.levels[0])


def test_a_click_and_enter_on_a_real_picture_write_a_coin(person: Person) -> None:
    pixels, facts, _ = sample_data.coins()[0]
    person.viewer.add_image(pixels, **facts)
    person.open_dock()
    person.click(50, 110)
    person.wait()
    candidate = person.state.candidate
    assert 500 < candidate.mask.sum() < 2000  # about 35 pixels across
    person.press(Qt.Key.Key_Return)
    person.wait()
    path = person.session.labels.path
    area = int(candidate.mask.sum())
    person.dock.controller.leave()
    labels = labels_on_disk(path)
    assert labels[50, 110] == 1
    assert int((labels == 1).sum()) == area


def test_the_mouse_says_positive_negative_and_box(flat: Person) -> None:
    flat.click(60, 60)
    flat.click(90, 90, RIGHT)
    flat.click(100, 60, key=SHIFT)
    flat.drag((150, 150), (190, 200))
    flat.wait()
    *clicks, box = flat.state.prompts
    assert [click.positive for click in clicks] == [True, False, False]
    assert isinstance(box, BoxPrompt)
    np.testing.assert_allclose(
        (box.y0, box.x0, box.y1, box.x1), (150, 150, 190, 200), atol=1
    )


def test_fast_clicks_are_all_in_however_slow_the_model(
    flat: Person, model: SquaresModel
) -> None:
    flat.rest()
    flat.dock.controller.cache.clear()
    model.may_encode.clear()
    for x in (50, 60, 70):
        flat.click(60, x)
    flat.until(lambda: len(flat.state.prompts) == 3)
    assert flat.state.is_pending
    assert flat.session.prompts == ()
    model.may_encode.set()
    flat.wait()
    assert len(flat.state.prompts) == 3


def test_keys_choose_accept_undo_redo_and_discard(flat: Person) -> None:
    flat.click(60, 60)
    flat.wait()
    flat.press(Qt.Key.Key_2)
    flat.wait()
    assert flat.state.chosen == 1
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    assert [found.label_id for found in flat.state.objects] == [1]
    flat.press(Qt.Key.Key_Z, CTRL)
    flat.wait()
    assert flat.state.objects == ()
    assert flat.state.prompts
    flat.press(Qt.Key.Key_Z, CTRL | SHIFT)
    flat.wait()
    assert len(flat.state.objects) == 1
    assert flat.screen.candidate.candidate is None
    flat.click(60, 160)
    flat.wait()
    flat.press(Qt.Key.Key_Escape)
    flat.wait()
    assert flat.state.prompts == ()
    assert flat.screen.candidate.candidate is None


def test_enter_right_after_a_click_waits_for_its_answer(
    flat: Person, model: SquaresModel
) -> None:
    model.may_encode.clear()
    flat.click(60, 60)
    flat.press(Qt.Key.Key_Return)
    flat.click(60, 160)
    model.may_encode.set()
    flat.wait()
    assert len(flat.state.objects) == 1
    assert len(flat.state.prompts) == 1


def test_the_window_goes_on_while_a_slow_model_encodes(
    flat: Person, model: SquaresModel
) -> None:
    beats = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(5)
    flat.rest()
    flat.dock.controller.cache.clear()
    model.may_encode.clear()
    flat.click(200, 200)
    flat.until(lambda: flat.state.is_pending)
    beats.clear()
    flat.until(lambda: len(beats) >= 20)
    assert flat.state.is_pending
    model.may_encode.set()
    flat.wait()
    timer.stop()


def test_many_boxes_become_many_objects(flat: Person) -> None:
    flat.press(Qt.Key.Key_M)
    flat.drag((20, 20), (50, 50))
    flat.drag((20, 100), (50, 140))
    flat.wait()
    assert len(flat.state.boxes) == 2
    flat.dock.object_panel.boxes.click()
    flat.until(lambda: len(flat.state.objects) == 2)
    flat.wait()


def test_prompts_are_saved_and_loaded(flat: Person, tmp_path: Path) -> None:
    flat.click(60, 60)
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    flat.dock.labels.save_to(tmp_path / "prompts.json")
    flat.wait()
    flat.annotator.post(Delete((1,)))
    flat.wait()
    assert flat.state.objects == ()
    flat.dock.labels.load_from(tmp_path / "prompts.json")
    flat.until(lambda: len(flat.state.objects) == 1)
    flat.wait()


def test_what_is_painted_is_saved_and_undone_in_one_step(flat: Person) -> None:
    flat.dock.painting.begin(is_mask=False)
    flat.until(lambda: flat.dock.painting.painting is not None)
    painting = flat.dock.painting.painting
    painting.layer.paint((30, 30), 5)
    flat.dock.painting.commit()
    flat.wait()
    assert len(flat.state.objects) == 1
    flat.press(Qt.Key.Key_Z, CTRL)
    flat.wait()
    assert flat.state.objects == ()


def test_a_rough_mask_is_a_prompt(flat: Person) -> None:
    flat.dock.painting.begin(is_mask=True)
    flat.until(lambda: flat.dock.painting.painting is not None)
    flat.dock.painting.painting.layer.paint((60, 60), 1)
    flat.dock.painting.commit()
    flat.wait()
    (prompt,) = flat.state.prompts
    assert isinstance(prompt, MaskPrompt)


def test_an_object_is_listed_edited_merged_and_deleted(flat: Person) -> None:
    flat.click(60, 60)
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    table = flat.dock.objects
    assert table.rows.rowCount() == 1
    table.table.selectRow(0)
    table.edit_button.click()
    flat.wait()
    assert flat.state.target == 1
    flat.press(Qt.Key.Key_Escape)
    flat.wait()
    before = area_of(flat, 1)
    flat.click(60, 160)
    flat.wait()
    table.table.selectRow(0)
    table.merge_button.click()
    flat.wait()
    assert area_of(flat, 1) > before
    table.table.selectRow(0)
    table.delete_button.click()
    flat.wait()
    assert table.rows.rowCount() == 0


def test_a_preview_is_drawn_only_where_it_is_encoded(
    flat: Person, model: SquaresModel
) -> None:
    flat.dock.object_panel.previews.setChecked(True)
    flat.click(60, 60)
    flat.wait()
    flat.rest()
    encodes = model.encodes
    flat.move(62, 64)
    flat.until(lambda: flat.screen.preview.candidate is not None)
    assert model.encodes == encodes


def test_an_error_is_a_notification_and_the_dock_goes_on(
    flat: Person, model: SquaresModel
) -> None:
    flat.rest()
    flat.dock.controller.cache.clear()
    model.is_broken = True
    flat.click(60, 60)
    flat.wait()
    assert "the stand-in is broken" in notification_manager.records[-1].message
    model.is_broken = False
    flat.click(60, 60)
    flat.wait()
    assert len(flat.state.prompts) == 1
