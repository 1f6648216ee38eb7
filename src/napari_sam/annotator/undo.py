"""Undo and redo of what a run has written, a little at a time.

One step may be thousands of edits, which take minutes. In between, a screen shows what
has changed, and a user may give it up:

    run = UndoRun(session, is_undo=True, is_given_up=...)
    while run.go_on():
        ...
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from napari_sam.errors import Cancelled
from napari_sam.session import Answer, HistoryStep, Request, Session

CHUNK_S = 0.3
"""As long as a user does not wonder; an edit that has begun is finished."""


class UndoRun:
    """A step back or forth in a session's history; nothing where there is none.

    Parameters
    ----------
    session
        Whose.
    is_undo
        Whether it is a step back.
    is_given_up
        Whether what is left is not wanted any more; the next undo goes on with it. The
        first chunk is done in any case: most steps are no longer.
    """

    def __init__(
        self, session: Session, *, is_undo: bool, is_given_up: Callable[[], bool]
    ) -> None:
        self._session = session
        self._is_undo = is_undo
        self._is_given_up = is_given_up
        self._step: HistoryStep | None = None
        self._has_begun = False

    def go_on(self) -> bool:
        """Do a chunk, in the thread that the session belongs to.

        Returns
        -------
        bool
            Whether to go on with the rest of the step.

        Raises
        ------
        LabelError, LabelWriteError
            As of `Session.apply`.
        """
        request = self._request()
        if request is None:
            return False
        end_s = monotonic() + CHUNK_S

        def before() -> None:
            if self._is_stopped or monotonic() > end_s:
                raise Cancelled("Enough for now.")

        try:
            self._session.apply(Answer(request), before)
        except Cancelled:
            self._has_begun = True
            return not self._is_stopped
        return False

    @property
    def _is_stopped(self) -> bool:
        return self._has_begun and self._is_given_up()

    def _request(self) -> Request | None:
        """For the step, or for what is left of it; None: there is nothing to do."""
        session = self._session
        possible = session.can_undo if self._is_undo else session.can_redo
        if not possible or self._is_stopped:
            return None
        request = session.request_undo() if self._is_undo else session.request_redo()
        if self._step is None:
            self._step = request.step
        elif not self._step.belongs_with(request.step):
            return None  # something else was done in between
        return request
