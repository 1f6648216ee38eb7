"""Prompts are answered in the dock's worker, under the activity that napari shows."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

from napari_sam.napari_plugin.jobs import Job, Jobs
from napari_sam.pending import PendingPrompts
from napari_sam.session import Session
from napari_sam.session.refinement import Request

TOPIC = "prompt"
TEXT = "Segmenting"


class Asking(PendingPrompts):
    """Asks a session's model in the worker, and applies what comes back.

    Parameters
    ----------
    session
        The one that answers.
    jobs
        Where it computes.
    show
        Is told of errors.

    Attributes
    ----------
    settled
        Emits when nothing is on its way any more, whatever came of it.
    """

    settled = Signal()

    def __init__(
        self, session: Session, jobs: Jobs, show: Callable[[BaseException], None]
    ) -> None:
        super().__init__(session)
        self._jobs = jobs
        self._show = show

    def _start(self, request: Request) -> None:
        session = self._session
        self._jobs.submit(
            Job(
                lambda watch: session.compute(request, watch),
                done=self._on_answer,
                failed=self._on_error,
                dropped=self._on_dropped,
                topic=TOPIC,
                text=TEXT,
            )
        )

    def _stop(self) -> None:
        self._jobs.cancel(TOPIC)

    def _on_settled(self, error: BaseException | None = None) -> None:
        if error is not None:
            self._show(error)
        self.settled()

    def _on_dropped(self) -> None:
        if self._pending is not None:
            self._pending = None
            self._on_settled()
