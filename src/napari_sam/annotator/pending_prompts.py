"""Prompts on their way to an answer; however fast they come, none is lost.

While an answer is computed, further prompts go on from its request, and only the last
request is computed to its end:

    click 1   request -> compute ...dropped
    click 2   request(after=1) ----> compute -> apply: both are in

What cannot go on without the answer, such as to accept it, waits here and is done in
order afterwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from napari_sam.annotator.jobs import Job, JobQueue
from napari_sam.prompts import Prompt
from napari_sam.session import Answer, Request, Session

TOPIC = "prompt"
TEXT = "Segmenting"


@dataclass(frozen=True, slots=True, eq=False)
class _Act:
    """What waits for an answer."""

    do: Callable[[], Any]
    is_kept: bool  # done even where the answer never comes


class PendingPrompts:
    """Has a session's model answer prompts; all of it on the session's thread.

    Parameters
    ----------
    session
        Whose model answers.
    jobs
        Where it computes.
    fail
        Called with errors.
    """

    def __init__(
        self, session: Session, jobs: JobQueue, fail: Callable[[BaseException], None]
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._fail = fail
        self._pending: Request | None = None
        self._later: deque[_Act] = deque()

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
        return not self.is_pending and not self._later

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
            self._start(request)

    def choose(self, index: int) -> None:
        """Take another of the candidates."""
        self._start(self._session.request_choice(index))

    def catch_up(self) -> None:
        """Compute candidates that are not, as after reopening or an undo."""
        if self._session.prompts and not self._session.is_answered:
            self._start(self._session.request_candidates())

    def soon(self, act: Callable[[], Any], *, is_kept: bool = False) -> None:
        """Do this as soon as what came before is done; at once if it is.

        Parameters
        ----------
        act
            What to do.
        is_kept
            Whether it is done too where the answer that it waits for never comes.
        """
        self._later.append(_Act(act, is_kept))
        self._go_on()

    def take_back(self) -> bool:
        """Take back the last step that waits or is on its way; False: there is none."""
        if self._later:
            self._later.pop()
            return True
        pending = self._pending
        if pending is None:
            return False
        self.cancel()
        is_step = pending.state is not pending.base  # or it catches up only
        if is_step and len(pending.states) > 1:
            self._start(replace(pending, states=pending.states[:-1]))
        return is_step

    def cancel(self) -> None:
        """Give up what is on its way."""
        self._pending = None
        self._jobs.cancel(TOPIC)

    def forget(self) -> None:
        """Give up what is on its way, and what waits for it but is not to be kept."""
        self.cancel()
        kept = [act for act in self._later if act.is_kept]
        self._later.clear()
        for act in kept:
            self._do(act)

    def _start(self, request: Request) -> None:
        self._pending, session = request, self._session
        self._jobs.submit(
            Job(
                lambda watch: session.compute(request, watch),
                done=self._on_answer,
                failed=self._on_failed,
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
        except Exception as error:  # noqa: BLE001 - shown to the user
            self._on_failed(error)
        else:
            self._go_on()

    def _on_failed(self, error: BaseException) -> None:
        # What the user did next counted on this.
        self.forget()
        self._fail(error)

    def _on_dropped(self) -> None:
        if self._pending is not None:
            self.forget()

    def _go_on(self) -> None:
        while self._later and not self.is_pending:
            self._do(self._later.popleft())

    def _do(self, act: _Act) -> None:
        try:
            act.do()
        except Exception as error:  # noqa: BLE001 - shown to the user
            self.forget()
            self._fail(error)
