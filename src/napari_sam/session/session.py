"""One image being labelled: prompts, candidates and labels, and no GUI.

    Session ---> CurrentObject   the object at hand: requests, answers, the way back
            |--> LabelEditor     what goes into the labels
            `--> History         what both did, kept beside the labels

A user interface holds a Session, calls its methods and redraws on its signals.
Anything a test cannot do without a window is a bug.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from os import PathLike
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from napari_sam.errors import Cancelled, SamError
from napari_sam.images import open_image
from napari_sam.labels import LabelOptions, LabelStore, ObjectSummary
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import Candidate, ImagePredictor, ProgressCallback
from napari_sam.prompts import Prompt
from napari_sam.session.history import History
from napari_sam.session.inputs import as_model, as_store
from napari_sam.session.label_editor import LabelEditor
from napari_sam.session.prompting import CurrentObject
from napari_sam.session.refinement import Answer, Candidates, Request
from napari_sam.session.signals import SessionSignals

P = ParamSpec("P")
R = TypeVar("R")


def of_current(
    method: Callable[Concatenate[CurrentObject, P], R],
) -> Callable[Concatenate[Session, P], R]:
    """The method of a session that its current object has."""

    @wraps(method)
    def delegate(session: Session, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(session._current, *args, **kwargs)

    return delegate


def of_editor(
    method: Callable[Concatenate[LabelEditor, P], R],
) -> Callable[Concatenate[Session, P], R]:
    """The method of a session that its label editor has."""

    @wraps(method)
    def delegate(session: Session, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(session._editor, *args, **kwargs)

    return delegate


class Session:
    """Prompts come in, candidates are shown, accepted ones become labels on disk.

    One thread, such as that of a window, does everything, except for `compute`,
    `compute_object` and `preview` of a request: these change nothing, and any thread
    may call them. Signals come in the thread that calls.

    Parameters
    ----------
    image
        What `open_image` takes.
    labels
        Where the label volume is or will be, or an open one. None: beside the image.
    model
        A registry name, a path to a checkpoint, or a model.
    predictor
        Answers the prompts; None: a new one for the model.
    options
        How to make the labels, if there are none.

    Attributes
    ----------
    image
        The open image.
    labels
        The open label volume.
    prompts_changed
        Emits the prompts, a tuple.
    candidates_changed
        Emits the candidates, a tuple, best first, and the index of the chosen one; none
        where they are not computed yet.
    labels_changed
        Emits the `Edit` that was done or taken back.
    plane_changed
        Emits the plane, a tuple.
    """

    def __init__(
        self,
        image: Any,
        labels: str | PathLike[str] | LabelStore | None = None,
        model: str | PathLike[str] | WindowModel = "default",
        *,
        predictor: ImagePredictor | None = None,
        options: LabelOptions | None = None,
    ) -> None:
        self.image = open_image(image)
        predictor = predictor or ImagePredictor(as_model(model), self.image)
        self.labels = as_store(labels, self.image, options)
        self._owns_labels = self.labels is not labels
        with ExitStack() as opened:
            if self._owns_labels:
                # Nobody else could give the lock back.
                opened.callback(self.labels.close)
            first = (0,) * len(self.image.stack_shape)
            self._history = History(self.labels, first)
            opened.pop_all()
        signals = SessionSignals()
        self.prompts_changed = signals.prompts_changed
        self.candidates_changed = signals.candidates_changed
        self.labels_changed = signals.labels_changed
        self.plane_changed = signals.plane_changed
        self._current = CurrentObject(self.image, predictor, self._history, signals)
        self._editor = LabelEditor(self.labels, self._current, signals)

    @property
    def predictor(self) -> ImagePredictor:
        """Answers the prompts; another one does from the next prompt on."""
        return self._current.predictor

    @predictor.setter
    def predictor(self, predictor: ImagePredictor) -> None:
        self._current.predictor = predictor

    set_plane = of_current(CurrentObject.set_plane)
    request_prompt = of_current(CurrentObject.request_prompt)
    request_removal = of_current(CurrentObject.request_removal)
    request_choice = of_current(CurrentObject.request_choice)
    request_undo = of_current(CurrentObject.request_undo)
    request_redo = of_current(CurrentObject.request_redo)
    request_candidates = of_current(CurrentObject.request_candidates)
    request_objects = of_current(CurrentObject.request_objects)
    compute = of_current(CurrentObject.compute)
    compute_object = of_current(CurrentObject.compute_object)
    preview = of_current(CurrentObject.preview)
    apply = of_current(CurrentObject.apply)
    discard = of_current(CurrentObject.discard)

    accept = of_editor(LabelEditor.accept)
    merge_into = of_editor(LabelEditor.merge_into)
    add_objects = of_editor(LabelEditor.add_objects)
    edit = of_editor(LabelEditor.edit)
    paint = of_editor(LabelEditor.paint)
    delete = of_editor(LabelEditor.delete)

    @property
    def plane(self) -> tuple[int, ...]:
        """Where prompts go: indices of the axes before y, x other than channels."""
        return self._current.state.plane

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts of the object at hand, in order."""
        return self._current.state.prompts

    @property
    def target(self) -> int | None:
        """The object that is being edited, None where the prompts are of a new one."""
        return self._current.state.target

    @property
    def is_answered(self) -> bool:
        """Whether `candidates` are there; else the model has to compute them."""
        return self._current.is_answered

    @property
    def candidates(self) -> Candidates:
        """What the prompts lead to, best first; computed when they are first read."""
        return self._current.candidates

    @property
    def chosen(self) -> int:
        """Index of the candidate that `accept` takes."""
        return self._current.chosen

    @property
    def candidate(self) -> Candidate | None:
        """The chosen candidate, or None when there is none."""
        return self._current.candidate

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return self._history.can_redo

    @property
    def objects(self) -> tuple[ObjectSummary, ...]:
        """The objects that are in the labels, by id: where, how large, which score.

        How each came about is in `labels.records()`, which reads the journal.
        """
        return tuple(self.labels.objects())

    def add(self, prompt: Prompt, watch: ProgressCallback | None = None) -> Candidates:
        """Refine the candidate with one more prompt.

        Parameters
        ----------
        prompt, watch
            As for `request_prompt` and `compute`.

        Returns
        -------
        tuple of Candidate
            What the prompts lead to, best first.

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
        """Take another of the candidates; its outline is followed to its end.

        Raises
        ------
        SessionError
            There is no such candidate.
        """
        request = self.request_choice(index)
        if request.state is not request.base:
            self.apply(self.compute(request, watch))
        return self.candidates[index]

    def undo(self, watch: ProgressCallback | None = None) -> None:
        """Take back the last step: a prompt, a choice, a change of the labels."""
        self._take(self.request_undo(), watch)

    def redo(self, watch: ProgressCallback | None = None) -> None:
        """Do again what was undone last."""
        self._take(self.request_redo(), watch)

    def close(self) -> None:
        """Flush the labels and, if the session opened them, let others write them."""
        if self._owns_labels:
            self.labels.close()
        else:
            self.labels.checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, request: Request, watch: ProgressCallback | None) -> None:
        """Take a step of the past, even where what was there cannot be shown now."""
        try:
            answer = self.compute(request, watch)
        except Cancelled:
            raise
        except (SamError, OSError, RuntimeError):
            self.apply(Answer(request))
            raise
        self.apply(answer)
