"""A job that takes long is seen in napari's activity dock, and can be cancelled."""

from collections.abc import Callable, Iterator
from itertools import count
from time import sleep

import pytest
from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
from napari.viewer import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam.napari_plugin import activity
from napari_sam.napari_plugin.activity import Activity
from napari_sam.napari_plugin.jobs import Job, Jobs, JobWatch

PATIENCE_MS = 10_000


@pytest.fixture
def jobs(qtbot: QtBot) -> Iterator[Jobs]:
    opened = Jobs()
    yield opened
    opened.close()


@pytest.fixture
def shown(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> Iterator[Activity]:
    monkeypatch.setattr(activity, "DELAY_MS", 20)
    opened = Activity(jobs)
    yield opened
    opened.close()


def endless(watch: JobWatch) -> None:
    for step in count(1):
        watch.progress(step, None)
        sleep(0.002)  # a loop that never waits would keep the window from drawing


def ignore(_: object) -> None:
    pass


def bars(viewer: Viewer) -> list[QtLabeledProgressBar]:
    dialog = viewer.window._qt_window._activity_dialog
    return dialog.findChildren(QtLabeledProgressBar)


def test_cancel_in_the_activity_dock_ends_the_job(
    make_napari_viewer: Callable[..., Viewer],
    jobs: Jobs,
    shown: Activity,
    qtbot: QtBot,
) -> None:
    viewer = make_napari_viewer(show=True)
    dropped: list[bool] = []
    jobs.submit(
        Job(endless, ignore, ignore, lambda: dropped.append(True), text="Segmenting")
    )
    qtbot.waitUntil(lambda: bool(bars(viewer)), timeout=PATIENCE_MS)
    (bar,) = bars(viewer)
    assert bar.description_label.text() == "Segmenting: "
    assert not bar.cancel_button.isHidden()
    qtbot.waitUntil(lambda: bar.qt_progress_bar.value() > 0, timeout=PATIENCE_MS)
    qtbot.mouseClick(bar.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: jobs.is_idle, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: not shown.is_shown, timeout=PATIENCE_MS)
    assert dropped == [True]


def test_work_that_nobody_asked_for_is_not_shown(
    jobs: Jobs, shown: Activity, qtbot: QtBot
) -> None:
    jobs.submit(Job(endless, ignore, ignore))
    qtbot.wait(100)
    assert not shown.is_shown
    assert not jobs.is_idle


def test_quick_work_is_not_shown(jobs: Jobs, qtbot: QtBot) -> None:
    shown = Activity(jobs)
    seen: list[bool] = []
    for _ in range(20):
        job = Job(ignore, lambda _: seen.append(shown.is_shown), ignore, text="Quick")
        jobs.submit(job)
    qtbot.waitUntil(lambda: len(seen) == 20, timeout=PATIENCE_MS)
    assert not any(seen)
    shown.close()
