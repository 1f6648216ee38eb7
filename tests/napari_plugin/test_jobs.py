"""One worker, the most urgent first, and no answer that nobody waits for."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer

from napari_sam.errors import Cancelled, ImageReadError
from napari_sam.geometry import Box
from napari_sam.napari_plugin.jobs import Job, Jobs, JobWatch, Urgency
from napari_sam.predictor.progress import WindowProgress

PATIENCE_MS = 10_000


class Gate:
    """Work that stays where it is until it is let through, watching."""

    def __init__(self, value: str = "") -> None:
        self.value = value
        self.entered, self.opened = threading.Event(), threading.Event()
        self.gave_up = False

    def __call__(self, watch: JobWatch) -> str:
        self.entered.set()
        try:
            while not self.opened.wait(0.005):
                watch()
        except Cancelled:
            self.gave_up = True
            raise
        return self.value


class Log:
    """What came back, in order."""

    def __init__(self, jobs: Jobs) -> None:
        self.lines: list[str] = []
        self.threads: set[threading.Thread] = set()
        self._jobs = jobs

    def submit(
        self, name: str, work: Callable[[JobWatch], Any] | None = None, **facts: Any
    ) -> None:
        self._jobs.submit(
            Job(
                work or (lambda _: name),
                lambda value: self._write(f"done {value}"),
                lambda error: self._write(f"failed {error}"),
                lambda: self._write(f"dropped {name}"),
                **facts,
            )
        )

    def _write(self, line: str) -> None:
        self.threads.add(threading.current_thread())
        self.lines.append(line)


@pytest.fixture
def jobs(qtbot: QtBot) -> Iterator[Jobs]:
    opened = Jobs()
    yield opened
    opened.close()


@pytest.fixture
def log(jobs: Jobs) -> Log:
    return Log(jobs)


def settle(qtbot: QtBot, jobs: Jobs) -> None:
    qtbot.waitUntil(lambda: jobs.is_idle, timeout=PATIENCE_MS)


def hold(qtbot: QtBot, gate: Gate) -> None:
    qtbot.waitUntil(gate.entered.is_set, timeout=PATIENCE_MS)


def test_work_runs_elsewhere_and_its_answer_comes_in_the_threads_of_the_window(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    workers: list[threading.Thread] = []
    log.submit("a", lambda _: workers.append(threading.current_thread()))
    assert log.lines == []
    settle(qtbot, jobs)
    assert log.threads == {threading.main_thread()}
    assert workers != [threading.main_thread()]


def test_the_most_urgent_job_goes_first_and_equals_in_their_order(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    gate = Gate("gate")
    log.submit("gate", gate)
    for name, urgency in (
        ("prefetch", Urgency.PREFETCH),
        ("hover 1", Urgency.HOVER),
        ("hover 2", Urgency.HOVER),
    ):
        log.submit(name, urgency=urgency)
    gate.opened.set()
    settle(qtbot, jobs)
    assert log.lines == ["done gate", "done hover 1", "done hover 2", "done prefetch"]


def test_the_newest_of_a_topic_wins_over_the_running_and_the_waiting(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    gate = Gate("old")
    log.submit("old", gate, topic="prompt")
    hold(qtbot, gate)
    log.submit("middle", topic="prompt")
    log.submit("other", topic="other")
    log.submit("new", topic="prompt")
    settle(qtbot, jobs)
    assert log.lines == ["done other", "done new"]
    assert gate.gave_up


def test_an_answer_that_was_ready_before_it_was_replaced_is_dropped(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    gate = Gate("old")
    gate.opened.set()
    log.submit("old", gate, topic="prompt")
    assert gate.entered.wait(10)  # no event loop has run: the answer is on its way
    log.submit("new", topic="prompt")
    settle(qtbot, jobs)
    assert log.lines == ["done new"]


def test_a_users_job_cancels_what_nobody_waits_for(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    gate = Gate("running")
    log.submit("running", gate, urgency=Urgency.PREFETCH)
    hold(qtbot, gate)
    log.submit("waiting", urgency=Urgency.PREFETCH)
    log.submit("user")
    settle(qtbot, jobs)
    assert log.lines == ["dropped waiting", "dropped running", "done user"]


def test_a_hovering_mouse_cancels_nothing(qtbot: QtBot, jobs: Jobs, log: Log) -> None:
    log.submit("prefetch", urgency=Urgency.PREFETCH)
    log.submit("hover", urgency=Urgency.HOVER)
    settle(qtbot, jobs)
    assert sorted(log.lines) == ["done hover", "done prefetch"]


def test_an_error_comes_back_as_a_value_and_the_next_job_runs(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    def broken(_: JobWatch) -> None:
        raise ImageReadError("A chunk is damaged.")

    log.submit("broken", broken)
    log.submit("next")
    settle(qtbot, jobs)
    assert log.lines == ["failed A chunk is damaged.", "done next"]


def test_work_that_gives_up_by_itself_is_dropped(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    def give_up(_: JobWatch) -> None:
        raise Cancelled("No more.")

    log.submit("a", give_up)
    settle(qtbot, jobs)
    assert log.lines == ["dropped a"]


def test_cancelling_a_topic_says_so_once_and_leaves_the_others(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    gate = Gate("a")
    log.submit("a", gate, topic="a")
    log.submit("b", topic="b")
    hold(qtbot, gate)
    jobs.cancel("a")
    jobs.cancel("a")
    settle(qtbot, jobs)
    assert log.lines == ["dropped a", "done b"]


def test_the_window_hears_what_runs_how_far_it_is_and_when_all_is_done(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    heard: list[Any] = []
    jobs.busy.connect(heard.append)
    jobs.progressed.connect(lambda done, total: heard.append((done, total)))
    jobs.idle.connect(lambda: heard.append("idle"))
    look = WindowProgress(0, Box(0, 0, 8, 8), windows=3, encodes=1, most_windows=200)
    log.submit("looks", lambda watch: watch(look), text="Segmenting")
    log.submit("bytes", lambda watch: watch.progress(7, 7), text="Downloading")
    settle(qtbot, jobs)
    qtbot.waitUntil(lambda: "idle" in heard, timeout=PATIENCE_MS)
    assert heard == ["Segmenting", (3, 0), "Downloading", (7, 7), "idle"]


def test_the_event_loop_runs_on_while_work_takes_its_time(
    qtbot: QtBot, jobs: Jobs, log: Log
) -> None:
    beats: list[int] = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(1)
    gate = Gate()
    log.submit("slow", gate)
    qtbot.waitUntil(lambda: len(beats) >= 20, timeout=PATIENCE_MS)
    assert not jobs.is_idle
    gate.opened.set()
    settle(qtbot, jobs)
    timer.stop()


def test_closing_ends_the_worker_and_no_answer_comes_after_it(qtbot: QtBot) -> None:
    before = set(threading.enumerate())
    jobs = Jobs()
    log = Log(jobs)
    gate = Gate("a")
    log.submit("a", gate)
    log.submit("b")
    hold(qtbot, gate)
    assert set(threading.enumerate()) != before
    jobs.close()
    assert set(threading.enumerate()) == before
    log.submit("late")
    qtbot.wait(20)
    assert gate.gave_up
    assert log.lines == []
