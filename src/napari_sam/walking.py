"""Undo and redo of what a run has written, a little at a time.

One step may be thousands of edits, which take minutes. A user interface goes on with a
`Walk` until it is done, and in between shows what has changed, or gives it up:

    walk = Walk(session, is_undo=True)
    while walk.go_on():
        ...
"""

from __future__ import annotations

from threading import Event
from time import monotonic

from napari_sam.errors import Cancelled
from napari_sam.session import Session
from napari_sam.session.history import HistoryStep
from napari_sam.session.refinement import Answer, Request

A_WHILE_S = 0.3
"""As long as a user does not wonder; an edit that has begun is finished."""


class Walk:
    """A step back or forth in a session's history; nothing where there is none.

    Parameters
    ----------
    session
        Whose.
    is_undo
        Whether it is a step back.
    """

    def __init__(self, session: Session, *, is_undo: bool) -> None:
        self._session = session
        self._is_undo = is_undo
        self._step: HistoryStep | None = None
        self._stopped = Event()

    def stop(self) -> None:
        """Give up what is left, from whatever thread; the next undo goes on."""
        self._stopped.set()

    def go_on(self) -> bool:
        """Walk for a while, in the thread that the session belongs to.

        Returns
        -------
        Whether to go on with the rest of the step.

        Raises
        ------
        LabelError, LabelWriteError
            As of `Session.apply`.
        """
        request = self._request()
        if request is None:
            return False
        end_s = monotonic() + A_WHILE_S

        def before() -> None:
            if self._stopped.is_set() or monotonic() > end_s:
                raise Cancelled("Enough for now.")

        try:
            self._session.apply(Answer(request), before)
        except Cancelled:
            return not self._stopped.is_set()
        return False

    def _request(self) -> Request | None:
        """For the step, or for what is left of it; None: there is nothing to do."""
        session = self._session
        possible = session.can_undo if self._is_undo else session.can_redo
        if not possible or self._stopped.is_set():
            return None
        request = session.request_undo() if self._is_undo else session.request_redo()
        if self._step is None:
            self._step = request.step
        elif not self._step.belongs_with(request.step):
            return None  # something else was done in between
        return request
