"""Keys and wheel on the canvas, and keys of the user's own choice."""

from collections.abc import Callable

import numpy as np
import pytest
from dock_scene import SHIFT, Person, SquaresModel
from napari.settings import get_plugin_settings
from napari.utils.notifications import notification_manager
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from superqt import QCollapsible

from napari_sam.napari_plugin.keys import TEXTS
from napari_sam.napari_plugin.settings import PLUGIN


@pytest.fixture
def person(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot) -> Person:
    viewer = make_napari_viewer(show=True)
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    viewer.add_image(pixels, name="flat")
    sat = Person(viewer, qtbot)
    sat.open_dock(SquaresModel())
    return sat


@pytest.fixture
def keys() -> object:
    group = get_plugin_settings(PLUGIN).keys
    before = {name: getattr(group, name) for name in TEXTS}
    yield group
    for name, key in before.items():
        setattr(group, name, key)


def test_the_wheel_with_shift_goes_through_the_candidates_and_zooms_without(
    person: Person,
) -> None:
    person.click(60, 60)
    person.wait()
    zoom = person.viewer.scene.camera.zoom
    chosen = []
    for steps in (1, 1, 1, -1, 2):
        person.turn_wheel(steps, SHIFT)
        person.wait()
        chosen.append(person.state.chosen)
    assert chosen == [1, 2, 0, 2, 1]
    assert person.viewer.scene.camera.zoom == zoom
    person.turn_wheel(-1)
    person.until(lambda: person.viewer.scene.camera.zoom > zoom)
    assert person.state.chosen == 1


def test_a_key_of_the_users_choice_counts_at_once_and_the_one_before_no_more(
    person: Person, keys: object
) -> None:
    assert "<b>Enter</b>" in person.dock.help.text()
    keys.accept = "Ctrl+Shift+A"
    assert "<b>Ctrl+Shift+A</b>" in person.dock.help.text()
    assert "<b>Enter</b>" not in person.dock.help.text()
    person.click(60, 60)
    person.wait()
    person.press(Qt.Key.Key_Return)
    person.wait()
    assert person.state.objects == ()
    person.press(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier | SHIFT)
    person.wait()
    assert len(person.state.objects) == 1


@pytest.mark.parametrize(
    ("key", "says"), [("Hello", "is no key"), ("Escape", "already")]
)
def test_a_key_that_cannot_be_is_said_in_plain_words(
    person: Person, keys: object, key: str, says: str
) -> None:
    keys.accept = key
    assert says in notification_manager.records[-1].message
    person.click(60, 60)
    person.press(Qt.Key.Key_Return if says == "is no key" else Qt.Key.Key_Escape)
    person.wait()
    assert len(person.state.objects) == 1


def test_a_closed_dock_leaves_no_keys_behind(person: Person, keys: object) -> None:
    points = person.screen.prompts.points
    assert points.keymap
    person.viewer.window.remove_dock_widget(person.dock)
    assert not points.keymap
    keys.accept = "A"
    assert not points.keymap


def test_all_the_keys_can_be_read_in_the_dock(person: Person) -> None:
    text = person.dock.help
    for folded in person.dock.findChildren(QCollapsible):
        if folded.isAncestorOf(text):
            folded.expand(animate=False)
    person.until(text.isVisible)
    person.qtbot.wait(50)
    assert text.height() >= text.sizeHint().height()
    assert all(what in text.text() for what in TEXTS.values())
