"""What takes long is seen in napari's activity dock, and can be cancelled."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from dock_scene import Person, SquaresModel
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam.annotator.state import JobState
from napari_sam.napari_plugin import activity
from napari_sam.napari_plugin.activity import Activity

PATIENCE_MS = 10_000


@pytest.fixture
def short_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "DELAY_MS", 20)


@pytest.fixture
def cancelled() -> list[bool]:
    return []


@pytest.fixture
def shown(qtbot: QtBot, short_delay: None, cancelled: list[bool]) -> Iterator[Activity]:
    opened = Activity(lambda: cancelled.append(True))
    yield opened
    opened.close()


def bars(viewer: Viewer) -> list[QtLabeledProgressBar]:
    dialog = viewer.window._qt_window._activity_dialog
    return dialog.findChildren(QtLabeledProgressBar)


def test_cancel_in_the_activity_dock_gives_up_what_goes_on(
    make_napari_viewer: Callable[..., Viewer],
    shown: Activity,
    cancelled: list[bool],
    qtbot: QtBot,
) -> None:
    viewer = make_napari_viewer(show=True)
    shown.draw(JobState("Segmenting"))
    qtbot.waitUntil(lambda: bool(bars(viewer)), timeout=PATIENCE_MS)
    (bar,) = bars(viewer)
    assert bar.description_label.text() == "Segmenting: "
    assert not bar.cancel_button.isHidden()
    shown.draw(JobState("Segmenting", 3, 8))
    qtbot.waitUntil(lambda: bar.qt_progress_bar.value() == 3, timeout=PATIENCE_MS)
    assert bar.qt_progress_bar.maximum() == 8
    qtbot.mouseClick(bar.cancel_button, Qt.MouseButton.LeftButton)
    assert cancelled == [True]
    shown.draw(JobState())
    assert not shown.is_shown
    qtbot.waitUntil(lambda: not bars(viewer), timeout=PATIENCE_MS)


@pytest.mark.usefixtures("short_delay")
def test_an_answer_that_takes_long_is_cancelled_there(
    make_napari_viewer: Callable[..., Viewer], qtbot: QtBot
) -> None:
    viewer = make_napari_viewer(show=True)
    pixels = np.random.default_rng(0).integers(0, 255, (200, 200), np.uint8)
    viewer.add_image(pixels, name="flat")
    person, model = Person(viewer, qtbot), SquaresModel()
    person.open_dock(model)
    person.rest()
    person.dock.controller.cache.clear()
    model.may_encode.clear()
    person.click(60, 60)
    person.until(lambda: bool(bars(viewer)))
    (bar,) = bars(viewer)
    assert bar.description_label.text() == "Segmenting: "
    qtbot.mouseClick(bar.cancel_button, Qt.MouseButton.LeftButton)
    person.until(lambda: not bars(viewer))
    model.may_encode.set()
    person.wait()
    assert person.state.prompts == ()


def test_work_that_nobody_asked_for_is_not_shown(shown: Activity, qtbot: QtBot) -> None:
    shown.draw(JobState("", 3, 8))
    qtbot.wait(100)
    assert not shown.is_shown


def test_quick_work_is_not_shown(qtbot: QtBot) -> None:
    shown = Activity(lambda: None)
    for _ in range(20):
        shown.draw(JobState("Quick"))
        qtbot.wait(5)
        assert not shown.is_shown
        shown.draw(JobState())
    qtbot.wait(activity.DELAY_MS + 100)
    assert not shown.is_shown
    shown.close()
