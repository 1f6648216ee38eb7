"""One image layer being labelled: a session, its layers, and what the user does.

Nothing is decided here. Each action goes to the session, by way of the worker where it
takes time, and what the session then says is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.errors import SessionError
from napari_sam.geometry import Box
from napari_sam.labels import ObjectSummary
from napari_sam.napari_plugin.asking import Asking
from napari_sam.napari_plugin.jobs import Jobs
from napari_sam.napari_plugin.layers.candidate import CandidatePresenter
from napari_sam.napari_plugin.layers.labels import LabelPresenter
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.napari_plugin.layers.prompts import PromptLayers
from napari_sam.napari_plugin.opening import Opened
from napari_sam.napari_plugin.writing import Writing
from napari_sam.prompts import BoxPrompt, Prompt
from napari_sam.walking import Walk

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

TRANSFORM_EVENTS = ("scale", "translate", "rotate", "shear", "affine")


class Workspace:
    """What there is for one image layer; `close` it before the viewer goes.

    Parameters
    ----------
    viewer, layer
        Where the image is.
    opened
        Its session.
    jobs
        The worker of the dock.
    show
        Tells the user of errors.

    Attributes
    ----------
    changed
        Emits when a panel has to be drawn anew.
    edited
        Emits when the labels have changed.
    moved
        Emits when the image layer has another transform.
    objects
        What is in them, as of the last write; counting them takes the worker.
    """

    changed = Signal()
    edited = Signal()
    moved = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        layer: ImageLayer,
        opened: Opened,
        jobs: Jobs,
        show: Callable[[BaseException], None],
    ) -> None:
        self.viewer, self.layer, self.opened = viewer, layer, opened
        self.session = opened.session
        self.placement = Placement(layer, opened.axes)
        self.show_error = show
        self.asking = Asking(self.session, jobs, show)
        self.objects = opened.objects
        self.writing = Writing(
            show, lambda: self.asking.is_pending, look=lambda: self.session.objects
        )
        self._walks: list[Walk] = []  # undo and redo that are not done yet
        self._is_closing = False
        self.boxes: tuple[BoxPrompt, ...] = ()  # of several objects, not asked yet
        self.boxes_plane = self.session.plane
        place, name = self.placement, layer.name
        self.labels = LabelPresenter(
            viewer, self.session.labels, place, f"{name} labels"
        )
        self.preview = CandidatePresenter(viewer, place, f"{name} preview", "preview")
        self.candidate = CandidatePresenter(viewer, place, f"{name} candidate")
        self.prompts = PromptLayers(viewer, place, f"{name} prompts")
        self.asking.settled.connect(self._on_settled)
        self.writing.written.connect(self._on_written)
        for event in TRANSFORM_EVENTS:
            getattr(layer.events, event).connect(self._on_moved)

    def begin(self) -> None:
        """Show the layers, and what was left unfinished the last time."""
        self.show_layers()
        if self.session.prompts:
            self.go_to(self.session.plane)
            self.asking.catch_up()
        self.draw()

    def show_layers(self) -> None:
        """Bring back layers that were removed, and send clicks to the prompts."""
        for part in (self.labels, self.preview, self.candidate, self.prompts):
            part.show()
        self.viewer.layers.selection.active = self.prompts.points

    @property
    def is_pointing(self) -> bool:
        """Whether clicks on the canvas are prompts."""
        return self.viewer.layers.selection.active is self.prompts.points

    @property
    def plane_in_view(self) -> tuple[int, ...] | None:
        """The plane that is on show; None in 3D or beyond the image."""
        dims = self.viewer.dims
        if not self.placement.is_plane_displayed(dims.displayed, dims.ndim):
            return None
        return self.placement.plane_at(dims.point)

    def point_at(self, prompt: Prompt, plane: tuple[int, ...]) -> None:
        """Add a prompt in a plane."""
        # Clicks need not wait for the answers to those before, but for all else.
        if self.writing.is_free:
            self._add(prompt, plane)
        else:
            self.writing.soon(lambda: self._add(prompt, plane))

    def collect(self, box: BoxPrompt, plane: tuple[int, ...]) -> None:
        """Keep a box for an object of its own, see `batch`."""
        if self.boxes and plane != self.boxes_plane:
            self.boxes = ()
        self.boxes, self.boxes_plane = (*self.boxes, box), plane
        self.draw()

    def choose(self, index: int) -> None:
        """Take another of the candidates, counted from 0."""
        self.writing.soon(lambda: self._choose(index))

    def choose_next(self, step: int) -> None:
        """Take the next of the candidates, or the one before."""
        # Only once the choice before has its answer: each turn of a wheel counts.
        self.writing.soon(lambda: self._choose_next(step))

    def accept(self) -> None:
        """Write the candidate, once its answer is there."""
        self.writing.write(self._unless_nothing(self.session.accept))

    def merge_into(self, label_id: int) -> None:
        """Write the candidate as a part of an object."""
        self.writing.write(
            self._unless_nothing(lambda: self.session.merge_into(label_id))
        )

    def discard(self) -> None:
        """Drop prompts and candidate, also those that are on their way."""
        self.boxes = ()
        self.stop_walking()
        self.writing.forget()
        self.asking.cancel()
        self.writing.soon(self._discard)

    def undo(self) -> None:
        """Take back the last step, also one that is on its way."""
        if self.boxes:
            self.boxes = self.boxes[:-1]
            self.draw()
        elif self.asking.is_pending:
            self.asking.take_back()
            self._on_settled()
        else:
            self._begin(Walk(self.session, is_undo=True))

    def redo(self) -> None:
        """Do again what was taken back last."""
        self._begin(Walk(self.session, is_undo=False))

    @property
    def is_walking(self) -> bool:
        """Whether an undo or redo is on its way."""
        return bool(self._walks)

    def stop_walking(self) -> None:
        """Give up what is left of an undo or redo; the next one goes on."""
        for walk in self._walks:
            walk.stop()
        self._walks.clear()

    def edit(self, label_id: int) -> None:
        """Begin to change an object, in the plane on show if it is there."""
        plane = self._plane_of(label_id)
        if plane is None:
            return
        session = self.session

        def begin() -> None:
            session.set_plane(plane)
            session.edit(label_id)

        self.go_to(plane)
        self.writing.write(begin)

    def edit_at(self, world: Sequence[float]) -> None:
        """Begin to change the object at a point of the viewer's world, if any."""
        plane = self.plane_in_view
        y, x = self.placement.yx_at(world)
        inside = Box.of_shape(self.session.image.shape).contains_point(y, x)
        if plane is None or not inside:
            return
        labels = self.session.labels
        self.writing.read(
            lambda: labels.label_at(plane, y, x),
            lambda label_id: self.edit(label_id) if label_id else None,
        )

    def delete(self, label_ids: Sequence[int]) -> None:
        """Turn objects into background."""
        for label_id in label_ids:
            self.writing.write(partial(self.session.delete, label_id))

    def paint(
        self, labels_hw: NDArray[np.integer], box: Box, plane: tuple[int, ...]
    ) -> None:
        """Write what was painted by hand."""
        self.writing.write(lambda: self.session.paint(labels_hw, box, plane))

    def visit(self, label_id: int) -> None:
        """Move sliders and camera to an object."""
        plane = self._plane_of(label_id)
        found = [o for o in self.objects if o.label_id == label_id]
        if plane is not None and found:
            self.go_to(plane, found[0].box.center)

    def go_to(
        self, plane: tuple[int, ...], yx: tuple[float, float] | None = None
    ) -> None:
        """Move the sliders to a plane, and the camera to a point of it."""
        middle = tuple(side / 2 for side in self.session.image.shape)
        world = self.placement.world_at(plane, yx or (middle[0], middle[1]))
        dims, count = self.viewer.dims, len(self.placement.axes)
        first = dims.ndim - count
        for index, letter in enumerate(self.placement.axes):
            if letter in self.placement.stack_axes:
                dims.set_point(first + index, float(world[index]))
        if yx is not None:
            shown = [world[axis - first] for axis in dims.displayed if axis >= first]
            # napari's camera has three places, of which 2D uses the last two.
            self.viewer.scene.camera.center = (0.0, *(float(v) for v in shown[-2:]))

    def draw(self) -> None:
        """Draw prompts and candidate as they are now."""
        session, asking = self.session, self.asking
        if not self.writing.is_lent:
            # The answer before stays until the next one is there.
            if session.is_answered and not asking.is_pending:
                self.candidate.draw(session.candidate)
            if self.boxes:
                self.prompts.draw(self.boxes, self.boxes_plane)
            else:
                self.prompts.draw(asking.prompts, session.plane)
        self.changed()

    def close(self) -> None:
        """Finish what is being written, take the layers away, close the labels."""
        self._is_closing = True  # an undo of thousands of edits goes on another day
        # Before answers are dropped: a write that waits for one is not done without it.
        self.writing.close()
        self.asking.cancel()
        for event in TRANSFORM_EVENTS:
            getattr(self.layer.events, event).disconnect(self._on_moved)
        for part in (self.prompts, self.candidate, self.preview, self.labels):
            part.close()
        self.session.close()

    def _add(self, prompt: Prompt, plane: tuple[int, ...]) -> None:
        self.preview.draw(None)
        try:
            self._be_in(plane)
            self.asking.add([prompt])
        except Exception as error:  # noqa: BLE001 - a click must not end the dock
            self.show_error(error)
        self.draw()

    def _be_in(self, plane: tuple[int, ...]) -> None:
        if plane != self.session.plane:
            self.asking.cancel()
            self.session.set_plane(plane)

    def _choose(self, index: int) -> None:
        session = self.session
        if session.is_answered and index < len(session.candidates):
            self.asking.choose(index)

    def _choose_next(self, step: int) -> None:
        session = self.session
        if session.is_answered and session.candidates:
            self._choose((session.chosen + step) % len(session.candidates))

    def _discard(self) -> None:
        self.session.discard()
        self.draw()

    def _unless_nothing(self, write: Callable[[], int]) -> Callable[[], int]:
        """Make `write` not ask the model where the candidate is not computed."""

        def checked() -> int:
            if not self.session.is_answered:
                raise SessionError("Nothing to accept yet: add a click or a box first.")
            return write()

        return checked

    def _begin(self, walk: Walk) -> None:
        """Undo or redo, a little at a time."""
        self._walks.append(walk)
        self.writing.write(walk.go_on, lambda left: self._go_on(walk, left=left))
        self.draw()

    def _go_on(self, walk: Walk, *, left: bool) -> None:
        """Go on where something is left; candidates are computed afterwards."""
        if self._is_closing:
            return
        if left:
            self.writing.go_on_writing(
                walk.go_on, lambda left: self._go_on(walk, left=left)
            )
            return
        if walk in self._walks:
            self._walks.remove(walk)
        self.writing.soon(self._after_walk)

    def _after_walk(self) -> None:
        session = self.session
        if session.plane != self.plane_in_view:
            self.go_to(session.plane)
        self.asking.catch_up()

    def _plane_of(self, label_id: int) -> tuple[int, ...] | None:
        """A plane that an object is in: the one on show, or else its first."""
        for found in self.objects:
            if found.label_id == label_id and found.planes:
                shown = self.plane_in_view
                return shown if shown in found.planes else found.planes[0]
        return None

    def _on_settled(self) -> None:
        self.draw()
        self.writing.go_on()

    def _on_written(self, objects: tuple[ObjectSummary, ...] | None) -> None:
        if objects is not None:
            self.objects = objects
        else:
            self._walks.clear()  # what waited for this is forgotten
        self.labels.refresh()
        self.draw()
        self.edited()

    def _on_moved(self, event: object = None) -> None:
        for part in (self.labels, self.preview, self.candidate, self.prompts):
            part.follow(self.placement)
        self.moved()
