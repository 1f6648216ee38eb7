"""One image being labelled. Knows prompts, candidates and labels; knows no GUI.

The napari dock and the Jupyter widget each hold a Session, call its methods and
redraw on its signals. Anything a test cannot do without a window is a bug.

`drafting` has the half that is about prompts and candidates, this module what goes
into the labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from os import PathLike
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import LabelError, NothingToWriteError, SessionError
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
from napari_sam.prompt_files import ObjectPrompts, prompts_to_json
from napari_sam.prompts import MaskPrompt, Prompt
from napari_sam.session.history import History, PromptState
from napari_sam.session.inputs import as_model, as_store
from napari_sam.session.objects import (
    FreeIds,
    ObjectAnswer,
    ObjectResult,
    as_sequence,
    check_object,
    compute_object,
    ids_named_by,
    iter_answers,
)
from napari_sam.session.prompting import PromptingSession


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

    @property
    def objects(self) -> tuple[ObjectSummary, ...]:
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
        record = self._record(candidate, draft.prompts, self.chosen)
        wanted = label_id if draft.target is None else draft.target
        return self._write(candidate, wanted, rule, record)

    def merge_into(self, label_id: int) -> int:
        """Accept the candidate as one more part of an object that is there.

        It gets the pixels that no object has. Errors are those of `accept`.
        """
        if self.labels.area(label_id) == 0:
            raise SessionError(
                f"There is no object {label_id} to add the candidate to. Accept it "
                "as an object of its own, or choose one of `objects`."
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
        The same, each with its plane.

        Raises
        ------
        PromptError
            One of them is not in the image; the message says which.
        """
        return tuple(
            check_object(index, item, self.image, self.plane)
            for index, item in enumerate(as_sequence(objects))
        )

    def compute_object(
        self, item: ObjectPrompts, watch: ProgressCallback | None = None
    ) -> ObjectAnswer:
        """Find one of the objects; changes nothing, from whatever thread.

        Parameters
        ----------
        item
            As `request_objects` gave it.
        watch
            As for `compute`.

        Returns
        -------
        Its candidate, or as its error that the model sees none.

        Raises
        ------
        ImageReadError
            The pixels there cannot be read.
        """
        return compute_object(self.predictor, item, watch)

    def add_objects(
        self,
        objects: Sequence[ObjectAnswer | ObjectPrompts | Sequence[Prompt]],
        rule: OverlapRule = OverlapRule.KEEP,
        *,
        watch: ProgressCallback | None = None,
        on_result: Callable[[ObjectResult], None] | None = None,
        keep_going: bool = False,
    ) -> tuple[ObjectResult, ...]:
        """Write many objects, such as one for each of many boxes or of a prompts file.

        All are found before the first is written, so that an error or `Cancelled` on
        the way changes nothing. Each is a step of its own for `undo`, so that a bad one
        among them can be taken back or edited without the others. Prompts that were
        not accepted stay in the past.

        An application whose window must not wait does this in three parts:

            requests = session.request_objects(objects)              its own thread
            answers = [session.compute_object(r) for r in requests]  a worker
            results = session.add_objects(answers)                   its own thread

        Parameters
        ----------
        objects
            For each its prompts, with a plane and an id if it has them, or the answer
            of `compute_object`, which is written as it is. An id that an object has
            already gets these pixels too. No object without an id gets one that
            another of them names.
        rule
            Who gets pixels that an older object has. The rule "merge" chooses the ids,
            so that no object may name one.
        watch
            As for `compute`, called for every object that is not computed yet.
        on_result
            Called with each result as soon as its object is written or has failed.
        keep_going
            Write each object as soon as it is found, and go on where one cannot be
            found. The candidates of only one object are in memory at any moment, and
            an interruption keeps what was written.

        Returns
        -------
        A result for each object, in order: its id, or the error that says why it is not
        in the labels. That the model sees no object (`PredictorError`), that the rule
        leaves nothing of it (`NothingToWriteError`) and an id that cannot be
        (`LabelError`) end nothing.

        Raises
        ------
        PromptError
            A prompt does not fit the image; the message says which object's.
        ImageReadError
            Pixels cannot be read; only without `keep_going`.
        LabelWriteError
            One cannot be written. Those before it are.
        PixelsPendingError
            One is accepted, but its pixels are not all written.
        """
        items = [
            item
            if isinstance(item, ObjectAnswer)
            else check_object(index, item, self.image, self.plane)
            for index, item in enumerate(as_sequence(objects))
        ]
        answers = iter_answers(self.predictor, items, watch, keep_going=keep_going)
        ids = FreeIds(self.labels.next_id, ids_named_by(items))
        results = []
        for index, answer in enumerate(answers if keep_going else tuple(answers)):
            results.append(self._add_object(index, answer, rule, ids))
            if on_result is not None:
                on_result(results[-1])
        return tuple(results)

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

    def _add_object(
        self, index: int, answer: ObjectAnswer, rule: OverlapRule, ids: FreeIds
    ) -> ObjectResult:
        item, candidate = answer.item, answer.candidate
        if candidate is None:
            return ObjectResult(index, item, answer.error)
        self.discard()
        wanted = ids.choose(item.label_id, rule)
        record = self._record(candidate, item.prompts, chosen=0)
        try:
            label_id = self._write(candidate, wanted, rule, record)
        except LabelError as error:
            return ObjectResult(index, item, error)
        ids.written(label_id)
        return ObjectResult.of_written(index, item, label_id, candidate)

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
        self, candidate: Candidate, prompts: Sequence[Prompt], chosen: int
    ) -> dict[str, Any]:
        """What the journal keeps of an accepted object besides its pixels."""
        return {
            "prompts": prompts_to_json(prompts),
            "model": self.predictor.model.fingerprint,
            "score": candidate.score,
            "level": candidate.level,
            "candidate": chosen,
        }
