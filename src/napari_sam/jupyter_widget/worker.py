"""What takes long, on a thread beside the desk: the newest job of a topic wins.

    desk     submit -------------------------> done(value) | failed(error)
    worker             work(watch) ----^

A job that was replaced or cancelled is never heard of again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from threading import Condition, Event, Thread
from typing import Any, Generic, TypeVar

from napari_sam.errors import Cancelled
from napari_sam.jupyter_widget.desk import Desk
from napari_sam.predictor.progress import WindowProgress

T = TypeVar("T")


class Urgency(IntEnum):
    """Who waits for a job; the lowest goes first."""

    USER = 0  # the user does: it cancels all that is less urgent
    HOVER = 1  # a mouse that may be elsewhere by then


class JobWatch:
    """Given to a job's work, which calls it before every window that it looks at."""

    def __init__(self) -> None:
        self._stop = Event()

    @property
    def is_cancelled(self) -> bool:
        """Whether the answer has ceased to matter."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """End the work at its next call."""
        self._stop.set()

    def __call__(self, look: WindowProgress | None = None) -> None:
        """Raise `Cancelled` where the work is to end."""
        if self.is_cancelled:
            raise Cancelled("Nobody waits for this any more.")


@dataclass(frozen=True, slots=True, eq=False)
class Job(Generic[T]):
    """Something to do, and what is done with its result.

    Parameters
    ----------
    work
        Runs on the worker, and changes nothing that the desk reads.
    done, failed
        Get what `work` returned, or raised; on the desk.
    topic
        A job replaces the one of the same topic, running or not.
    urgency
        Its place in the queue.
    """

    work: Callable[[JobWatch], T]
    done: Callable[[T], None]
    failed: Callable[[Exception], None]
    topic: str
    urgency: Urgency = Urgency.USER
    watch: JobWatch = field(default_factory=JobWatch, init=False)


class Worker:
    """One thread and its queue; `close` it before the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._changed = Condition()
        self._waiting: list[Job[Any]] = []
        self._running: Job[Any] | None = None
        self._is_closed = False
        self._thread = Thread(target=self._run, name="napari-sam worker", daemon=True)
        self._thread.start()

    @property
    def is_busy_for_user(self) -> bool:
        """Whether something runs or waits that the user waits for."""
        with self._changed:
            jobs = [*self._waiting, *([self._running] if self._running else [])]
            return any(
                job.urgency is Urgency.USER and not job.watch.is_cancelled
                for job in jobs
            )

    def submit(self, job: Job[Any]) -> None:
        """Queue a job; without effect once closed."""
        with self._changed:
            if self._is_closed:
                return
            self._drop(
                lambda older: older.topic == job.topic or older.urgency > job.urgency
            )
            self._waiting.append(job)
            self._waiting.sort(key=lambda waiting: waiting.urgency)
            self._changed.notify()

    def cancel(self, topic: str) -> None:
        """Give up the job of a topic."""
        with self._changed:
            self._drop(lambda job: job.topic == topic)

    def close(self) -> None:
        """Give up everything; a window that is being looked at is looked at still."""
        with self._changed:
            self._is_closed = True
            self._drop(lambda job: True)
            self._changed.notify()

    def _drop(self, is_meant: Callable[[Job[Any]], bool]) -> None:
        self._waiting = [job for job in self._waiting if not is_meant(job)]
        if self._running is not None and is_meant(self._running):
            self._running.watch.cancel()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while not self._waiting:
                    if self._is_closed:
                        return
                    self._changed.wait()
                job = self._running = self._waiting.pop(0)
            self._work_on(job)

    def _work_on(self, job: Job[Any]) -> None:
        try:
            value = job.work(job.watch)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - told to the user by the desk
            self._deliver(job, job.failed, error)
        else:
            self._deliver(job, job.done, value)

    def _deliver(
        self, job: Job[Any], receive: Callable[[Any], None], value: Any
    ) -> None:
        def deliver() -> None:
            # Whether it still counts is settled where it arrives.
            if not job.watch.is_cancelled:
                receive(value)

        self._desk.post(deliver)
