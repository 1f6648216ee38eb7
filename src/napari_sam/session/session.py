"""One image being labelled. Knows prompts, candidates and labels; knows no GUI.

The napari dock and the Jupyter widget each hold a Session, call its methods and
redraw on its signals. Anything a test cannot do without a window is a bug.

`drafting` has the half that is about prompts and candidates, this module what goes
into the labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import NothingToWriteError, SessionError
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.labels import (
    Edit,
    LabelOptions,
    LabelStore,
    ObjectSummary,
    OverlapRule,
    PixelsPendingError,
)
from napari_sam.masks import bounding_box
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.candidates import Candidate
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.progress import ProgressCallback
from napari_sam.prompt_files import prompts_to_json
from napari_sam.prompts import MaskPrompt, Prompt, check_inside
from napari_sam.session.history import History, PromptState
from napari_sam.session.inputs import as_model, as_store
from napari_sam.session.prompting import PromptingSession
from napari_sam.session.refinement import Answer, Request


class Session(PromptingSession):
    """Prompts come in, candidates are shown, accepted ones become labels on disk.

    One thread, such as that of a window, does everything, except for `compute` and for
    `preview` of a request: these change nothing, and any thread may call them. Signals
    come in the thread that calls.

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
        opened_image = open_image(image)
        predictor = predictor or ImagePredictor(as_model(model), opened_image)
        self.labels = as_store(labels, opened_image, options)
        self._owns_labels = self.labels is not labels
        with ExitStack() as opened:
            if self._owns_labels:
                # Nobody else could give the lock back.
                opened.callback(self.labels.close)
            first = (0,) * len(opened_image.stack_shape)
            history = History(self.labels, first)
            opened.pop_all()
        super().__init__(opened_image, predictor, history)

    def records(self) -> tuple[ObjectSummary, ...]:
        """The objects that are in the labels, by id: where, how large, which score.

        How each came about is in `labels.records()`, which reads the journal.
        """
        return tuple(self.labels.objects())

    def accept(
        self, label_id: int | None = None, rule: OverlapRule = OverlapRule.KEEP
    ) -> int:
        """Write the chosen candidate into the labels, and return its id.

        Of an object that is being edited, it replaces the pixels in this plane.

        Parameters
        ----------
        label_id
            The id to get; None for the next free one, or for the object that is edited.
        rule
            Who gets pixels that an older object has; not for an object that is edited,
            which gets them.

        Raises
        ------
        SessionError
            There is no candidate, or another object is being edited.
        LabelError, LabelWriteError
            It cannot be written; the candidate is still there.
        PixelsPendingError
            It is accepted, but its pixels are not all written.
        """
        candidate, draft = self.candidate, self._history.draft
        if candidate is None:
            raise SessionError("Nothing to accept: add a click or a box first.")
        if draft.target is not None and label_id not in {None, draft.target}:
            raise SessionError(
                f"These prompts change object {draft.target}, got label_id={label_id}. "
                "Leave it out, or discard them and point at the object anew."
            )
        record = self._record(candidate, draft, self.chosen)
        wanted = label_id if draft.target is None else draft.target
        return self._write(candidate, wanted, rule, record)

    def merge_into(self, label_id: int) -> int:
        """Accept the candidate as one more part of an object that is there.

        It gets the pixels that no object has. Errors are those of `accept`.
        """
        if self.labels.area(label_id) == 0:
            raise SessionError(
                f"There is no object {label_id} to add the candidate to. Accept it "
                "as an object of its own, or choose one of `records()`."
            )
        return self.accept(label_id)

    def edit(self, label_id: int, box: Box | None = None) -> Candidate:
        """Begin to change an object: its mask in this plane becomes the first prompt.

        Until more is said, the candidate is the object as it is; the model is asked
        from the next prompt on. `accept` then writes under the same id.

        Parameters
        ----------
        label_id
            The object.
        box
            Where it is; needed for objects from before the journal was begun.

        Raises
        ------
        SessionError
            It has no pixels there.
        """
        mask, where = self._pixels_of(label_id, box)
        prompt = MaskPrompt.from_mask(mask, where)
        request = self._request(PromptState(self.plane, (prompt,), (0,), label_id))
        self.apply(self.compute(request))
        return self.candidates[0]

    def paint(
        self,
        labels_hw: NDArray[np.integer],
        box: Box,
        plane: tuple[int, ...] | None = None,
        scores: Mapping[int, float] | None = None,
        part_of: str = "",
    ) -> Edit | None:
        """Write pixels that were painted by hand, or found; one step for `undo`.

        Parameters
        ----------
        labels_hw
            What the box is to look like: ids, new or not, several or one; 0 erases.
        box
            In pixels of level 0.
        plane
            Where; None for the session's.
        scores
            0..1, of ids that have one.
        part_of
            Steps of this name that follow each other are one step for `undo`.

        Returns
        -------
        None where the box looks like this already.
        """
        try:
            edit = self.labels.paint(
                labels_hw,
                box,
                self.plane if plane is None else plane,
                scores=scores,
                part_of=part_of,
            )
        except NothingToWriteError:
            return None
        except PixelsPendingError as error:
            self._changed(error.edit)
            raise
        self._changed(edit)
        return edit

    def delete(self, label_id: int) -> None:
        """Turn an accepted object into background."""
        try:
            edit = self.labels.erase(label_id)
        except PixelsPendingError as error:
            self._changed(error.edit)
            raise
        self._changed(edit)

    def request_object(self, prompts: Sequence[Prompt]) -> Request:
        """An object of its own, whatever is being pointed at; for `write_object`."""
        check_inside(prompts, Box.of_shape(self.image.shape))
        empty = PromptState(self.plane)
        draft = PromptState(self.plane, tuple(prompts), (0,) * len(prompts))
        return Request(empty, (draft,), ())

    def write_object(
        self, answer: Answer, rule: OverlapRule = OverlapRule.KEEP
    ) -> int | None:
        """Accept the best candidate for `request_object`, and return its id.

        Prompts that were not accepted stay in the past. None where the model sees no
        object, or nothing is left of it by the rule.
        """
        if not answer.candidates:
            return None
        self.discard()
        best, draft = answer.candidates[0], answer.request.draft
        try:
            return self._write(best, None, rule, self._record(best, draft, 0))
        except NothingToWriteError:
            return None

    def add_objects(
        self,
        objects: Sequence[Sequence[Prompt]],
        rule: OverlapRule = OverlapRule.KEEP,
        watch: ProgressCallback | None = None,
    ) -> tuple[int | None, ...]:
        """Write an object for each list of prompts, such as many boxes at once.

        All are found before the first is written: an error or `Cancelled` on the way
        changes nothing. Each is a step of its own for `undo`, so that a bad one among
        them can be taken back or edited without the others.

        Returns
        -------
        An id for each list, None where `write_object` says so.
        """
        if not isinstance(objects, Sequence):
            raise SessionError(
                f"Objects need to be a list, each a list of prompts, got {objects!r}."
            )
        requests = [self.request_object(prompts) for prompts in objects]
        answers = [self.compute(request, watch) for request in requests]
        return tuple(self.write_object(answer, rule) for answer in answers)

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

    def _write(
        self,
        candidate: Candidate,
        label_id: int | None,
        rule: OverlapRule,
        record: dict[str, Any],
    ) -> int:
        mask, box, plane = candidate.mask, candidate.box, candidate.plane
        target = self._history.draft.target
        try:
            if target is None:
                edit = self.labels.add(
                    mask, box, plane, rule=rule, record=record, label_id=label_id
                )
            else:
                edit = self.labels.replace(target, mask, box, plane, record=record)
        except PixelsPendingError as error:
            self._accepted(error.edit)
            raise
        self._accepted(edit)
        return edit.label_id

    def _accepted(self, edit: Edit) -> None:
        self._history.changed_labels(edit)
        self._candidates = ()
        self._announce([edit])

    def _changed(self, edit: Edit) -> None:
        self._history.changed_labels(edit)
        self.labels_changed.emit(edit)

    def _pixels_of(
        self, label_id: int, box: Box | None
    ) -> tuple[NDArray[np.bool_], Box]:
        """An object's mask in this plane, over the smallest box that holds it."""
        spots = [spot for _, spot in self.labels.spots(label_id, self.plane)]
        where = Box.around(spots) if box is None and spots else box
        if where is None:
            raise SessionError(
                f"The journal knows no pixels of object {label_id} in plane "
                f"{self.plane}. Go to a plane that it is in, or say where it is with "
                "box=Box(y0, x0, y1, x1) if it is older than the journal."
            )
        mask = self.labels.read(self.plane, where) == label_id
        inner = bounding_box(mask)
        if inner is None:
            raise SessionError(
                f"Object {label_id} has no pixels in {where} of plane {self.plane}."
            )
        return mask[inner.slices], inner.shift(where.y0, where.x0)

    def _record(
        self, candidate: Candidate, draft: PromptState, chosen: int
    ) -> dict[str, Any]:
        """What the journal keeps of an accepted object besides its pixels."""
        return {
            "prompts": prompts_to_json(draft.prompts),
            "model": self.predictor.model.fingerprint,
            "score": candidate.score,
            "level": candidate.level,
            "candidate": chosen,
        }
