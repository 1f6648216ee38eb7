"""The object that a user points at: prompts, candidates, and the way back.

Every step is taken in three parts. A front end may do each where it belongs, so that
its window never waits for the model:

    request = session.request_prompt(click)     the window's thread: at once
    answer = session.compute(request, watch)    a worker: reads, encodes, predicts
    session.apply(answer)                       the window's thread: at once

`add`, `remove`, `choose`, `undo` and `redo` are these three in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from psygnal import Signal

from napari_sam.errors import Cancelled, SamError, SessionError
from napari_sam.geometry import Box, is_index
from napari_sam.images import Image
from napari_sam.labels import Edit, PixelsPendingError
from napari_sam.predictor.candidates import Candidate
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.progress import ProgressCallback
from napari_sam.prompts import Prompt, check_inside
from napari_sam.session.history import History, PromptState, Step
from napari_sam.session.refinement import Answer, Candidates, Request, compute, preview


def at_once() -> None:
    """Go on to the end."""


class PromptingSession:
    """What of a `Session` is about the object that is not accepted yet."""

    prompts_changed = Signal(tuple)
    candidates_changed = Signal(tuple, int)
    labels_changed = Signal(Edit)
    plane_changed = Signal(tuple)

    def __init__(
        self, image: Image, predictor: ImagePredictor, history: History
    ) -> None:
        self.image = image
        self.predictor = predictor
        self._history = history
        self._candidates: Candidates | None = None

    @property
    def plane(self) -> tuple[int, ...]:
        """Where prompts go: indices of the axes before y, x other than channels."""
        return self._history.draft.plane

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """What was said about the object so far, in order."""
        return self._history.draft.prompts

    @property
    def target(self) -> int | None:
        """The object that is being edited, None where the prompts are of a new one."""
        return self._history.draft.target

    @property
    def is_answered(self) -> bool:
        """Whether `candidates` are there; else asking for them asks the model."""
        return self._candidates is not None

    @property
    def candidates(self) -> Candidates:
        """Answers to the prompts, best first; computed when first asked for."""
        if self._candidates is None:
            answer = self.compute(self.request_candidates())
            self._candidates = answer.candidates or ()
        return self._candidates

    @property
    def chosen(self) -> int:
        """Index of the candidate that `accept` takes."""
        return self._chosen_of(self.candidates)

    @property
    def candidate(self) -> Candidate | None:
        """The chosen candidate, or None when there is none."""
        return self.candidates[self.chosen] if self.candidates else None

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history.can_redo

    def set_plane(self, plane: tuple[int, ...]) -> None:
        """Go to another plane; prompts that were not accepted stay in the past.

        Raises
        ------
        ImageError
            The image has no such plane.
        """
        self.image.check_plane(plane)
        # Plain numbers, which the journal can keep: viewers have numpy's.
        wanted = tuple(int(index) for index in plane)
        if wanted == self.plane:
            return
        had_prompts = bool(self.prompts)
        self._history.move(wanted)
        self._candidates = ()
        self.plane_changed.emit(self.plane)
        if had_prompts:
            self._announce()

    def request_prompt(self, prompt: Prompt, after: Request | None = None) -> Request:
        """One more prompt.

        Parameters
        ----------
        prompt
            In pixels of level 0.
        after
            A request that is not applied yet, to go on from: its prompts come first,
            and its own answer need not be waited for.

        Raises
        ------
        PromptError
            The prompt does not fit the image.
        """
        check_inside([prompt], Box.of_shape(self.image.shape))
        draft = self._history.draft if after is None else after.draft
        return self._request(draft.with_prompt(prompt), after)

    def request_removal(self, index: int, after: Request | None = None) -> Request:
        """One prompt less, counted in order from 0."""
        draft = self._history.draft if after is None else after.draft
        count = len(draft.prompts)
        if not is_index(index, count):
            raise SessionError(
                f"There are prompts 0 to {count - 1}, got {index!r}."
                if count
                else "There is no prompt to remove."
            )
        return self._request(draft.without(index), after)

    def request_choice(self, index: int) -> Request:
        """Another of the candidates; its answer follows it to its end."""
        count = len(self.candidates)
        if not is_index(index, count):
            raise SessionError(
                f"There are {count} candidates to choose from, counted from 0; got "
                f"{index!r}."
            )
        draft = self._history.draft
        is_other = index != self.chosen
        return self._request(draft.with_choice(index) if is_other else draft)

    def request_undo(self) -> Request:
        """The last step back: a prompt, a choice, a change of the labels, a run."""
        step = self._history.last
        if step is None:
            raise SessionError("There is nothing to undo.")
        return Request(self._history.draft, (step.before,), self._candidates, step)

    def request_redo(self) -> Request:
        """What was undone last once more."""
        step = self._history.next
        if step is None:
            raise SessionError("There is nothing to redo.")
        return Request(self._history.draft, (step.after,), self._candidates, step)

    def request_candidates(self) -> Request:
        """Nothing new; for candidates that are not computed, as after reopening."""
        draft = self._history.draft
        return Request(draft, (draft,), self._candidates)

    def compute(
        self, request: Request, watch: ProgressCallback | None = None
    ) -> Answer:
        """Find a request's candidates; changes nothing, from whatever thread.

        Parameters
        ----------
        request
            As proposed.
        watch
            Called in this thread before each window that is looked at, with a `Look`;
            may raise `Cancelled`, which comes out here. What was encoded by then is
            kept: asking again goes on from there.

        Raises
        ------
        ImageReadError
            The pixels there cannot be read.
        """
        return compute(self.predictor, request, watch)

    def preview(self, prompt: Prompt | Request) -> Candidate | None:
        """What a prompt would give, if that takes no read and no encode; else None.

        For a hovering mouse. Changes nothing; given a request for the prompt instead of
        the prompt, it may be called from any thread.
        """
        if isinstance(prompt, Request):
            return preview(self.predictor, prompt)
        return preview(self.predictor, self.request_prompt(prompt))

    def apply(self, answer: Answer, before: Callable[[], None] = at_once) -> bool:
        """Take the step that was proposed, and show what it leads to.

        Parameters
        ----------
        answer
            To what was proposed.
        before
            Called before each further edit of all those that an undo or redo of a run
            goes through; may raise `Cancelled`, which comes out here. What was gone
            through by then is shown, and the next undo or redo goes on from there.

        Returns
        -------
        False, and nothing has changed, if something else has come in between. Of a
        request that goes on `after` another, only what is not done yet is done.

        Raises
        ------
        LabelError, LabelWriteError
            An undo or redo is not possible; nothing has changed. Or only a part of one
            is, of what a run has written; the next undo or redo goes on.
        PixelsPendingError
            It is done, but its pixels are not all written.
        """
        request = answer.request
        done = self._done_of(request)
        if done is None:
            return False
        plane, edits = self.plane, list[Edit]()
        late: SamError | None = None
        if done == 0 and request.step is not None:
            try:
                self._walk(request.step, edits.append, before)
            except PixelsPendingError as error:
                edits.append(error.edit)
                late = error
            except SamError as error:
                if not edits:
                    raise
                late = error
            self._candidates, done = None, 1
        for draft in request.drafts[done:]:
            self._history.change_draft(draft)
            self._candidates = None
        self._candidates = answer.candidates
        if plane != self.plane:
            self.plane_changed.emit(self.plane)
        self._announce(edits)
        if late is not None:
            raise late
        return True

    def add(self, prompt: Prompt, watch: ProgressCallback | None = None) -> Candidates:
        """Refine the candidate with one more prompt.

        Raises
        ------
        PromptError
            The prompt does not fit the image; nothing has changed.
        ImageReadError
            The pixels there cannot be read; nothing has changed.
        """
        self.apply(self.compute(self.request_prompt(prompt), watch))
        return self.candidates

    def remove(self, index: int, watch: ProgressCallback | None = None) -> Candidates:
        """Take one of the prompts away, counted in order from 0."""
        self.apply(self.compute(self.request_removal(index), watch))
        return self.candidates

    def choose(self, index: int, watch: ProgressCallback | None = None) -> Candidate:
        """Take another of the candidates; it is looked at to its end.

        Raises
        ------
        SessionError
            There is no such candidate.
        """
        request = self.request_choice(index)
        if request.draft is not request.base:
            self.apply(self.compute(request, watch))
        return self.candidates[index]

    def undo(self, watch: ProgressCallback | None = None) -> None:
        """Take back the last step: a prompt, a choice, a change of the labels."""
        self._take(self.request_undo(), watch)

    def redo(self, watch: ProgressCallback | None = None) -> None:
        """Do again what was undone last."""
        self._take(self.request_redo(), watch)

    def discard(self) -> None:
        """Drop the prompts and the candidate."""
        if self.prompts:
            request = self._request(PromptState(self.plane))
            self.apply(Answer(request, ()))

    def _request(self, draft: PromptState, after: Request | None = None) -> Request:
        if after is not None:
            return after.then(draft)
        return Request(self._history.draft, (draft,), self._candidates)

    def _take(self, request: Request, watch: ProgressCallback | None) -> None:
        """Walk through the past, even where what was there cannot be shown now."""
        try:
            answer = self.compute(request, watch)
        except Cancelled:
            raise
        except (SamError, OSError, RuntimeError):
            self.apply(Answer(request))
            raise
        self.apply(answer)

    def _done_of(self, request: Request) -> int | None:
        """How many of a request's steps are taken; None if others were."""
        current = self._history.draft
        if current is request.base and request.step is not None:
            upcoming = {self._history.last, self._history.next}
            return 0 if request.step in upcoming else None
        for count, draft in reversed(list(enumerate(request.drafts, 1))):
            if draft is current:
                return count
        return 0 if current is request.base else None

    def _walk(
        self, step: Step, done: Callable[[Edit], None], before: Callable[[], None]
    ) -> None:
        """Undo or redo a step, and those that belong with it."""
        history, is_undo = self._history, step is self._history.last
        while True:
            edit = history.undo() if is_undo else history.redo()
            if edit is not None:
                done(edit)
            if not step.belongs_with(history.last if is_undo else history.next):
                return
            before()

    def _chosen_of(self, candidates: Candidates) -> int:
        choices = self._history.draft.choices
        return min(choices[-1] if choices else 0, max(len(candidates) - 1, 0))

    def _announce(self, edits: Iterable[Edit] = ()) -> None:
        for edit in edits:
            self.labels_changed.emit(edit)
        self.prompts_changed.emit(self.prompts)
        known = self._candidates or ()
        self.candidates_changed.emit(known, self._chosen_of(known))
