"""Prompts are answered beside the desk; what needs their answer waits its turn.

What cannot go on without the answer, such as to accept it, waits here and is done in
order afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from napari_sam.jupyter_widget.worker import Job, Worker
from napari_sam.pending import PendingPrompts
from napari_sam.session import Session
from napari_sam.session.refinement import Request

TOPIC = "prompt"


class Asking(PendingPrompts):
    """Asks a session's model, and applies what comes back; all of it on the desk.

    Parameters
    ----------
    session
        The one that answers.
    worker
        Where it computes.
    show
        Is told of errors.
    """

    def __init__(
        self, session: Session, worker: Worker, show: Callable[[BaseException], None]
    ) -> None:
        super().__init__(session)
        self._worker = worker
        self._show = show
        self._later: deque[Callable[[], Any]] = deque()

    @property
    def has_waiting(self) -> bool:
        """Whether something waits for an answer."""
        return bool(self._later)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way and nothing waits."""
        return not self.is_pending and not self._later

    def soon(self, act: Callable[[], Any]) -> None:
        """Do this as soon as what came before is done; at once if it is."""
        self._later.append(act)
        self._go_on()

    def forget(self) -> None:
        """Do not do what waits."""
        self._later.clear()

    def _start(self, request: Request) -> None:
        session = self._session
        self._worker.submit(
            Job(
                lambda watch: session.compute(request, watch),
                done=self._on_answer,
                failed=self._on_error,
                topic=TOPIC,
            )
        )

    def _stop(self) -> None:
        self._worker.cancel(TOPIC)

    def _on_settled(self, error: BaseException | None = None) -> None:
        if error is None:
            self._go_on()
        else:
            # What the user did next counted on this.
            self.forget()
            self._show(error)

    def _go_on(self) -> None:
        while self._later and not self.is_pending:
            act = self._later.popleft()
            try:
                act()
            except Exception as error:  # noqa: BLE001 - told to the user
                self.forget()
                self._show(error)
