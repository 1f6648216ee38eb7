"""Prompts on their way to an answer; however fast they come, none is lost.

While an answer is computed, further prompts go on from its request, and only the last
request is computed to its end:

    click 1   propose -> compute ...dropped
    click 2   propose(after=1) ----> compute -> apply: both are in
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace

from napari_sam.prompts import Prompt
from napari_sam.session import Session
from napari_sam.session.refinement import Answer, Request


class PendingPrompts(ABC):
    """Asks a session's model, and applies what comes back; in one thread.

    Where it is computed is up to a user interface: it says how in `_start` and
    `_stop`, and calls `_on_answer` or `_on_error` with what comes of it.

    Parameters
    ----------
    session
        The one that answers.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pending: Request | None = None

    @property
    def is_pending(self) -> bool:
        """Whether an answer is on its way."""
        return self._pending is not None

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts, also those whose answer is on its way."""
        if self._pending is not None:
            return self._pending.state.prompts
        return self._session.prompts

    def add(self, prompts: Iterable[Prompt]) -> None:
        """Refine the candidate with more prompts."""
        request = self._pending
        for prompt in prompts:
            request = self._session.request_prompt(prompt, after=request)
        if request is not None:
            self._ask(request)

    def choose(self, index: int) -> None:
        """Take another of the candidates."""
        self._ask(self._session.request_choice(index))

    def catch_up(self) -> None:
        """Compute candidates that are not, as after reopening or an undo."""
        if self._session.prompts and not self._session.is_answered:
            self._ask(self._session.request_candidates())

    def take_back(self) -> None:
        """Take back the last step that is on its way."""
        pending = self._pending
        self.cancel()
        if pending is not None and len(pending.states) > 1:
            self._ask(replace(pending, states=pending.states[:-1]))

    def cancel(self) -> None:
        """Give up what is on its way."""
        self._pending = None
        self._stop()

    def _ask(self, request: Request) -> None:
        self._pending = request
        self._start(request)

    @abstractmethod
    def _start(self, request: Request) -> None:
        """Compute a request, instead of the one before."""

    @abstractmethod
    def _stop(self) -> None:
        """Compute nothing any more."""

    @abstractmethod
    def _on_settled(self, error: BaseException | None = None) -> None:
        """Nothing is on its way any more, whatever came of it."""

    def _on_answer(self, answer: Answer) -> None:
        if answer.request is not self._pending:
            return
        self._pending = None
        try:
            self._session.apply(answer)
        finally:
            self._on_settled()

    def _on_error(self, error: BaseException) -> None:
        self._pending = None
        self._on_settled(error)
