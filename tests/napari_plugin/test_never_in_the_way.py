"""The window goes on, memory stays small, and nothing is left behind."""

import gc
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from dock_scene import Person, SquaresModel
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication

from napari_sam.napari_plugin.queued_screen import QueuedScreen

BEAT_MS = 5
LISTENED_MS = 400

HUGE = 100_000
LEVELS = 8
MIB = 2**20


@pytest.fixture
def person(make_napari_viewer: Callable[..., Viewer], qtbot: QtBot) -> Person:
    viewer = make_napari_viewer(show=True)
    viewer.window._qt_window.resize(1366, 768)
    return Person(viewer, qtbot)


@pytest.fixture
def flat(person: Person) -> Person:
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    person.viewer.add_image(pixels, name="flat")
    return person


class Heart:
    """Counts the beats of a timer of the window."""

    def __init__(self, qtbot: QtBot) -> None:
        self.beats = 0
        self._qtbot = qtbot
        self._timer = QTimer()
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)

    def _beat(self) -> None:
        self.beats += 1

    def listen(self) -> int:
        before = self.beats
        self._qtbot.wait(LISTENED_MS)
        return self.beats - before

    def stop(self) -> None:
        self._timer.stop()


def test_the_heart_of_the_window_beats_on_while_a_slow_model_encodes(
    flat: Person, qtbot: QtBot
) -> None:
    model = SquaresModel()
    dock = flat.open_dock(model)
    flat.rest()
    heart = Heart(qtbot)
    at_rest = heart.listen()
    dock.controller.cache.clear()
    model.may_encode.clear()
    encodes = model.encodes
    flat.click(100, 100)
    flat.until(lambda: model.encodes == encodes + 1)
    flat.until(lambda: flat.state.is_pending)  # and the click is drawn
    while_encoding = heart.listen()
    assert flat.state.is_pending
    model.may_encode.set()
    flat.wait()
    # The same on the window's own thread: what the worker is there for.
    threading.Timer(LISTENED_MS / 1000, model.may_encode.set).start()
    model.may_encode.clear()
    before = heart.beats
    model.encode(np.zeros((8, 8, 3), np.uint8))
    assert heart.beats == before
    heart.stop()
    assert at_rest > 0
    # A window that redraws has less time to beat, above all on a busy machine.
    assert while_encoding > at_rest / 10


def huge_pyramid() -> list[zarr.Array]:
    """Of zeros that are nowhere."""
    return [
        zarr.create_array(
            store={},
            shape=(-(-HUGE // 2**level),) * 2,
            chunks=(512, 512),
            dtype="u1",
        )
        for level in range(LEVELS)
    ]


def chunks_in(folder: Path) -> set[Path]:
    return {
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".json")
    }


def test_an_object_in_huge_labels_touches_its_own_chunks_only(person: Person) -> None:
    person.viewer.add_image(
        huge_pyramid(), multiscale=True, contrast_limits=(0, 255), name="huge"
    )
    person.open_dock(SquaresModel())
    session = person.session
    levels = len(session.labels.levels)
    person.screen.view.go_to((), (70_000.5, 50_000.5))
    person.viewer.scene.camera.zoom = 4
    person.qtbot.wait(50)
    before = chunks_in(session.labels.path)
    tracemalloc.start()
    person.click(70_000.5, 50_000.5)
    person.press(Qt.Key.Key_Return)
    person.wait()
    person.qtbot.wait(600)  # the layers follow
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (found,) = person.state.objects
    assert found.box.contains_point(70_000, 50_000)
    written = chunks_in(session.labels.path) - before
    # A small object is in one chunk a level; all of a plane would be 40 GB.
    assert 1 <= len(written) <= levels
    assert len({path.parts[0] for path in written}) == len(written)
    assert peak < 64 * MIB


def living(kind: type) -> list[object]:
    gc.collect()
    return [found for found in gc.get_objects() if type(found) is kind]


def ours() -> list[str]:
    """Widgets of the plugin's that there are."""
    kinds = (type(widget) for widget in QApplication.allWidgets())
    return [k.__name__ for k in kinds if k.__module__.startswith("napari_sam")]


def test_a_closed_dock_leaves_no_thread_timer_widget_or_callback_behind(
    flat: Person,
) -> None:
    viewer = flat.viewer

    def facts() -> dict[str, int]:
        timers = [timer for timer in living(QTimer) if timer.isActive()]
        emitters = (
            viewer.layers.events.removed,
            viewer.layers.events.removing,
            viewer.layers.selection.events.active,
            viewer.scene.camera.events,
            viewer.dims.events.current_step,
            viewer.layers["flat"].events.data,
            viewer.layers["flat"].events.scale,
        )
        return {
            "threads": sum(
                thread.name.startswith("napari-sam") for thread in threading.enumerate()
            ),
            "timers": len(timers),
            "queues": len(living(QueuedScreen)),
            "widgets": len(ours()),
            "callbacks": sum(len(emitter.callbacks) for emitter in emitters),
            "layers": len(viewer.layers),
        }

    before = facts()
    dock = flat.open_dock(SquaresModel())
    dock.encoded.setChecked(True)
    flat.click(100, 100)
    flat.press(Qt.Key.Key_Return)
    flat.wait()
    during = facts()
    assert all(during[name] > before[name] for name in set(before) - {"timers"})
    viewer.window.remove_dock_widget(dock)
    flat.dock = None
    del dock
    flat.qtbot.wait(50)
    QApplication.sendPostedEvents()
    flat.until(lambda: facts() == before)
