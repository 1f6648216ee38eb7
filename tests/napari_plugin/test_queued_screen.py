"""From whatever thread, it arrives in the window's; of many states, the newest."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QApplication

from napari_sam.annotator.state import AnnotatorState
from napari_sam.napari_plugin.queued_screen import QueuedScreen

PATIENCE_MS = 10_000


class Window:
    """What was drawn, and where."""

    def __init__(self) -> None:
        self.drawn: list[Any] = []
        self.threads: set[threading.Thread] = set()
        self.while_drawing: Callable[[], None] = lambda: None
        self.screen = QueuedScreen(self.draw, self.draw, self.draw)

    def draw(self, what: Any) -> None:
        self.threads.add(threading.current_thread())
        self.drawn.append(what)
        self.while_drawing()
        self.drawn.append("drawn")

    def up_to_date(self, qtbot: QtBot) -> None:
        qtbot.waitUntil(lambda: self.screen.is_up_to_date, timeout=PATIENCE_MS)


@pytest.fixture
def window(qtbot: QtBot) -> Window:
    return Window()


def elsewhere(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def state(number: int) -> AnnotatorState:
    return AnnotatorState(labels_version=number)


def test_only_the_newest_state_is_drawn_and_in_the_windows_thread(
    window: Window, qtbot: QtBot
) -> None:
    elsewhere(lambda: [window.screen.show(state(n)) for n in range(50)])
    assert window.drawn == []
    window.up_to_date(qtbot)
    assert window.drawn == [state(49), "drawn"]
    assert window.threads == {threading.main_thread()}


def test_no_tile_and_no_error_is_left_out(window: Window, qtbot: QtBot) -> None:
    errors = [ValueError("a"), ValueError("b")]
    elsewhere(lambda: [window.screen.report(error) for error in errors])
    elsewhere(lambda: window.screen.show_tile(None))
    window.up_to_date(qtbot)
    assert [what for what in window.drawn if what != "drawn"] == [*errors, None]


def test_what_comes_while_another_state_is_drawn_is_drawn_after_it(
    window: Window, qtbot: QtBot
) -> None:
    def more() -> None:
        window.while_drawing = lambda: None
        elsewhere(lambda: window.screen.show(state(2)))
        QApplication.processEvents()  # as napari's progress bars do

    window.while_drawing = more
    window.screen.show(state(1))
    window.up_to_date(qtbot)
    assert window.drawn == [state(1), "drawn", state(2), "drawn"]


def test_once_closed_it_tells_of_errors_only(window: Window, qtbot: QtBot) -> None:
    window.screen.show(state(1))
    window.screen.close()
    error = ValueError("the disk is full")
    elsewhere(lambda: window.screen.show(state(2)))
    elsewhere(lambda: window.screen.show_tile(None))
    elsewhere(lambda: window.screen.report(error))
    window.up_to_date(qtbot)
    assert [what for what in window.drawn if what != "drawn"] == [error]
