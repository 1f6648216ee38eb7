"""The thread that a session belongs to, however many threads a screen has.

All that changes a session is done here, one thing after the other: what screens post,
answers as they come from a job queue, and calls, which wait for their turn. So nothing
needs a lock, and neither a window nor a notebook's cells ever wait for it, unless they
call.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread, current_thread
from typing import Any, TypeVar

from napari_sam.errors import SessionError

T = TypeVar("T")


class SessionThread:
    """Does what it is given, in order; `close` it in the end.

    Parameters
    ----------
    fail
        Called on the thread with errors that nobody waits for.
    rest
        Called on the thread after each thing that was done.
    """

    def __init__(
        self, fail: Callable[[BaseException], None], rest: Callable[[], None]
    ) -> None:
        self.fail = fail
        self.rest = rest
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = Lock()  # nothing is put behind the end
        self._is_closed = False
        # A kernel that ends must not wait for it.
        self._thread = Thread(target=self._run, name="napari-sam session", daemon=True)
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether this is called on the thread."""
        return current_thread() is self._thread

    def post(self, act: Callable[[], Any]) -> bool:
        """Do this when it is its turn; False, and without effect, once closed."""
        with self._lock:
            if not self._is_closed:
                self._waiting.put(lambda: self._guarded(act))
            return not self._is_closed

    def call(self, act: Callable[[], T]) -> T:
        """Do this when it is its turn, and return or raise what it does.

        Raises
        ------
        SessionError
            The thread has ended.
        """
        if self.is_here:
            return act()
        done: Future[T] = Future()

        def fulfil() -> None:
            try:
                settle = partial(done.set_result, act())
            except BaseException as error:  # noqa: BLE001 - raised by who has called
                settle = partial(done.set_exception, error)
            # Whoever waited finds everything drawn.
            self._guarded(self.rest)
            settle()

        with self._lock:
            if self._is_closed:
                raise SessionError("This image is closed. Open it again to go on.")
            self._waiting.put(fulfil)
        return done.result()

    def close(self, last: Callable[[], None]) -> None:
        """Do what waits, and in the end this; comes back at once."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._waiting.put(lambda: self._guarded(last))
            self._waiting.put(None)

    def join(self) -> None:
        """Wait until it has ended."""
        if not self.is_here:
            self._thread.join()

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - the thread has to go on
            self.fail(error)

    def _run(self) -> None:
        while True:
            act = self._waiting.get()
            if act is None:
                return
            act()
            del act  # what it holds is not kept until the next one comes
            self._guarded(self.rest)
