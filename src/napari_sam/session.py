"""One image being labelled. Knows prompts, candidates and labels; knows no GUI.

The napari dock and the Jupyter widget each hold a Session, call its methods and
redraw on its signals. Anything a test cannot do without a window is a bug.

The answer to several prompts comes about as the user saw it: each prompt refines the
candidate that was chosen before it. So the same prompts in the same order give the
same candidate after an undo, or on another day.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from psygnal import Signal

from napari_sam.errors import LabelError, SessionError
from napari_sam.geometry import Box
from napari_sam.history import Draft, History
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.candidates import Candidate
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompt_files import prompts_to_json
from napari_sam.prompts import Click, Prompt, check_inside
from napari_sam.tiling.images import Image, open_image
from napari_sam.tiling.labels import (
    Edit,
    LabelGeometry,
    LabelOptions,
    LabelStore,
    OverlapRule,
    PixelsPendingError,
    default_labels_path,
)

Candidates = tuple[Candidate, ...]


class Session:
    """Prompts come in, candidates are shown, accepted ones become labels on disk.

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
    prompts_changed
        Emits the prompts, a tuple.
    candidates_changed
        Emits the candidates, a tuple, best first, and the index of the chosen one.
    labels_changed
        Emits the `Edit` that was done or taken back.
    plane_changed
        Emits the plane, a tuple.
    """

    prompts_changed = Signal(tuple)
    candidates_changed = Signal(tuple, int)
    labels_changed = Signal(Edit)
    plane_changed = Signal(tuple)

    def __init__(
        self,
        image: Any,
        labels: str | PathLike[str] | LabelStore | None = None,
        model: str | PathLike[str] | WindowModel = "default",
        *,
        predictor: ImagePredictor | None = None,
        options: LabelOptions | None = None,
    ) -> None:
        self.image: Image = open_image(image)
        self.predictor = predictor or ImagePredictor(_as_model(model), self.image)
        self.labels = _as_store(labels, self.image, options)
        self._owns_labels = self.labels is not labels
        with ExitStack() as opened:
            if self._owns_labels:
                # Nobody else could give the lock back.
                opened.callback(self.labels.close)
            self._history = History(self.labels, (0,) * len(self.image.stack_shape))
            opened.pop_all()
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
    def candidates(self) -> Candidates:
        """Answers to the prompts, best first; computed when first asked for."""
        if self._candidates is None:
            self._candidates = self._answer(self._history.draft)
        return self._candidates

    @property
    def chosen(self) -> int:
        """Index of the candidate that `accept` takes."""
        draft = self._history.draft
        choice = draft.choices[-1] if draft.choices else 0
        return min(choice, max(len(self.candidates) - 1, 0))

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

    def add(self, prompt: Prompt) -> Candidates:
        """Refine the candidate with one more prompt.

        Raises
        ------
        PromptError
            The prompt does not fit the image; nothing has changed.
        ImageReadError
            The pixels there cannot be read; nothing has changed.
        """
        check_inside([prompt], Box.of_shape(self.image.shape))
        draft = self._history.draft.with_prompt(prompt)
        self._change(draft, self._refine(draft, self.candidate))
        return self.candidates

    def remove(self, index: int) -> Candidates:
        """Take one of the prompts away, counted in order from 0."""
        if not 0 <= index < len(self.prompts):
            raise SessionError(
                f"There are prompts 0 to {len(self.prompts) - 1}, got {index}."
                if self.prompts
                else "There is no prompt to remove."
            )
        draft = self._history.draft.without(index)
        self._change(draft, self._answer(draft))
        return self.candidates

    def choose(self, index: int) -> Candidate:
        """Take another of the candidates; it is looked at to its end.

        Raises
        ------
        SessionError
            There is no such candidate.
        """
        if not 0 <= index < len(self.candidates):
            raise SessionError(
                f"There are {len(self.candidates)} candidates to choose from, counted "
                f"from 0; got {index}."
            )
        if index != self.chosen:
            candidates = self._completed(self.candidates, index, self.prompts)
            self._change(self._history.draft.with_choice(index), candidates)
        return self.candidates[index]

    def accept(
        self, label_id: int | None = None, rule: OverlapRule = OverlapRule.KEEP
    ) -> int:
        """Write the chosen candidate into the labels, and return its id.

        Parameters
        ----------
        label_id
            The id to get; None for the next free one.
        rule
            Who gets pixels that an older object has.

        Raises
        ------
        SessionError
            There is no candidate.
        LabelError, LabelWriteError
            It cannot be written; the candidate is still there.
        PixelsPendingError
            It is accepted, but its pixels are not all written.
        """
        candidate = self.candidate
        if candidate is None:
            raise SessionError("Nothing to accept: add a click or a box first.")
        try:
            edit = self.labels.add(
                candidate.mask,
                candidate.box,
                candidate.plane,
                rule=rule,
                record=self._record(candidate),
                label_id=label_id,
            )
        except PixelsPendingError as error:
            self._accepted(error.edit)
            raise
        self._accepted(edit)
        return edit.label_id

    def discard(self) -> None:
        """Drop the prompts and the candidate."""
        if self.prompts:
            self._change(Draft(self.plane))

    def delete(self, label_id: int) -> None:
        """Turn an accepted object into background."""
        try:
            edit = self.labels.erase(label_id)
        except PixelsPendingError as error:
            self._deleted(error.edit)
            raise
        self._deleted(edit)

    def undo(self) -> None:
        """Take back the last step: a prompt, a choice, an object written or deleted."""
        if not self._history.can_undo:
            raise SessionError("There is nothing to undo.")
        self._walk(self._history.undo)

    def redo(self) -> None:
        """Do again what was undone last."""
        if not self._history.can_redo:
            raise SessionError("There is nothing to redo.")
        self._walk(self._history.redo)

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

    def _change(self, draft: Draft, candidates: Candidates = ()) -> None:
        self._history.change_draft(draft)
        self._candidates = candidates
        self._announce()

    def _accepted(self, edit: Edit) -> None:
        self._history.changed_labels(edit)
        self._candidates = ()
        self._announce(edit)

    def _deleted(self, edit: Edit) -> None:
        self._history.changed_labels(edit)
        self.labels_changed.emit(edit)

    def _walk(self, step: Callable[[], Edit | None]) -> None:
        plane = self.plane
        try:
            edit = step()
        except PixelsPendingError as error:
            self._walked(plane, error.edit)
            raise
        self._walked(plane, edit)

    def _walked(self, plane: tuple[int, ...], edit: Edit | None) -> None:
        self._candidates = None
        if plane != self.plane:
            self.plane_changed.emit(self.plane)
        self._announce(edit)

    def _announce(self, edit: Edit | None = None) -> None:
        if edit is not None:
            self.labels_changed.emit(edit)
        self.prompts_changed.emit(self.prompts)
        self.candidates_changed.emit(self.candidates, self.chosen)

    def _answer(self, draft: Draft) -> Candidates:
        """The candidates that a draft leads to, prompt by prompt."""
        candidates: Candidates = ()
        for count in range(1, len(draft.prompts) + 1):
            part = Draft(draft.plane, draft.prompts[:count], draft.choices[:count])
            before = part.choices[-2] if count > 1 else 0
            previous = (
                candidates[min(before, len(candidates) - 1)] if candidates else None
            )
            candidates = self._refine(part, previous)
            if candidates:
                choice = min(part.choices[-1], len(candidates) - 1)
                candidates = self._completed(candidates, choice, part.prompts)
        return candidates

    def _refine(self, draft: Draft, previous: Candidate | None) -> Candidates:
        if not any(not isinstance(p, Click) or p.positive for p in draft.prompts):
            # A lone negative click is a beginning, not a mistake.
            return ()
        return self.predictor.predict(draft.prompts, draft.plane, previous=previous)

    def _completed(
        self, candidates: Candidates, index: int, prompts: tuple[Prompt, ...]
    ) -> Candidates:
        if index == 0 or candidates[index].complete:
            # The first one has been followed as far as it may be.
            return candidates
        whole = self.predictor.complete(candidates[index], prompts)
        return (*candidates[:index], whole, *candidates[index + 1 :])

    def _record(self, candidate: Candidate) -> dict[str, Any]:
        """What the journal keeps of an accepted object besides its pixels."""
        return {
            "prompts": prompts_to_json(self.prompts),
            "model": self.predictor.model.fingerprint,
            "score": candidate.score,
            "level": candidate.level,
            "candidate": self.chosen,
        }


def _as_model(model: str | PathLike[str] | WindowModel) -> WindowModel:
    if not isinstance(model, str | PathLike):
        return model
    # Loading torch takes seconds; a session with a model of its own can do without.
    from napari_sam.model.checkpoints import load_model  # noqa: PLC0415

    return load_model(str(model) if isinstance(model, str) else Path(model))


def _as_store(
    labels: str | PathLike[str] | LabelStore | None,
    image: Image,
    options: LabelOptions | None,
) -> LabelStore:
    if isinstance(labels, LabelStore):
        needed = LabelGeometry.of(image).volume_shape
        if labels.geometry.volume_shape != needed:
            raise LabelError(
                f"Labels of this image need shape {needed}, {labels.path} has "
                f"{labels.geometry.volume_shape}. Are they another image's?"
            )
        return labels
    if labels is None:
        if image.source is None:
            raise SessionError(
                "An image in memory has no place beside which labels could go: give "
                'one, as in Session(image, labels="labels.ome.zarr").'
            )
        labels = default_labels_path(image.source)
    return LabelStore.open(labels, LabelGeometry.of(image), options=options)
