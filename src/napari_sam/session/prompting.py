"""The object that a user points at: prompts, candidates, and the way back.

Every step is taken in three parts. An application may do each where it belongs, so that
its window never waits for the model:

    request = session.request_prompt(click)     the window's thread: at once
    answer = session.compute(request, watch)    a worker: reads, encodes, predicts
    session.apply(answer)                       the window's thread: at once
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from napari_sam.errors import SessionError
from napari_sam.geometry import Box, is_index
from napari_sam.images import Image
from napari_sam.labels import Edit
from napari_sam.predictor import Candidate, ImagePredictor, ProgressCallback
from napari_sam.prompt_files import ObjectPrompts
from napari_sam.prompts import Prompt, check_inside
from napari_sam.session.history import History, PromptState, TakenSteps
from napari_sam.session.objects import (
    ObjectAnswer,
    as_sequence,
    check_object,
    compute_object,
)
from napari_sam.session.refinement import Answer, Candidates, Request, compute, preview
from napari_sam.session.signals import SessionSignals


class CurrentObject:
    """The part of a session that is about the object that is not accepted yet.

    Its methods are the session's own, and documented for those who use a session.
    """

    def __init__(
        self,
        image: Image,
        predictor: ImagePredictor,
        history: History,
        signals: SessionSignals,
    ) -> None:
        self.image = image
        self.predictor = predictor
        self.history = history
        self._signals = signals
        self._candidates: Candidates | None = None

    @property
    def state(self) -> PromptState:
        """The prompts at hand, where they are and what is chosen."""
        return self.history.state

    @property
    def is_answered(self) -> bool:
        """Whether the candidates are there, or have to be computed."""
        return self._candidates is not None

    @property
    def candidates(self) -> Candidates:
        """The candidates, computed here where they are not there."""
        if self._candidates is None:
            answer = self.compute(self.request_candidates())
            self._candidates = answer.candidates or ()
        return self._candidates

    @property
    def chosen(self) -> int:
        """Index of the chosen candidate."""
        return self._chosen_of(self.candidates)

    @property
    def candidate(self) -> Candidate | None:
        """The chosen candidate, or None when there is none."""
        return self.candidates[self.chosen] if self.candidates else None

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
        if wanted == self.state.plane:
            return
        had_prompts = bool(self.state.prompts)
        self.history.move(wanted)
        self._candidates = ()
        self._signals.plane_changed.emit(self.state.plane)
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

        Returns
        -------
        Request
            For `compute`.

        Raises
        ------
        PromptError
            The prompt does not fit the image.
        """
        check_inside([prompt], Box.of_shape(self.image.shape))
        state = self.state if after is None else after.state
        return self.request_state(state.with_prompt(prompt), after)

    def request_removal(self, index: int, after: Request | None = None) -> Request:
        """One prompt less, counted in order from 0."""
        state = self.state if after is None else after.state
        count = len(state.prompts)
        if not is_index(index, count):
            raise SessionError(
                f"There are prompts 0 to {count - 1}, got {index!r}."
                if count
                else "There is no prompt to remove."
            )
        return self.request_state(state.without(index), after)

    def request_choice(self, index: int) -> Request:
        """Another of the candidates; its answer follows the outline to its end."""
        count = len(self.candidates)
        if not is_index(index, count):
            raise SessionError(
                f"There are {count} masks to choose from, counted from 0; got "
                f"{index!r}."
            )
        is_other = index != self.chosen
        state = self.state
        return self.request_state(state.with_choice(index) if is_other else state)

    def request_undo(self) -> Request:
        """The last step back: a prompt, a choice, a change of the labels, a run."""
        step = self.history.last
        if step is None:
            raise SessionError("There is nothing to undo.")
        return Request(self.state, (step.before,), self._candidates, step)

    def request_redo(self) -> Request:
        """What was undone last once more."""
        step = self.history.next
        if step is None:
            raise SessionError("There is nothing to redo.")
        return Request(self.state, (step.after,), self._candidates, step)

    def request_candidates(self) -> Request:
        """Nothing new; for candidates that are not computed, as after reopening."""
        return self.request_state(self.state)

    def request_state(
        self, state: PromptState, after: Request | None = None
    ) -> Request:
        """Other prompts altogether."""
        if after is not None:
            return after.then(state)
        return Request(self.state, (state,), self._candidates)

    def compute(
        self, request: Request, watch: ProgressCallback | None = None
    ) -> Answer:
        """Find a request's candidates; changes nothing, from whatever thread.

        Parameters
        ----------
        request
            Of one of the methods `request_...`.
        watch
            Called in this thread before each window is read, with a `WindowProgress`;
            may raise `Cancelled`, which comes out here. What was encoded by then is
            kept: the same request goes on from there.

        Returns
        -------
        Answer
            For `apply`.

        Raises
        ------
        ImageReadError
            The pixels there cannot be read.
        """
        return compute(self.predictor, request, watch)

    def request_objects(
        self, objects: Sequence[ObjectPrompts | Sequence[Prompt]]
    ) -> tuple[ObjectPrompts, ...]:
        """Objects of their own, whatever the prompts at hand are; for `compute_object`.

        Parameters
        ----------
        objects
            The prompts of each, in pixels of level 0. Without a plane they are in that
            of the session.

        Returns
        -------
        tuple of ObjectPrompts
            The same, each with its plane.

        Raises
        ------
        PromptError
            One of them is not in the image; the message says which.
        """
        return tuple(
            check_object(index, item, self.image, self.state.plane)
            for index, item in enumerate(as_sequence(objects))
        )

    def compute_object(
        self, item: ObjectPrompts, watch: ProgressCallback | None = None
    ) -> ObjectAnswer:
        """Find one of many objects; changes nothing, from whatever thread.

        Parameters
        ----------
        item
            As `request_objects` gave it.
        watch
            As for `compute`.

        Returns
        -------
        ObjectAnswer
            Its candidate, or the error that says that the model sees none.

        Raises
        ------
        ImageReadError
            The pixels there cannot be read.
        """
        return compute_object(self.predictor, item, watch)

    def preview(self, prompt: Prompt | Request) -> Candidate | None:
        """What a prompt would give, if that takes no read and no encode; else None.

        For a hovering mouse. Changes nothing; given a request for the prompt instead of
        the prompt, it may be called from any thread.
        """
        if isinstance(prompt, Request):
            return preview(self.predictor, prompt)
        return preview(self.predictor, self.request_prompt(prompt))

    def apply(
        self, answer: Answer, before_edit: Callable[[], None] | None = None
    ) -> bool:
        """Take the step that was requested, and show what it leads to.

        Parameters
        ----------
        answer
            Of `compute`, or one without candidates, which are then computed when
            somebody reads them.
        before_edit
            Called before each further edit of all those that an undo or redo of a run
            goes through; may raise `Cancelled`, which comes out here. What was gone
            through by then is shown, and the next undo or redo goes on from there.

        Returns
        -------
        bool
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
        request, plane = answer.request, self.state.plane
        done = self._done_of(request)
        if done is None:
            return False
        taken = TakenSteps()
        if done == 0 and request.step is not None:
            taken = self.history.take(request.step, before_edit)
            self._candidates, done = None, 1
        for state in request.states[done:]:
            self.history.change_state(state)
            self._candidates = None
        self._candidates = answer.candidates
        if plane != self.state.plane:
            self._signals.plane_changed.emit(self.state.plane)
        self._announce(taken.edits)
        if taken.error is not None:
            raise taken.error
        return True

    def discard(self) -> None:
        """Drop the prompts and the candidate."""
        if self.state.prompts:
            request = self.request_state(PromptState(self.state.plane))
            self.apply(Answer(request, ()))

    def check_objects(
        self, objects: Sequence[ObjectAnswer | ObjectPrompts | Sequence[Prompt]]
    ) -> list[ObjectAnswer | ObjectPrompts]:
        """As `request_objects`, of objects some of which are computed already."""
        return [
            item
            if isinstance(item, ObjectAnswer)
            else check_object(index, item, self.image, self.state.plane)
            for index, item in enumerate(as_sequence(objects))
        ]

    def accepted(self, edit: Edit) -> None:
        """The candidate, or an object of its own, has become this edit."""
        self.history.changed_labels(edit)
        self._candidates = ()
        self._announce([edit])

    def _done_of(self, request: Request) -> int | None:
        """How many of a request's steps are taken; None if others were."""
        if self.state is request.base and request.step is not None:
            upcoming = {self.history.last, self.history.next}
            return 0 if request.step in upcoming else None
        for count, state in reversed(list(enumerate(request.states, 1))):
            if state is self.state:
                return count
        return 0 if self.state is request.base else None

    def _chosen_of(self, candidates: Candidates) -> int:
        choices = self.state.choices
        return min(choices[-1] if choices else 0, max(len(candidates) - 1, 0))

    def _announce(self, edits: Iterable[Edit] = ()) -> None:
        for edit in edits:
            self._signals.labels_changed.emit(edit)
        self._signals.prompts_changed.emit(self.state.prompts)
        known = self._candidates or ()
        self._signals.candidates_changed.emit(known, self._chosen_of(known))
