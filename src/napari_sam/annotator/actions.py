"""What each command does to an open session, and what there is to see of it.

All of it runs on the session's thread. Clicks do not wait for the answers of clicks
before; what needs an answer, such as to accept it, waits for it and is done in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from napari_sam.annotator import commands
from napari_sam.annotator.automatic_run import AutomaticRun, request_of
from napari_sam.annotator.batch import Batch, save_prompts
from napari_sam.annotator.jobs import JobQueue
from napari_sam.annotator.pending_prompts import PendingPrompts
from napari_sam.annotator.prefetch import Prefetch
from napari_sam.annotator.preview import Preview
from napari_sam.annotator.session_thread import SessionThread
from napari_sam.annotator.state import AnnotatorState, Plane, Screen, unmet_prompts
from napari_sam.annotator.undo import UndoRun
from napari_sam.errors import SessionError
from napari_sam.labels import Edit, ObjectSummary
from napari_sam.predictor import (
    Candidate,
    EmbeddingCache,
    ImagePredictor,
    PredictorOptions,
)
from napari_sam.prompt_files import ObjectPrompts, read_prompts
from napari_sam.prompts import BoxPrompt, Prompt
from napari_sam.session import Session


class Actions:
    """Carries commands out on a session; `close` it before the session.

    Parameters
    ----------
    session
        That is open.
    cache
        Of the session's predictor.
    thread
        That all of it runs on.
    screen
        Where labels change, and tiles of a run are shown.
    prefetches
        Whether windows in view are encoded while nobody waits.

    Attributes
    ----------
    notice
        A sentence for the user.
    """

    def __init__(
        self,
        session: Session,
        cache: EmbeddingCache,
        thread: SessionThread,
        screen: Screen,
        *,
        prefetches: bool,
    ) -> None:
        self.notice = ""
        self._cache, self._thread, self._screen = cache, thread, screen
        self._prefetches = prefetches
        self._jobs = JobQueue(thread)
        self._boxes: tuple[BoxPrompt, ...] = ()
        self._boxes_plane: Plane = ()
        self._level: int | None = None
        self._collects_boxes = False
        self._candidate: Candidate | None = None  # on show
        self._undo_run: UndoRun | None = None
        self._is_given_up: Callable[[], bool] = lambda: False
        self._objects: tuple[ObjectSummary, ...] | None = None  # None: they are others
        self._labels_version = 0
        self._view: commands.MoveView | None = None
        self.plane: Plane = session.plane
        self._acts = self._acts_by_command()
        self._run = AutomaticRun(session, thread, screen)
        self._bind(session, has_previews=False)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way that the user waits for; a run is not."""
        return (
            self._pending.is_settled
            and not self._batch.is_writing
            and not self._jobs.is_busy_for_user
        )

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Those that are there; the session would compute what is not."""
        return self.session.candidates if self.session.is_answered else ()

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """In order, also those whose answer is on its way."""
        return self._pending.prompts

    def do(self, command: commands.Command, is_given_up: Callable[[], bool]) -> None:
        """Carry a command out, or as much of it as can be done now.

        Parameters
        ----------
        command
            What the user wants.
        is_given_up
            Whether the user has cancelled it since; only an undo is stopped by it.
        """
        self._is_given_up = is_given_up
        self._acts[type(command)](command)

    def describe(self) -> AnnotatorState:
        """What there is to see now."""
        session, pending = self.session, self._pending
        if session.is_answered and not pending.is_pending:
            self._candidate = session.candidate
        elif not pending.prompts:
            self._candidate = None
        if self._objects is None:
            self._objects = session.objects
        candidates = () if pending.is_pending else self.candidates
        chosen = session.chosen if candidates else 0
        prompts = pending.prompts
        return AnnotatorState(
            is_open=True,
            plane=self.plane,
            prompt_plane=self._boxes_plane if self._boxes else session.plane,
            prompts=prompts,
            unmet=unmet_prompts(prompts, candidates[chosen] if candidates else None),
            boxes=self._boxes,
            candidates=candidates,
            chosen=chosen,
            candidate=self._candidate,
            preview=self._preview.candidate,
            target=session.target,
            is_pending=pending.is_pending,
            is_saving=self._undo_run is not None,
            can_undo=session.can_undo or not pending.is_settled or bool(self._boxes),
            can_redo=session.can_redo,
            has_previews=self._preview.is_on,
            collects_boxes=self._collects_boxes,
            level=self._level,
            objects=self._objects,
            labels_version=self._labels_version,
            job=self._jobs.state,
            run=self._run.state,
            notice=self.notice,
        )

    def swap(self, session: Session) -> None:
        """Go on with a session of other channels, over the same labels."""
        self._jobs.cancel()
        self.session.labels_changed.disconnect(self._on_labels)
        self._bind(session, has_previews=self._preview.is_on)
        self._run.session = session

    def accept(self, label_id: int | None = None) -> int:
        """Write the candidate, as the next object or under an id, and return that."""
        if not self.candidates:
            raise SessionError(
                "There is nothing to accept yet: click on an object or drag a box "
                "around it first."
            )
        written = self.session.accept(label_id)
        self.notice = f"Object {written} is in the labels."
        return written

    def close(self) -> None:
        """Give up what is on its way; what was painted is written first."""
        self._pending.forget()
        self._run.close()
        self._jobs.close()
        self.session.labels_changed.disconnect(self._on_labels)

    def rest(self) -> None:
        """After each thing that was done: let a run go on."""
        self._run.rest(is_free=self.is_settled)

    def _bind(self, session: Session, *, has_previews: bool) -> None:
        self.session = session
        thread, jobs = self._thread, self._jobs
        self._pending = pending = PendingPrompts(session, jobs, thread.fail)
        self._preview = Preview(session, jobs, pending, is_on=has_previews)
        self._batch = Batch(session, jobs, thread)
        self._prefetch = Prefetch(session, jobs, self._cache)
        session.labels_changed.connect(self._on_labels)
        pending.catch_up()  # prompts may have been left the last time

    def _acts_by_command(self) -> dict[type, Callable[[Any], None]]:
        """Called with a command of the type."""
        return {
            commands.AddPrompts: self._add_prompts,
            commands.ReplacePrompts: self._replace_prompts,
            commands.CollectBox: self._collect_box,
            commands.SegmentBoxes: lambda _: self._segment_boxes(),
            commands.Choose: lambda c: self._soon(lambda: self._choose(c.index)),
            commands.ChooseNext: lambda c: self._soon(lambda: self._turn(c.step)),
            commands.Accept: lambda _: self._soon(self.accept),
            commands.MergeInto: lambda c: self._soon(lambda: self._merge(c.label_id)),
            commands.Discard: lambda _: self._discard(),
            commands.Undo: lambda _: self._undo(),
            commands.Redo: lambda _: self._redo(),
            commands.Cancel: lambda _: self._jobs.cancel(),
            commands.EditObject: lambda c: self._soon(lambda: self._edit(c.label_id)),
            commands.EditAt: self._edit_at,
            commands.Delete: lambda c: self._soon(lambda: self._delete(c.label_ids)),
            commands.Paint: self._paint,
            commands.GoTo: lambda c: self._go_to(c.plane),
            commands.MoveBy: self._move_by,
            commands.MoveMouse: lambda c: self._preview.at(c.plane, c.click),
            commands.MoveView: self._move_view,
            commands.SetPreviews: lambda c: self._preview.set_on(c.is_on),
            commands.SetBoxCollecting: self._set_box_collecting,
            commands.SetLevel: lambda c: self._set_level(c.level),
            commands.LoadPrompts: lambda c: self._segment(read_prompts(c.path)),
            commands.SavePrompts: self._save_prompts,
            commands.StartRun: self._start_run,
            commands.ContinueRun: lambda _: self._run.go_on(),
            commands.CancelRun: lambda _: self._run.cancel(),
        }

    def _soon(self, act: Callable[[], Any]) -> None:
        self._pending.soon(act)

    def _add_prompts(self, command: commands.AddPrompts) -> None:
        prompts, plane = command.prompts, command.plane
        if self._collects_boxes and len(prompts) == 1:
            (prompt,) = prompts
            if isinstance(prompt, BoxPrompt):
                self._collect_box(commands.CollectBox(prompt, plane))
                return

        def add() -> None:
            if plane != self.session.plane:
                self._pending.cancel()
                self.session.set_plane(plane)
            self.plane = self.session.plane
            self._pending.add(prompts)

        self._preview.clear()
        self.notice = ""
        # Clicks need not wait for the answers to those before, but for all else.
        if self._pending.has_waiting:
            self._soon(add)
        else:
            add()

    def _replace_prompts(self, command: commands.ReplacePrompts) -> None:
        self._pending.forget()
        self.session.discard()
        self.session.set_plane(self.plane)
        self._pending.add(command.prompts)

    def _collect_box(self, command: commands.CollectBox) -> None:
        if command.plane != self._boxes_plane:
            self._boxes = ()
        self.session.image.check_plane(command.plane)
        self._boxes = (*self._boxes, command.box)
        self._boxes_plane = command.plane

    def _segment_boxes(self) -> None:
        boxes, self._boxes = self._boxes, ()
        self._segment([ObjectPrompts((box,), self._boxes_plane) for box in boxes])

    def _segment(self, objects: Sequence[ObjectPrompts]) -> None:
        self._soon(lambda: self._batch.add(objects))

    def _choose(self, index: int) -> None:
        if index < len(self.candidates):
            self._pending.choose(index)

    def _turn(self, step: int) -> None:
        """After the last candidate comes the first."""
        count = len(self.candidates)
        if count:
            self._choose((self.session.chosen + step) % count)

    def _merge(self, label_id: int) -> None:
        if not self.candidates:
            raise SessionError("There is nothing to merge yet: add a click first.")
        self.session.merge_into(label_id)
        self.notice = f"Object {label_id} has one more part."

    def _discard(self) -> None:
        self._boxes = ()
        self._pending.forget()
        self.session.discard()

    def _undo(self) -> None:
        if self._boxes:
            self._boxes = self._boxes[:-1]
        elif not self._pending.take_back():
            self._take_step(is_undo=True, is_given_up=self._is_given_up)

    def _redo(self) -> None:
        is_given_up = self._is_given_up
        self._soon(lambda: self._take_step(is_undo=False, is_given_up=is_given_up))

    def _take_step(self, *, is_undo: bool, is_given_up: Callable[[], bool]) -> None:
        """Undo or redo, and show how far it is; candidates are computed afterwards."""
        run = UndoRun(self.session, is_undo=is_undo, is_given_up=is_given_up)
        self._undo_run = run
        try:
            while run.go_on():
                self.plane = self.session.plane
                self._thread.rest()
        finally:
            self._undo_run = None
        self.plane = self.session.plane
        self._pending.catch_up()

    def _edit_at(self, command: commands.EditAt) -> None:
        plane, y, x = command.plane, command.y, command.x

        def begin() -> None:
            label_id = self.session.labels.label_at(plane, y, x)
            if not label_id:
                raise SessionError("There is no object to pick here.")
            self._begin_edit(label_id, plane)

        self._soon(begin)

    def _edit(self, label_id: int) -> None:
        found = [o for o in self.session.objects if o.label_id == label_id]
        planes = found[0].planes if found else (self.plane,)
        self._begin_edit(label_id, self.plane if self.plane in planes else planes[0])

    def _begin_edit(self, label_id: int, plane: Plane) -> None:
        self.session.set_plane(plane)
        self.session.edit(label_id)
        self.plane = plane

    def _delete(self, label_ids: Sequence[int]) -> None:
        target = self.session.target
        if not label_ids and target is None:
            raise SessionError("Pick an object first, then delete it.")
        if not label_ids or target in label_ids:
            self.session.discard()
        for label_id in label_ids or (target,):
            if label_id is not None:
                self.session.delete(label_id)

    def _paint(self, command: commands.Paint) -> None:
        def paint() -> None:
            self.session.paint(command.labels_hw, command.box, command.plane)

        # It is what the hand has done, not what a model may answer: nothing loses it.
        self._pending.soon(paint, is_kept=True)

    def _go_to(self, plane: Plane) -> None:
        self.session.image.check_plane(plane)
        self.plane = tuple(int(index) for index in plane)
        self._preview.clear()

    def _move_by(self, command: commands.MoveBy) -> None:
        axis, counts = command.axis, self.session.image.stack_shape
        if axis < len(counts):
            index = min(max(self.plane[axis] + command.step, 0), counts[axis] - 1)
            self._go_to((*self.plane[:axis], index, *self.plane[axis + 1 :]))

    def _move_view(self, command: commands.MoveView) -> None:
        self._view = command
        if self._prefetches:
            self._prefetch.prepare(command.plane, command.box)

    def _set_box_collecting(self, command: commands.SetBoxCollecting) -> None:
        self._collects_boxes = command.is_on

    def _set_level(self, level: int | None) -> None:
        if level == self._level:
            return
        session, model = self.session, self.session.predictor.model
        options = PredictorOptions(finest_level=level or 0)
        session.predictor = ImagePredictor(
            model, session.image, cache=self._cache, options=options
        )
        self._level = level

    def _save_prompts(self, command: commands.SavePrompts) -> None:
        self._soon(lambda: save_prompts(self.session, command.path))

    def _start_run(self, command: commands.StartRun) -> None:
        view = None if self._view is None else (self._view.box,)
        try:
            request = request_of(command, self.session, self.plane, view)
        except SessionError as error:
            self._run.fail(error)
        else:
            self._run.start(replace(request, level=self._level))

    def _on_labels(self, edit: Edit) -> None:
        self._labels_version += 1
        self._objects = None
        self._screen.change_labels(edit)
