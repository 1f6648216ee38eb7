"""What takes time, beside the session's thread: one worker, the most urgent job first.

All of it is the session thread's, except for a job's `work`: the queue needs no lock,
and whether a result still counts is settled where it arrives.

    session's thread   submit ----------------------> done(value) | failed(error)
    worker                    work(watch) --------^

A job that is replaced or cancelled never delivers anything, but for `dropped`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from queue import SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from napari_sam.annotator.session_thread import SessionThread
from napari_sam.annotator.state import JobState
from napari_sam.errors import Cancelled
from napari_sam.predictor import WindowProgress

T = TypeVar("T")

REPORT_INTERVAL_S = 0.05
"""Progress is passed on at most this often: each report makes a screen draw."""


def nothing() -> None:
    """Do nothing."""


class Urgency(IntEnum):
    """Who waits for a job; the lowest goes first."""

    USER = 0  # the user does: it cancels all that is less urgent
    HOVER = 1  # a mouse that may be elsewhere by then
    PREFETCH = 2  # nobody yet


class JobWatch:
    """Given to what takes time, which calls it with each window's `WindowProgress`.

    Parameters
    ----------
    report
        Called with how much is done, and the total, 0 if not known; in the thread that
        works, and not too often.
    """

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._stop = Event()
        self._report = report
        self._reported_s = 0.0

    @property
    def is_cancelled(self) -> bool:
        """Whether the result has ceased to matter."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """End the work at its next call, from any thread."""
        self._stop.set()

    def __call__(self, progress: WindowProgress | None = None) -> None:
        """Report the windows that are done so far; a `Cancelled` ends the work."""
        # How many there will be is not known; most answers take one.
        self.progress(0 if progress is None else progress.windows, None)

    def progress(self, done: int, total: int | None) -> None:
        """Report how far the work is, as `load_model` does; may raise `Cancelled`."""
        if self.is_cancelled:
            raise Cancelled("Nobody waits for this any more.")
        now = monotonic()
        if done and (now - self._reported_s > REPORT_INTERVAL_S or done == total):
            self._reported_s = now
            self._report(done, total or 0)


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[T]):
    """Something to do, and what is done with its result.

    Parameters
    ----------
    work
        Runs in the worker, and changes nothing that the session's thread reads.
    done
        Gets what `work` returned; on the session's thread, as are the next two.
    failed
        Gets what `work` raised.
    dropped
        Neither comes, because the job was cancelled. Not called where a newer job has
        taken its place.
    topic
        A job replaces the one of the same topic, running or not. "": it replaces none.
    urgency
        Its place in the queue.
    text
        For the user while it runs; "": nothing.
    """

    work: Callable[[JobWatch], T]
    done: Callable[[T], None]
    failed: Callable[[BaseException], None]
    dropped: Callable[[], None] = nothing
    topic: str = ""
    urgency: Urgency = Urgency.USER
    text: str = ""


@dataclass(slots=True, eq=False)
class _Ticket:
    """A job in the queue."""

    job: Job[Any]
    watch: JobWatch = field(init=False)
    done: int = 0
    count: int = 0


class JobQueue:
    """A worker and its queue; `close` it in the end.

    Parameters
    ----------
    thread
        Where results arrive.

    Attributes
    ----------
    when_idle
        Called when nothing runs or waits any more; may submit another job.
    """

    def __init__(self, thread: SessionThread) -> None:
        self.when_idle: Callable[[], None] = nothing
        self._thread = thread
        self._waiting: list[_Ticket] = []
        self._running: _Ticket | None = None
        self._is_closed = False
        self._given: SimpleQueue[_Ticket | None] = SimpleQueue()
        # A kernel that ends must not wait for it.
        self._worker = Thread(target=self._work, name="napari-sam worker", daemon=True)
        self._worker.start()

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self._running is None and not self._waiting

    @property
    def is_busy_for_user(self) -> bool:
        """Whether something runs or waits that the user waits for."""
        tickets = [*self._waiting, *([self._running] if self._running else [])]
        return any(
            ticket.job.urgency is Urgency.USER and not ticket.watch.is_cancelled
            for ticket in tickets
        )

    @property
    def state(self) -> JobState:
        """What runs, for the user."""
        ticket = self._running
        if ticket is None or ticket.watch.is_cancelled or not ticket.job.text:
            return JobState()
        return JobState(ticket.job.text, ticket.done, ticket.count)

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; without effect once closed."""
        if self._is_closed:
            return
        self._drop(lambda older: bool(job.topic) and older.topic == job.topic)
        if job.urgency is Urgency.USER:
            self._cancel(lambda older: older.urgency > Urgency.USER)
        ticket = _Ticket(job)

        def report(done: int, count: int) -> None:
            self._thread.post(partial(self._on_reported, ticket, done, count))

        ticket.watch = JobWatch(report)
        self._waiting.append(ticket)
        self._start_next()

    def cancel(self, topic: str | None = None) -> None:
        """Drop the jobs of a topic, or all: the user does not want them any more."""
        self._cancel(lambda job: topic is None or job.topic == topic)

    def close(self) -> None:
        """Drop everything, and wait for the worker to end.

        It ends when the running work next calls its watch: at worst after one window.
        """
        if not self._is_closed:
            self._is_closed = True
            self._drop(lambda _: True)
            self._given.put(None)
        self._worker.join()
        self._running = None

    def _cancel(self, concerns: Callable[[Job[Any]], bool]) -> None:
        for job in self._drop(concerns):
            job.dropped()

    def _drop(self, concerns: Callable[[Job[Any]], bool]) -> list[Job[Any]]:
        """Make sure that some jobs deliver nothing, and return them."""
        running = [self._running] if self._running else []
        hit = [
            ticket
            for ticket in [*self._waiting, *running]
            if concerns(ticket.job) and not ticket.watch.is_cancelled
        ]
        for ticket in hit:
            ticket.watch.cancel()
        self._waiting = [ticket for ticket in self._waiting if ticket not in hit]
        return [ticket.job for ticket in hit]

    def _start_next(self) -> None:
        if self._running is not None or not self._waiting or self._is_closed:
            return
        # Of several, `min` takes the one that has waited longest.
        ticket = min(self._waiting, key=lambda ticket: ticket.job.urgency)
        self._waiting.remove(ticket)
        self._running = ticket
        self._given.put(ticket)

    def _on_reported(self, ticket: _Ticket, done: int, count: int) -> None:
        ticket.done, ticket.count = done, count

    def _on_ended(self, ticket: _Ticket, deliver: Callable[[], None]) -> None:
        if self._is_closed:
            return
        self._running = None
        was_dropped = ticket.watch.is_cancelled
        # The next one before the result: what receives it may take a while, or raise.
        self._start_next()
        try:
            if not was_dropped:
                deliver()
        finally:
            if self.is_idle and not self._is_closed:
                self.when_idle()

    def _work(self) -> None:
        while (ticket := self._given.get()) is not None:
            deliver = _result_of(ticket)
            self._thread.post(partial(self._on_ended, ticket, deliver))
            del ticket, deliver  # nor kept until the next one comes


def _result_of(ticket: _Ticket) -> Callable[[], None]:
    """In the worker: do a job's work, and return what delivers the result."""
    job = ticket.job
    try:
        return partial(job.done, job.work(ticket.watch))
    except Cancelled:
        return job.dropped
    except Exception as error:  # noqa: BLE001 - shown to the user by who gets it
        return partial(job.failed, error)
