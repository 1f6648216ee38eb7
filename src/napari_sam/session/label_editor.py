"""What a session does to the labels: accepts, edits, paints, deletes, adds many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import LabelError, NothingToWriteError, SessionError
from napari_sam.geometry import Box
from napari_sam.labels import Edit, LabelStore, OverlapRule, PixelsPendingError
from napari_sam.predictor import Candidate, ProgressCallback
from napari_sam.prompt_files import ObjectPrompts
from napari_sam.prompts import Prompt, has_positive
from napari_sam.session.history import PromptState
from napari_sam.session.objects import (
    FreeIds,
    ObjectAnswer,
    ObjectOutcome,
    ids_named_by,
    iter_answers,
    mask_prompt,
    object_record,
)
from napari_sam.session.prompting import CurrentObject
from napari_sam.session.signals import SessionSignals


class LabelEditor:
    """The part of a session that writes into the labels.

    Its methods are the session's own, and documented for those who use a session.
    """

    def __init__(
        self, labels: LabelStore, current: CurrentObject, signals: SessionSignals
    ) -> None:
        self._labels = labels
        self._current = current
        self._signals = signals

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

        Returns
        -------
        int
            The id.

        Raises
        ------
        SessionError
            There is no candidate, or another object is being edited.
        LabelError, LabelWriteError
            It cannot be written; the candidate is still there.
        PixelsPendingError
            It is accepted, but its pixels are not all written.
        """
        candidate, state = self._current.candidate, self._current.state
        if candidate is None:
            raise SessionError(
                "No object found there. Click on it, or draw a box."
                if has_positive(state.prompts)
                else "Nothing to accept: add a click or a box first."
            )
        if state.target is not None and label_id not in {None, state.target}:
            raise SessionError(
                f"These prompts change object {state.target}, got label_id={label_id}. "
                "Leave it out, or discard them and point at the object anew."
            )
        record = self._record(candidate, state.prompts, self._current.chosen)
        wanted = label_id if state.target is None else state.target
        return self._write(candidate, wanted, rule, record)

    def merge_into(self, label_id: int) -> int:
        """Accept the candidate as one more part of an object that is there.

        It gets the pixels that no object has. Errors are those of `accept`.
        """
        if self._labels.area(label_id) == 0:
            raise SessionError(
                f"There is no object {label_id} to add the mask to. Accept it "
                "as an object of its own, or choose one of `objects`."
            )
        return self.accept(label_id)

    def edit(self, label_id: int, box: Box | None = None) -> Candidate:
        """Begin to change an object: its mask in this plane becomes the first prompt.

        Until there are more prompts, the candidate is the object as it is; the model
        computes from the next prompt on. `accept` then writes under the same id.

        Parameters
        ----------
        label_id
            The object.
        box
            Where it is; needed for objects from before the journal was begun.

        Returns
        -------
        Candidate
            The object as it is.

        Raises
        ------
        SessionError
            It has no pixels there.
        """
        current, plane = self._current, self._current.state.plane
        prompt = mask_prompt(self._labels, label_id, plane, box)
        request = current.request_state(PromptState(plane, (prompt,), (0,), label_id))
        current.apply(current.compute(request))
        return current.candidates[0]

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
            The box as it is to be: ids, new or not, several or one; 0 erases.
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
        Edit or None
            None where the box is so already.
        """
        where = self._current.state.plane if plane is None else plane
        try:
            return self._change(
                lambda: self._labels.paint(
                    labels_hw, box, where, scores=scores, part_of=part_of
                )
            )
        except NothingToWriteError:
            return None

    def delete(self, label_id: int) -> None:
        """Turn an accepted object into background."""
        self._change(lambda: self._labels.erase(label_id))

    def add_objects(
        self,
        objects: Sequence[ObjectAnswer | ObjectPrompts | Sequence[Prompt]],
        rule: OverlapRule = OverlapRule.KEEP,
        *,
        watch: ProgressCallback | None = None,
        on_outcome: Callable[[ObjectOutcome], None] | None = None,
        keep_going: bool = False,
    ) -> tuple[ObjectOutcome, ...]:
        """Write many objects, such as one for each of many boxes or of a prompts file.

        All are found before the first is written, so that an error or `Cancelled` on
        the way changes nothing. Each is a step of its own for `undo`, so that a bad one
        among them can be taken back or edited without the others. Prompts that were
        not accepted stay in the past.

        An application whose window must not wait does this in three parts:

            requests = session.request_objects(objects)              its own thread
            answers = [session.compute_object(r) for r in requests]  a worker
            outcomes = session.add_objects(answers)                  its own thread

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
        on_outcome
            Called with each outcome as soon as its object is written or has failed.
        keep_going
            Write each object as soon as it is found, and go on where one cannot be
            found. The candidates of only one object are in memory at any moment, and
            an interruption keeps what was written.

        Returns
        -------
        tuple of ObjectOutcome
            One for each object, in order: its id, or the error that says why it is not
            in the labels. That the model sees no object (`PredictorError`) and that the
            rule leaves nothing of it (`NothingToWriteError`) end nothing.

        Raises
        ------
        PromptError
            A prompt does not fit the image; the message says which object's.
        ImageReadError, LabelError
            Pixels cannot be read, or an id cannot be; only without `keep_going`.
        LabelWriteError
            One cannot be written. Those before it are.
        PixelsPendingError
            One is accepted, but its pixels are not all written.
        """
        current = self._current
        items = current.check_objects(objects)
        answers = iter_answers(current.predictor, items, watch, keep_going=keep_going)
        ids = FreeIds(self._labels.next_id, ids_named_by(items))
        outcomes = []
        for index, answer in enumerate(answers if keep_going else tuple(answers)):
            try:
                outcome = self._add_object(index, answer, rule, ids)
            except LabelError as error:
                if not keep_going:
                    raise
                outcome = ObjectOutcome(index, answer.item, error)
            outcomes.append(outcome)
            if on_outcome is not None:
                on_outcome(outcome)
        return tuple(outcomes)

    def _write(
        self,
        candidate: Candidate,
        label_id: int | None,
        rule: OverlapRule,
        record: dict[str, Any],
    ) -> int:
        mask, box, plane = candidate.mask, candidate.box, candidate.plane
        target = self._current.state.target
        try:
            if target is None:
                edit = self._labels.add(
                    mask, box, plane, rule=rule, record=record, label_id=label_id
                )
            else:
                edit = self._labels.replace(target, mask, box, plane, record=record)
        except PixelsPendingError as error:
            self._current.accepted(error.edit)
            raise
        self._current.accepted(edit)
        return edit.label_id

    def _add_object(
        self, index: int, answer: ObjectAnswer, rule: OverlapRule, ids: FreeIds
    ) -> ObjectOutcome:
        item, candidate = answer.item, answer.candidate
        if candidate is None:
            return ObjectOutcome(index, item, answer.error)
        self._current.discard()
        wanted = ids.choose(item.label_id, rule)
        record = self._record(candidate, item.prompts, chosen=0)
        try:
            label_id = self._write(candidate, wanted, rule, record)
        except NothingToWriteError as error:
            return ObjectOutcome(index, item, error)
        ids.written(label_id)
        return ObjectOutcome.of_written(index, item, label_id, candidate)

    def _record(
        self, candidate: Candidate, prompts: Sequence[Prompt], chosen: int
    ) -> dict[str, Any]:
        fingerprint = self._current.predictor.model.fingerprint
        return object_record(candidate, prompts, fingerprint, chosen)

    def _change(self, change: Callable[[], Edit]) -> Edit:
        """Change labels that are no candidate's, and remember it."""
        try:
            edit = change()
        except PixelsPendingError as error:
            self._changed(error.edit)
            raise
        self._changed(edit)
        return edit

    def _changed(self, edit: Edit) -> None:
        self._current.history.changed_labels(edit)
        self._signals.labels_changed.emit(edit)
