"""From what a user would like to do to the candidates that it leads to.

    Request --- compute, any thread ---> Answer
    where from, where to                 what to show there

Nothing here changes a session: a request holds all that its answer depends on. The
answer to several prompts comes about as the user sees it: each prompt refines the
candidate that was chosen before it. So the same prompts in the same order give the
same candidate after an undo, or on another day.
"""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam.masks import bounding_box
from napari_sam.predictor import Candidate, ImagePredictor, ProgressCallback
from napari_sam.prompts import MaskPrompt, has_positive
from napari_sam.session.history import HistoryStep, PromptState

Candidates = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A step that somebody wants to take, and that is not taken yet.

    Parameters
    ----------
    base
        The state that it goes on from.
    states
        Those that it leads to: one for each step, more where several were requested
        before the first was answered.
    known
        The candidates of `base`, None where they are not computed.
    step
        The step of the past that it takes back or does again, if it does.
    """

    base: PromptState
    states: tuple[PromptState, ...]
    known: Candidates | None = None
    step: HistoryStep | None = None

    @property
    def state(self) -> PromptState:
        """Where it leads."""
        return self.states[-1]

    def then(self, state: PromptState) -> Request:
        """The same and one more step."""
        return Request(self.base, (*self.states, state), self.known, self.step)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a request leads to: its candidates, best first.

    None where they are left to be computed when they are read.
    """

    request: Request
    candidates: Candidates | None = None


def compute(
    predictor: ImagePredictor, request: Request, watch: ProgressCallback | None = None
) -> Answer:
    """Answer a request; `watch` as in `ImagePredictor.predict`."""
    answering = _Answering(predictor, watch)
    state, candidates = request.base, request.known
    for after in request.states:
        candidates = answering.step(state, candidates, after)
        state = after
    return Answer(request, candidates)


def preview(predictor: ImagePredictor, request: Request) -> Candidate | None:
    """The best candidate that a request shows without a read or an encode, if any."""
    state, known = request.state, request.known
    if not has_positive(state.prompts):
        return None
    is_next = len(request.states) == 1 and known
    previous = _chosen(request.base, known) if is_next and known else None
    found = predictor.preview(
        state.prompts, state.plane, previous=_worth_refining(state, previous)
    )
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class _Answering:
    """Goes from one state to the next."""

    predictor: ImagePredictor
    watch: ProgressCallback | None

    def step(
        self, before: PromptState, known: Candidates | None, after: PromptState
    ) -> Candidates:
        """The candidates of a state, given those of the one before it."""
        if known is None:
            return self._from_nothing(after)
        if after is before:
            return known
        if _same(before, after.first(len(after.prompts) - 1)):
            return self._refined(after, _chosen(before, known))
        count = len(after.prompts)
        is_choice = count == len(before.prompts) and _same(
            before.first(count - 1), after.first(count - 1)
        )
        if is_choice and known and after.prompts[-1] == before.prompts[-1]:
            return self._completed(known, after)
        return self._from_nothing(after)

    def _from_nothing(self, state: PromptState) -> Candidates:
        candidates: Candidates = ()
        for count in range(1, len(state.prompts) + 1):
            part = state.first(count)
            previous = _chosen(state.first(count - 1), candidates)
            candidates = self._completed(self._refined(part, previous), part)
        return candidates

    def _refined(self, state: PromptState, previous: Candidate | None) -> Candidates:
        if not has_positive(state.prompts):
            # A lone negative click is a beginning, not a mistake.
            return ()
        first = state.prompts[0]
        if _edits(state) and len(state.prompts) == 1 and isinstance(first, MaskPrompt):
            return (_as_it_is(first, state.plane),)
        return self.predictor.predict(
            state.prompts,
            state.plane,
            previous=_worth_refining(state, previous),
            watch=self.watch,
        )

    def _completed(self, candidates: Candidates, state: PromptState) -> Candidates:
        """With the chosen one followed to its end; the first one always is."""
        index = min(state.choices[-1], len(candidates) - 1)
        if index <= 0 or candidates[index].complete:
            return candidates
        whole = self.predictor.complete(
            candidates[index], state.prompts, watch=self.watch
        )
        return (*candidates[:index], whole, *candidates[index + 1 :])


def _edits(state: PromptState) -> bool:
    """Whether a state goes on from the mask of an object."""
    return state.target is not None and isinstance(state.prompts[0], MaskPrompt)


def _same(one: PromptState, other: PromptState) -> bool:
    return (one.plane, one.target, one.prompts, one.choices) == (
        other.plane,
        other.target,
        other.prompts,
        other.choices,
    )


def _chosen(state: PromptState, candidates: Candidates) -> Candidate | None:
    if not candidates:
        return None
    choice = state.choices[-1] if state.choices else 0
    return candidates[min(choice, len(candidates) - 1)]


def _worth_refining(state: PromptState, previous: Candidate | None) -> Candidate | None:
    """The candidate before, unless no model has made it."""
    return None if _edits(state) and len(state.prompts) <= 2 else previous


def _as_it_is(prompt: MaskPrompt, plane: tuple[int, ...]) -> Candidate:
    """An object without further prompts: its own mask, without the model."""
    inner = bounding_box(prompt.mask) or prompt.box.relative_to(prompt.box)
    box = inner.shift(prompt.box.y0, prompt.box.x0)
    return Candidate(
        mask=prompt.mask[inner.slices],
        box=box,
        score=1.0,
        plane=plane,
        level=0,
        complete=True,
        unmet=(),
        window=box,
        window_level=0,
        window_size=0,
        logits_hw=None,
    )
