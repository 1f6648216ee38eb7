"""Prompts on their way to an answer; however fast they come, none is lost.

While an answer is computed, further prompts go on from its request, and only the last
request is computed to its end. What cannot go on without the answer, such as to accept
it, waits here and is done in order afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from napari_sam.answers import Answer, Request
from napari_sam.jupyter_widget.worker import Job, Worker
from napari_sam.prompts import Prompt
from napari_sam.session import Session

TOPIC = "prompt"


class Asking:
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
        self, session: Session, worker: Worker, show: Callable[[Exception], None]
    ) -> None:
        self._session = session
        self._worker = worker
        self._show = show
        self._pending: Request | None = None
        self._later: deque[Callable[[], Any]] = deque()

    @property
    def is_pending(self) -> bool:
        """Whether an answer is on its way."""
        return self._pending is not None

    @property
    def has_waiting(self) -> bool:
        """Whether something waits for an answer."""
        return bool(self._later)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way and nothing waits."""
        return self._pending is None and not self._later

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts, also those whose answer is on its way."""
        if self._pending is not None:
            return self._pending.draft.prompts
        return self._session.prompts

    def add(self, prompts: Sequence[Prompt]) -> None:
        """Refine the candidate with more prompts."""
        request = self._pending
        for prompt in prompts:
            request = self._session.propose(prompt, after=request)
        if request is not None:
            self._ask(request)

    def choose(self, index: int) -> None:
        """Take another of the candidates."""
        self._ask(self._session.propose_choice(index))

    def catch_up(self) -> None:
        """Compute candidates that are not, as after reopening or an undo."""
        if self._session.prompts and not self._session.is_answered:
            self._ask(self._session.propose_answer())

    def take_back(self) -> None:
        """Take back the last step that is on its way."""
        pending = self._pending
        self.cancel()
        if pending is not None and len(pending.drafts) > 1:
            self._ask(replace(pending, drafts=pending.drafts[:-1]))

    def cancel(self) -> None:
        """Give up what is on its way."""
        self._pending = None
        self._worker.cancel(TOPIC)

    def soon(self, act: Callable[[], Any]) -> None:
        """Do this as soon as what came before is done; at once if it is."""
        self._later.append(act)
        self._go_on()

    def forget(self) -> None:
        """Do not do what waits."""
        self._later.clear()

    def _ask(self, request: Request) -> None:
        self._pending = request
        session = self._session
        self._worker.submit(
            Job(
                lambda watch: session.compute(request, watch),
                done=self._on_answer,
                failed=self._on_error,
                topic=TOPIC,
            )
        )

    def _on_answer(self, answer: Answer) -> None:
        if answer.request is not self._pending:
            return
        self._pending = None
        try:
            self._session.apply(answer)
        finally:
            self._go_on()

    def _on_error(self, error: Exception) -> None:
        self._pending = None
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
