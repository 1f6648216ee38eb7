"""Prompts on their way to an answer; however fast they come, none is lost.

While an answer is computed, further prompts go on from its request, and only the last
request is computed to its end:

    click 1   propose -> compute ...dropped
    click 2   propose(after=1) ----> compute -> apply: both are in
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from psygnal import Signal

from napari_sam.answers import Answer, Request
from napari_sam.napari_plugin.jobs import Job, Jobs
from napari_sam.prompts import Prompt
from napari_sam.session import Session

TOPIC = "prompt"
TEXT = "Segmenting"


class Asking:
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
        self._session = session
        self._jobs = jobs
        self._show = show
        self._pending: Request | None = None

    @property
    def is_pending(self) -> bool:
        """Whether an answer is on its way."""
        return self._pending is not None

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts, also those whose answer is on its way."""
        if self._pending is not None:
            return self._pending.draft.prompts
        return self._session.prompts

    def add(self, prompt: Prompt) -> None:
        """Refine the candidate with one more prompt."""
        self._ask(self._session.propose(prompt, after=self._pending))

    def choose(self, index: int) -> None:
        """Take another of the candidates."""
        self._ask(self._session.propose_choice(index))

    def catch_up(self) -> None:
        """Compute the candidates of prompts that are there, as after reopening."""
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
        self._jobs.cancel(TOPIC)

    def _ask(self, request: Request) -> None:
        self._pending = request
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

    def _on_answer(self, answer: Answer) -> None:
        if answer.request is not self._pending:
            return
        self._pending = None
        try:
            self._session.apply(answer)
        finally:
            self.settled()

    def _on_error(self, error: BaseException) -> None:
        self._pending = None
        self._show(error)
        self.settled()

    def _on_dropped(self) -> None:
        if self._pending is not None:
            self._pending = None
            self.settled()
