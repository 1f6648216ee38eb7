"""One worker, the most urgent first, and no answer that nobody waits for."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from annotator_scene import wait_for

from napari_sam.annotator.jobs import Job, JobQueue, JobWatch, Urgency
from napari_sam.annotator.session_thread import SessionThread
from napari_sam.annotator.state import JobState
from napari_sam.errors import Cancelled, ImageReadError
from napari_sam.geometry import Box
from napari_sam.predictor.progress import WindowProgress

TOPIC = {"topic": "prompt"}


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


class Queue:
    """A queue, its thread, and what came back, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.threads: set[threading.Thread] = set()
        self.states: list[JobState] = []
        self.thread = SessionThread(self._fail, self._rest)
        self.jobs = JobQueue(self.thread)

    def submit(
        self, name: str, work: Callable[[JobWatch], Any] | None = None, **facts: Any
    ) -> None:
        job = Job(
            work or (lambda _: name),
            lambda value: self._write(f"done {value}"),
            lambda error: self._write(f"failed {error}"),
            lambda: self._write(f"dropped {name}"),
            **facts,
        )
        self.thread.call(lambda: self.jobs.submit(job))

    def settle(self) -> None:
        wait_for(lambda: self.thread.call(lambda: self.jobs.is_idle))

    def close(self) -> None:
        self.thread.close(self.jobs.close)
        self.thread.join()

    def _write(self, line: str) -> None:
        self.threads.add(threading.current_thread())
        self.lines.append(line)

    def _rest(self) -> None:
        state = self.jobs.state
        if not self.states or state != self.states[-1]:
            self.states.append(state)

    def _fail(self, error: BaseException) -> None:
        raise error


@pytest.fixture
def queue() -> Iterator[Queue]:
    opened = Queue()
    yield opened
    opened.close()


def hold(gate: Gate) -> None:
    assert gate.entered.wait(10)


def test_work_runs_elsewhere_and_its_answer_comes_on_the_sessions_thread(
    queue: Queue,
) -> None:
    workers: list[threading.Thread] = []
    queue.submit("a", lambda _: workers.append(threading.current_thread()))
    queue.settle()
    session_threads = [queue.thread.call(threading.current_thread)]
    assert list(queue.threads) == session_threads
    assert workers not in ([threading.main_thread()], session_threads)


def test_the_most_urgent_job_goes_first_and_equals_in_their_order(queue: Queue) -> None:
    gate = Gate("gate")
    queue.submit("gate", gate)
    for name, urgency in (
        ("prefetch", Urgency.PREFETCH),
        ("hover 1", Urgency.HOVER),
        ("hover 2", Urgency.HOVER),
    ):
        queue.submit(name, urgency=urgency)
    gate.opened.set()
    queue.settle()
    assert queue.lines == ["done gate", "done hover 1", "done hover 2", "done prefetch"]


def test_the_newest_of_a_topic_wins_over_the_running_and_the_waiting(
    queue: Queue,
) -> None:
    gate = Gate("old")
    queue.submit("old", gate, topic="prompt")
    hold(gate)
    queue.submit("middle", topic="prompt")
    queue.submit("other", topic="other")
    queue.submit("new", topic="prompt")
    queue.settle()
    assert queue.lines == ["done other", "done new"]
    assert gate.gave_up


def test_an_answer_that_was_ready_before_it_was_replaced_is_dropped(
    queue: Queue,
) -> None:
    gate, busy = Gate("old"), threading.Event()
    queue.submit("old", gate, topic="prompt")
    hold(gate)
    queue.thread.post(lambda: busy.wait(10))
    newer = threading.Thread(target=queue.submit, args=("new",), kwargs=TOPIC)
    newer.start()
    # The session's thread is busy: the answer comes behind the newer job.
    threading.Timer(0.1, gate.opened.set).start()
    threading.Timer(0.4, busy.set).start()
    newer.join()
    queue.settle()
    assert queue.lines == ["done new"]


def test_a_users_job_cancels_what_nobody_waits_for(queue: Queue) -> None:
    gate = Gate("running")
    queue.submit("running", gate, urgency=Urgency.PREFETCH)
    hold(gate)
    queue.submit("waiting", urgency=Urgency.PREFETCH)
    queue.submit("user")
    queue.settle()
    assert queue.lines == ["dropped waiting", "dropped running", "done user"]


def test_a_hovering_mouse_cancels_nothing(queue: Queue) -> None:
    queue.submit("prefetch", urgency=Urgency.PREFETCH)
    queue.submit("hover", urgency=Urgency.HOVER)
    queue.settle()
    assert sorted(queue.lines) == ["done hover", "done prefetch"]


def test_an_error_comes_back_as_a_value_and_the_next_job_runs(queue: Queue) -> None:
    def broken(_: JobWatch) -> None:
        raise ImageReadError("A chunk is damaged.")

    queue.submit("broken", broken)
    queue.submit("next")
    queue.settle()
    assert queue.lines == ["failed A chunk is damaged.", "done next"]


def test_work_that_gives_up_by_itself_is_dropped(queue: Queue) -> None:
    def give_up(_: JobWatch) -> None:
        raise Cancelled("No more.")

    queue.submit("a", give_up)
    queue.settle()
    assert queue.lines == ["dropped a"]


def test_cancelling_a_topic_says_so_once_and_leaves_the_others(queue: Queue) -> None:
    gate = Gate("a")
    queue.submit("a", gate, topic="a")
    queue.submit("b", topic="b")
    hold(gate)
    for _ in range(2):
        queue.thread.call(lambda: queue.jobs.cancel("a"))
    queue.settle()
    assert queue.lines == ["dropped a", "done b"]


def test_the_state_says_what_runs_how_far_it_is_and_when_all_is_done(
    queue: Queue,
) -> None:
    gate = Gate()
    progress = WindowProgress(
        0, Box(0, 0, 8, 8), windows=3, encodes=1, most_windows=200
    )

    def watched(watch: JobWatch) -> None:
        watch(progress)
        gate(watch)

    queue.submit("windows", watched, text="Segmenting")
    wait_for(lambda: queue.states[-1] == JobState("Segmenting", 3, 0))
    gate.opened.set()
    queue.settle()
    queue.submit("bytes", lambda watch: watch.progress(7, 7), text="Downloading")
    queue.settle()
    texts = [state.text for state in queue.states]
    assert texts[:2] == ["Segmenting", "Segmenting"]
    assert "Downloading" in texts
    assert JobState("Downloading", 7, 7) in queue.states
    assert queue.states[-1] == JobState()


def test_nobody_is_told_of_work_that_nobody_waits_for(queue: Queue) -> None:
    gate = Gate()
    queue.submit("prefetch", gate, urgency=Urgency.PREFETCH)
    hold(gate)
    assert queue.thread.call(lambda: queue.jobs.state) == JobState()
    assert not queue.thread.call(lambda: queue.jobs.is_busy_for_user)
    gate.opened.set()
    queue.settle()


def test_closing_ends_the_worker_and_no_answer_comes_after_it() -> None:
    before = set(threading.enumerate())
    queue = Queue()
    gate = Gate("a")
    queue.submit("a", gate)
    queue.submit("b")
    hold(gate)
    assert set(threading.enumerate()) != before
    queue.close()
    assert set(threading.enumerate()) == before
    queue.jobs.submit(Job(lambda _: "late", queue.lines.append, queue.lines.append))
    assert gate.gave_up
    assert queue.lines == []
