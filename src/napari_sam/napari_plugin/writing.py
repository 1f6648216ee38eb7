"""What changes or reads labels, one thing after the other, off the window's thread.

A session belongs to one thread at a time. While something is written it is lent to the
writer; what the user does meanwhile waits here and is done in order afterwards. What
has begun is never cancelled: half an edit is of no use to anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from psygnal import Signal

from napari_sam.napari_plugin.jobs import Job, Jobs


class Writing:
    """Runs writes one by one, and holds back what has to wait for them.

    Parameters
    ----------
    show
        Is told of errors.
    must_wait
        Whether something else has to come first, such as an answer.
    look
        What is read in the writer after each write that was done.

    Attributes
    ----------
    written
        Emits after each write: what `look` found, or None where the write failed.
    """

    written = Signal(object)

    def __init__(
        self,
        show: Callable[[BaseException], None],
        must_wait: Callable[[], bool],
        look: Callable[[], Any],
    ) -> None:
        # A worker of its own: a save does not wait for a window that is encoded.
        self._jobs = Jobs()
        self._show = show
        self._must_wait = must_wait
        self._look = look
        self._later: deque[tuple[Callable[[], None], bool]] = deque()  # is a write
        self._is_lent = False
        self._is_closing = False

    @property
    def is_lent(self) -> bool:
        """Whether the session is the writer's now."""
        return self._is_lent

    def write(
        self, work: Callable[[], Any], then: Callable[[Any], None] | None = None
    ) -> None:
        """Do this in the writer, and then, in the window's thread, that."""
        self._later.append((lambda: self._start_write(work, then), True))
        self.go_on()

    def go_on_writing(
        self, work: Callable[[], Any], then: Callable[[Any], None] | None = None
    ) -> None:
        """As `write`, before all that waits: the rest of what was done last."""
        self._later.appendleft((lambda: self._start_write(work, then), True))
        self.go_on()

    def read(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        """As `write`, for what changes nothing: it sees all that was written before."""
        self.soon(lambda: self._start(work, lambda found: self._act_on(found, then)))

    def soon(self, act: Callable[[], None]) -> None:
        """Do this as soon as what came before is done; at once if nothing did."""
        self._later.append((act, False))
        self.go_on()

    def go_on(self) -> None:
        """Do what waits, until something has to be waited for."""
        while self._later and not self._is_lent and not self._must_wait():
            self._act(self._later.popleft()[0])

    @property
    def is_free(self) -> bool:
        """Whether the session is here and nothing waits for it."""
        return not self._is_lent and not self._later

    def forget(self) -> None:
        """Do not do what waits."""
        self._later.clear()

    def close(self) -> None:
        """Finish what is being written, and the writes that wait only for that.

        What waits for an answer, or for what the user did after it, is forgotten: the
        prompts are on disk.
        """
        self._jobs.close(finish=True)
        self._is_lent, self._is_closing = False, True
        while self._later and self._later[0][1] and not self._must_wait():
            self._act(self._later.popleft()[0])
        self.forget()

    def _act(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a dock has to go on
            self._show(error)

    def _act_on(self, value: Any, then: Callable[[Any], None]) -> None:
        self._act(lambda: then(value))

    def _start_write(
        self, work: Callable[[], Any], then: Callable[[Any], None] | None
    ) -> None:
        def write_and_look() -> tuple[Any, Any]:
            return work(), self._look()

        def go_on(found: tuple[Any, Any]) -> None:
            value, seen = found
            if then is not None:
                self._act_on(value, then)
            self.written(seen)

        self._start(write_and_look, go_on)

    def _start(self, work: Callable[[], Any], then: Callable[[Any], None]) -> None:
        if self._is_closing:  # no worker any more, and nothing else left to do
            try:
                value = work()
            except Exception as error:  # noqa: BLE001 - as in the worker
                self._on_failed(error)
            else:
                then(value)
            return
        self._is_lent = True
        self._jobs.submit(
            Job(
                lambda _: work(),
                done=lambda value: self._on_done(value, then),
                failed=self._on_failed,
            )
        )

    def _on_done(self, value: Any, then: Callable[[Any], None]) -> None:
        self._is_lent = False
        then(value)
        self.go_on()

    def _on_failed(self, error: BaseException) -> None:
        self._is_lent = False
        # What the user did next counted on this.
        self.forget()
        self._show(error)
        self.written(None)
