"""What changes labels is done one after the other, and is not lost with the dock."""

from collections.abc import Callable, Iterator
from threading import Event

import pytest
from pytestqt.qtbot import QtBot

from napari_sam.napari_plugin.writing import Writing

WAIT_MS = 10_000


class Desk:
    """A writing desk, what came of it, and whether an answer is awaited."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.errors: list[BaseException] = []
        self.awaits_answer = False
        self.writing = Writing(
            self.errors.append, lambda: self.awaits_answer, lambda: len(self.written)
        )

    def write(self, what: str) -> Callable[[], None]:
        return lambda: self.written.append(what)


@pytest.fixture
def desk(qtbot: QtBot) -> Iterator[Desk]:
    opened = Desk()
    yield opened
    opened.writing.close()


def test_writes_are_done_in_order(desk: Desk, qtbot: QtBot) -> None:
    for what in "abc":
        desk.writing.write(desk.write(what))
    qtbot.waitUntil(lambda: desk.writing.is_free, timeout=WAIT_MS)
    assert desk.written == ["a", "b", "c"]


def test_writes_that_wait_for_another_are_done_before_it_closes(desk: Desk) -> None:
    may_go_on = Event()

    def slow() -> None:
        assert may_go_on.wait(10)
        desk.written.append("slow")

    desk.writing.write(slow)
    desk.writing.write(desk.write("second"))
    desk.writing.write(desk.write("third"))
    assert desk.written == []
    may_go_on.set()
    desk.writing.close()
    assert desk.written == ["slow", "second", "third"]
    assert desk.writing.is_free


def test_a_write_that_waits_for_an_answer_is_not_done_without_it(desk: Desk) -> None:
    desk.awaits_answer = True
    desk.writing.write(desk.write("too early"))
    desk.writing.close()
    assert desk.written == []


def test_what_the_user_did_after_something_forgotten_is_forgotten(desk: Desk) -> None:
    may_go_on, pointed = Event(), []
    desk.writing.write(lambda: may_go_on.wait(10))
    desk.writing.write(desk.write("accepted"))
    desk.writing.soon(lambda: pointed.append(True))
    desk.writing.write(desk.write("what was pointed at"))
    may_go_on.set()
    desk.writing.close()
    assert desk.written == ["accepted"]
    assert pointed == []


def test_a_write_that_fails_while_it_closes_is_told(desk: Desk) -> None:
    may_go_on = Event()

    def fail() -> None:
        raise OSError("the disk is full")

    desk.writing.write(lambda: may_go_on.wait(10))
    desk.writing.write(fail)
    desk.writing.write(desk.write("counted on it"))
    may_go_on.set()
    desk.writing.close()
    assert [str(error) for error in desk.errors] == ["the disk is full"]
    assert desk.written == []


def test_what_the_worker_has_not_yet_taken_up_is_done_before_it_closes(
    desk: Desk, qtbot: QtBot
) -> None:
    desk.writing.write(desk.write("first"))  # the worker waits for more after it
    qtbot.waitUntil(lambda: desk.writing.is_free, timeout=WAIT_MS)
    desk.writing.write(desk.write("second"))
    desk.writing.close()
    assert desk.written == ["first", "second"]
