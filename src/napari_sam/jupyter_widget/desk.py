"""The thread that a session belongs to, in a kernel whose main thread runs cells.

Everything that changes a session is done here, one thing after the other: what the
browser says, answers as they arrive from the worker, and calls from a cell, which wait
for their turn. So nothing needs a lock, and a cell that computes for an hour does not
stop the widget from answering.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Thread, current_thread
from typing import Any, TypeVar

T = TypeVar("T")


class Desk:
    """Does what it is given in order; `close` it at the end.

    Parameters
    ----------
    failed
        Is told, on the desk, of errors that nobody waits for.
    rested
        Called on the desk after each thing that was done.
    """

    def __init__(
        self, failed: Callable[[Exception], None], rested: Callable[[], None]
    ) -> None:
        self._failed = failed
        self._rested = rested
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_closed = False
        # A kernel that ends must not wait for it.
        self._thread = Thread(target=self._run, name="napari-sam desk", daemon=True)
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether this is called on the desk."""
        return current_thread() is self._thread

    def post(self, act: Callable[[], Any]) -> None:
        """Do this when it is its turn; without effect once closed."""
        if not self._is_closed:
            self._waiting.put(lambda: self._guarded(act))

    def call(self, act: Callable[[], T]) -> T:
        """Do this when it is its turn, and return or raise what it does."""
        if self.is_here or not self._thread.is_alive():
            return act()
        done: Future[T] = Future()

        def fulfil() -> None:
            try:
                settle = partial(done.set_result, act())
            except BaseException as error:  # noqa: BLE001 - raised where it was asked
                settle = partial(done.set_exception, error)
            # Whoever waited finds everything drawn.
            self._guarded(self._rested)
            settle()

        self._waiting.put(fulfil)
        return done.result()

    def close(self) -> None:
        """Do what waits, and end."""
        self._is_closed = True
        self._waiting.put(None)
        if not self.is_here:
            self._thread.join()

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the desk has to go on
            self._failed(error)

    def _run(self) -> None:
        while True:
            act = self._waiting.get()
            if act is None:
                return
            act()
            self._guarded(self._rested)
