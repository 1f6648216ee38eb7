"""The mask that a click would give, under a mouse that rests or wanders.

Only where the window is encoded already: a preview never makes anybody wait.
"""

from __future__ import annotations

from napari_sam.annotator.jobs import Job, JobQueue, Urgency
from napari_sam.annotator.pending_prompts import PendingPrompts
from napari_sam.annotator.state import Plane
from napari_sam.errors import PromptError
from napari_sam.predictor import Candidate
from napari_sam.prompts import Click
from napari_sam.session import Session

TOPIC = "preview"


class Preview:
    """Keeps the candidate of the mouse; all of it on the session's thread.

    Parameters
    ----------
    session
        That a click would go to.
    jobs
        Where it is decoded.
    pending
        Prompts that are on their way.
    is_on
        Whether to begin with it.

    Attributes
    ----------
    candidate
        That is to be shown, if any is.
    """

    def __init__(
        self, session: Session, jobs: JobQueue, pending: PendingPrompts, *, is_on: bool
    ) -> None:
        self.candidate: Candidate | None = None
        self._session = session
        self._jobs = jobs
        self._pending = pending
        self._is_on = is_on

    @property
    def is_on(self) -> bool:
        """Whether it is shown."""
        return self._is_on

    def set_on(self, is_on: bool) -> None:
        """Turn it on or off."""
        self._is_on = is_on
        if not is_on:
            self.clear()

    def clear(self) -> None:
        """Show none until the mouse moves again."""
        self._jobs.cancel(TOPIC)
        self.candidate = None

    def at(self, plane: Plane, click: Click | None) -> None:
        """The mouse is here now; None: not over the image."""
        session = self._session
        if not self._is_on or click is None:
            self.clear()
            return
        if self._pending.is_settled and not session.prompts:
            session.set_plane(plane)
        if plane != session.plane:
            # A preview refines the candidate, which is about one plane.
            self.clear()
            return
        if not self._pending.is_settled or self._jobs.is_busy_for_user:
            return
        try:
            request = session.request_prompt(click)
        except PromptError:  # beside the image
            self.clear()
            return
        self._jobs.submit(
            Job(
                lambda _: session.preview(request),
                done=self._show,
                failed=lambda _: self._show(None),
                topic=TOPIC,
                urgency=Urgency.HOVER,
            )
        )

    def _show(self, candidate: Candidate | None) -> None:
        self.candidate = candidate if self._is_on else None
