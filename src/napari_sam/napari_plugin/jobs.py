"""What takes time, off the window's thread: one worker, the most urgent job first.

All of it is the window's thread's, except for a job's `work`: the queue needs no lock,
and whether an answer still counts is settled where it arrives.

    window   submit ----------------------> done(value) | failed(error)
    worker            work(watch) --------^

A job that is replaced or cancelled is never heard of again, but for `dropped`. Errors
come back as values: a worker that raises trips over napari 0.9.2's own slots.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from threading import Event
from time import monotonic
from typing import Any, Generic, TypeVar

from qtpy.QtCore import QObject, Qt, Signal

from napari_sam.errors import Cancelled
from napari_sam.predictor.progress import WindowProgress

T = TypeVar("T")

REPORT_INTERVAL_S = 0.05
"""Progress is passed on at most this often: each report wakes up the window."""


def nothing() -> None:
    """Do nothing when a job is dropped."""


class Urgency(IntEnum):
    """Who waits for a job; the lowest goes first."""

    USER = 0  # the user does: it cancels all that is less urgent
    HOVER = 1  # a mouse that may be elsewhere by then
    PREFETCH = 2  # nobody yet


class JobWatch:
    """Given to a job's work, which calls it with each window's `WindowProgress`."""

    def __init__(self, report: Callable[[int, int], None]) -> None:
        self._stop = Event()
        self._report = report
        self._reported_s = 0.0

    @property
    def is_cancelled(self) -> bool:
        """Whether the answer has ceased to matter."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """End the work at its next call."""
        self._stop.set()

    def __call__(self, look: WindowProgress | None = None) -> None:
        """Report the windows looked at so far; a `Cancelled` ends the work."""
        # How many there will be is not known; most answers take one.
        self.progress(0 if look is None else look.windows, None)

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
        Runs in the worker, and changes nothing that the window reads.
    done
        Gets what `work` returned; in the window's thread, as are the next two.
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
        What the user is told while it runs; "": nothing.
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


class Jobs(QObject):
    """The queue of one window; `close` it together with the window.

    Attributes
    ----------
    busy
        Emits the text of the job that has begun.
    progressed
        Emits how much of the running job is done, and the total, 0 if not known.
    idle
        Emits when nothing runs or waits any more.
    """

    busy = Signal(str)
    progressed = Signal(int, int)
    idle = Signal()
    _reported = Signal(object, int, int)
    _ended = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="napari-sam")
        self._waiting: list[_Ticket] = []
        self._running: _Ticket | None = None
        self._is_closed = False
        # Queued also where a future is done before it is asked: never within `submit`.
        queued = Qt.ConnectionType.QueuedConnection
        self._reported.connect(self._on_reported, queued)
        self._ended.connect(self._on_ended, queued)

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

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; without effect once closed."""
        if self._is_closed:
            return
        self._drop(lambda older: bool(job.topic) and older.topic == job.topic)
        if job.urgency is Urgency.USER:
            self._cancel(lambda older: older.urgency > Urgency.USER)
        ticket = _Ticket(job)
        ticket.watch = JobWatch(
            lambda done, total: self._reported.emit(ticket, done, total)
        )
        self._waiting.append(ticket)
        self._start_next()

    def cancel(self, topic: str | None = None) -> None:
        """Drop the jobs of a topic, or all: the user does not want them any more."""
        self._cancel(lambda job: topic is None or job.topic == topic)

    def close(self, *, finish: bool = False) -> None:
        """Drop everything, and wait for the worker to end.

        It ends when the running work next calls its watch: at worst after one window.

        Parameters
        ----------
        finish
            Whether the running work, even where the worker has not yet taken it up, is
            done first.
        """
        self._is_closed = True
        self._drop(lambda _: True)
        self._pool.shutdown(wait=True, cancel_futures=not finish)
        self._running = None

    def _cancel(self, concerns: Callable[[Job[Any]], bool]) -> None:
        for job in self._drop(concerns):
            job.dropped()

    def _drop(self, concerns: Callable[[Job[Any]], bool]) -> list[Job[Any]]:
        """Make sure that no more is heard of some jobs, and return them."""
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
        self.busy.emit(ticket.job.text)
        future = self._pool.submit(ticket.job.work, ticket.watch)
        future.add_done_callback(lambda done: self._ended.emit(ticket, done))

    def _on_reported(self, ticket: _Ticket, done: int, total: int) -> None:
        if ticket is self._running and not ticket.watch.is_cancelled:
            self.progressed.emit(done, total)

    def _on_ended(self, ticket: _Ticket, future: Future[Any]) -> None:
        if self._is_closed:
            return
        self._running = None
        was_dropped = ticket.watch.is_cancelled
        # The next one before the answer: its receiver may draw for a while, or raise.
        self._start_next()
        try:
            if not was_dropped:
                _deliver(ticket.job, future)
        finally:
            if self.is_idle and not self._is_closed:
                self.idle.emit()


def _deliver(job: Job[Any], future: Future[Any]) -> None:
    error = future.exception()
    if isinstance(error, Cancelled):
        job.dropped()
    elif error is not None:
        job.failed(error)
    else:
        job.done(future.result())
