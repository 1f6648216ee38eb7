"""Whatever happens to layers and windows, the dock lives, and labels are on disk."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from dock_scene import Person, SquaresModel
from napari.layers import Image
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam.annotator.commands import Undo
from napari_sam.labels import LabelStore
from napari_sam.napari_plugin.layers.placement import Placement

SIDE = 200


@pytest.fixture
def person(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot) -> Person:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1366, 768)
    return Person(viewer, qtbot)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, shape, np.uint8)


def pyramid() -> list[np.ndarray]:
    finest = noise(1024, 1024)
    return [finest, finest[::2, ::2], finest[::4, ::4]]


KINDS = {
    "stack": (lambda: noise(5, SIDE, SIDE), {"scale": (3, 0.5, 0.25)}),
    "pyramid": (pyramid, {"multiscale": True, "translate": (70, -30)}),
    "rgb": (lambda: noise(SIDE, SIDE, 3), {"rgb": True}),
    "scaled": (
        lambda: noise(SIDE, SIDE),
        {"scale": (0.5, 0.5), "units": ("um", "um"), "axis_labels": ("y", "x")},
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_click_is_where_it_is_in_each_kind_of_layer(
    person: Person, kind: str
) -> None:
    make, facts = KINDS[kind]
    layer = person.viewer.add_image(make(), name=kind, **facts)
    before = _transform(layer)
    person.open_dock(SquaresModel())
    if kind == "stack":
        person.viewer.dims.set_current_step(0, 3)
    person.click(61.5, 40.5)
    person.press(Qt.Key.Key_Return)
    person.wait()
    session = person.session
    (found,) = person.state.objects
    assert found.planes == (((3,),) if kind == "stack" else ((),))
    assert session.labels.label_at(found.planes[0], 61, 40) == 1
    assert _transform(layer) == before


def _transform(layer: Image) -> Sequence[object]:
    return [
        np.asarray(layer.scale).tolist(),
        np.asarray(layer.translate).tolist(),
        [str(unit) for unit in layer.units],
    ]


@pytest.fixture
def flat(person: Person) -> Person:
    person.viewer.add_image(noise(SIDE, SIDE), name="flat")
    person.open_dock(SquaresModel())
    return person


def accept_one(person: Person, y: float = 60, x: float = 60) -> None:
    person.click(y, x)
    person.press(Qt.Key.Key_Return)
    person.wait()


def test_a_layer_that_was_removed_comes_back(flat: Person) -> None:
    screen = flat.screen
    flat.click(60, 60)
    flat.wait()
    for part in (screen.labels, screen.candidate):
        flat.viewer.layers.remove(part.layer)
    flat.viewer.layers.remove(screen.prompts.points)
    flat.dock.object_panel.point.click()
    assert screen.labels.is_shown
    accept_one(flat, 60, 120)
    assert len(flat.state.objects) == 1


def test_layers_that_are_renamed_and_reordered_work_on(flat: Person) -> None:
    for index, layer in enumerate(flat.viewer.layers):
        layer.name = f"other {index}"
    flat.viewer.layers.move(0, len(flat.viewer.layers))
    flat.viewer.layers.selection.active = flat.screen.prompts.points
    accept_one(flat)
    assert len(flat.state.objects) == 1


def test_removing_the_image_closes_the_labels_for_others_to_open(flat: Person) -> None:
    accept_one(flat)
    path = flat.session.labels.path
    flat.viewer.layers.remove(flat.screen.view.placement.layer)
    assert flat.dock.controller.screen is None
    with LabelStore.open(path) as store:
        assert [found.label_id for found in store.objects()] == [1]
    assert len(flat.viewer.layers) == 0


def test_an_image_that_is_swapped_is_opened_anew(flat: Person) -> None:
    before = flat.screen
    before.view.placement.layer.data = noise(SIDE + 50, SIDE + 20)
    flat.until(lambda: flat.dock.controller.screen not in {None, before})
    assert flat.session.image.shape == (SIDE + 50, SIDE + 20)
    accept_one(flat)
    assert len(flat.state.objects) == 1


def test_clicks_in_3d_do_nothing_and_back_in_2d_they_work(person: Person) -> None:
    person.viewer.add_image(noise(4, SIDE, SIDE), name="stack")
    person.open_dock(SquaresModel())
    at = person.pixel(60, 60)
    person.viewer.dims.ndisplay = 3
    person.qtbot.mouseClick(person.canvas, Qt.MouseButton.LeftButton, pos=at)
    person.qtbot.wait(50)
    person.wait()
    assert not person.state.prompts
    person.viewer.dims.ndisplay = 2
    person.viewer.reset_view()
    person.screen.show_layers()
    person.qtbot.wait(50)
    accept_one(person)
    assert len(person.state.objects) == 1


def test_a_viewer_closed_while_working_leaves_whole_labels(person: Person) -> None:
    model = SquaresModel()
    person.viewer.add_image(noise(SIDE, SIDE), name="flat")
    dock = person.open_dock(model)
    accept_one(person)
    path = person.session.labels.path
    dock.controller.cache.clear()
    model.may_encode.clear()
    person.click(150, 150)
    person.qtbot.wait(50)
    model.may_encode.set()
    person.viewer.close()
    dock.controller.close()
    assert dock.controller.is_closed
    with LabelStore.open(path) as store:
        assert len(store.objects()) == 1


def test_a_dock_that_is_closed_gives_the_labels_back(flat: Person) -> None:
    path = flat.session.labels.path
    flat.viewer.window.remove_dock_widget(flat.dock)
    assert flat.dock.controller.is_closed
    LabelStore.open(path).close()


def test_what_is_painted_is_kept_when_the_dock_is_closed(flat: Person) -> None:
    path = flat.session.labels.path
    flat.dock.painting.begin(is_mask=False)
    flat.until(lambda: flat.dock.painting.painting is not None)
    painting = flat.dock.painting.painting
    painting.layer.paint((30, 30), painting.layer.selected_label)
    flat.viewer.window.remove_dock_widget(flat.dock)
    assert not painting.is_shown
    with LabelStore.open(path) as store:
        assert len(store.objects()) == 1


def test_reopening_goes_on_with_ids_and_undo(flat: Person) -> None:
    accept_one(flat)
    before = flat.screen
    flat.dock.controller.reopen(level=0)
    flat.until(lambda: flat.dock.controller.screen not in {None, before})
    accept_one(flat, 60, 140)
    assert [found.label_id for found in flat.state.objects] == [1, 2]
    for _ in range(4):
        flat.annotator.post(Undo())
        flat.wait()
    assert flat.state.objects == ()


def test_a_moved_image_takes_its_layers_along(flat: Person) -> None:
    image = flat.screen.view.placement.layer
    image.translate = (500, 500)
    np.testing.assert_array_equal(flat.screen.labels.layer.translate, (500, 500))
    place = Placement(image, "yx")
    assert place.yx_at(place.world_at((), (10.5, 20.5)).tolist()) == (10.5, 20.5)


@pytest.mark.slow
def test_a_dock_is_opened_and_closed_again_and_again_in_one_viewer(
    tmp_path: Path,
) -> None:
    script = Path(__file__).with_name("reopening.py")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", script, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["closed"] * 3
