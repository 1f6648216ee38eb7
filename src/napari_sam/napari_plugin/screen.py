"""An annotator's state as layers of a viewer, and what the user moves as commands.

    state      -> layers of labels, candidate, preview and prompts; sliders
    sliders    -> GoTo, MoveView
    mouse      -> MoveMouse

Nothing is decided here: what there is to see is in the state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_sam.annotator import AnnotatorState, Plane
from napari_sam.annotator.commands import Command, EditAt, GoTo, MoveMouse, MoveView
from napari_sam.automatic import Tile
from napari_sam.napari_plugin.image_view import ImageView
from napari_sam.napari_plugin.layers.candidate import CandidatePresenter
from napari_sam.napari_plugin.layers.found_tiles import FoundPresenter
from napari_sam.napari_plugin.layers.labels import LabelPresenter
from napari_sam.napari_plugin.layers.prompts import PromptPresenter
from napari_sam.napari_plugin.layers.rectangle import RectanglePresenter
from napari_sam.napari_plugin.opening import OpenedSession
from napari_sam.prompts import Click, Prompt

TRANSFORM_EVENTS = ("scale", "translate", "rotate", "shear", "affine")

VIEW_MS = 300
"""The view has to rest so long before windows in it are prepared."""


class NapariScreen:
    """The layers of one image being labelled; `close` it before the viewer goes.

    Parameters
    ----------
    view
        Of the image.
    opened
        Its session, of which the labels are drawn.
    post
        Passes on commands.

    Attributes
    ----------
    state
        That is drawn.
    """

    def __init__(
        self, view: ImageView, opened: OpenedSession, post: Callable[[Command], None]
    ) -> None:
        self.view, self.opened, self._post = view, opened, post
        self.state = AnnotatorState()
        viewer, placement, name = view.viewer, view.placement, view.name
        self.labels = LabelPresenter(
            viewer, opened.session.labels, placement, f"{name} labels"
        )
        self.preview = CandidatePresenter(
            viewer, placement, f"{name} preview", "preview"
        )
        self.candidate = CandidatePresenter(viewer, placement, f"{name} candidate")
        self.prompts = PromptPresenter(viewer, placement, f"{name} prompts")
        self.rectangle = RectanglePresenter(view)
        self.found = FoundPresenter(view, opened.session, self.labels)
        self._drawn_prompts: tuple[Sequence[Prompt], Plane] = ((), ())
        self._sent_planes: list[Plane] = []
        self._mouse: tuple[Plane, float, float] | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(VIEW_MS)
        self._timer.timeout.connect(self.send_view)
        for event in TRANSFORM_EVENTS:
            getattr(placement.layer.events, event).connect(self._on_moved)
        viewer.dims.events.current_step.connect(self._on_step)
        viewer.scene.camera.events.connect(self._on_camera)

    def begin(self, state: AnnotatorState) -> None:
        """Show the layers, and what was left unfinished the last time."""
        self.show_layers()
        self.state = state
        if state.prompts:
            self.view.go_to(state.plane)
        self._on_step()
        self.draw(state)

    def show_layers(self) -> None:
        """Bring back layers that were removed, and send clicks to the prompts."""
        for part in (self.labels, self.preview, self.candidate, self.prompts):
            part.show()
        self.view.viewer.layers.selection.active = self.prompts.points

    @property
    def takes_clicks(self) -> bool:
        """Whether clicks on the canvas are prompts."""
        return self.view.viewer.layers.selection.active is self.prompts.points

    def draw(self, state: AnnotatorState) -> None:
        """Draw a state instead of the one before."""
        before, self.state = self.state, state
        if state.labels_version != before.labels_version:
            self.labels.refresh()
        self.candidate.draw(state.candidate)
        self.preview.draw(state.preview)
        self._draw_prompts(state.boxes or state.prompts, state.prompt_plane)
        self._follow_plane(before.plane, state.plane)

    def draw_tile(self, tile: Tile | None) -> None:
        """Draw what a run has found in a tile; None: clear them."""
        if tile is None:
            self.found.clear()
        else:
            self.found.add(tile)

    def draw_rectangle(self, is_drawing: bool) -> None:
        """Take the next drag on the canvas for the rectangle; or do not."""
        if is_drawing:
            self.show_layers()
        self.rectangle.begin_drawing(is_drawing)

    def visit(self, label_id: int) -> None:
        """Move sliders and camera to an object: in the plane on show, or its first."""
        for found in self.state.objects:
            if found.label_id == label_id and found.planes:
                shown = self.view.plane
                plane = shown if shown in found.planes else found.planes[0]
                self.view.go_to(plane, found.box.center)

    def move_mouse(self, world: NDArray[np.float64]) -> None:
        """The mouse is at this point of the viewer's world."""
        plane, yx = self.view.plane, self.view.yx_at(world.tolist())
        self._mouse = None if plane is None or yx is None else (plane, *yx)
        if self.state.has_previews:
            click = None if self._mouse is None else Click(*self._mouse[1:])
            self._post(MoveMouse(plane or self.state.plane, click))

    def edit_under_mouse(self) -> None:
        """Begin to change the object that the mouse is on."""
        if self._mouse is not None:
            self._post(EditAt(*self._mouse))

    def send_view(self) -> None:
        """Say what is in view now."""
        self._timer.stop()
        self._post(MoveView(self.view.plane or self.state.plane, self.view.box))

    def close(self) -> None:
        """Take the layers away."""
        self._timer.stop()
        layer, viewer = self.view.placement.layer, self.view.viewer
        for event in TRANSFORM_EVENTS:
            getattr(layer.events, event).disconnect(self._on_moved)
        viewer.dims.events.current_step.disconnect(self._on_step)
        viewer.scene.camera.events.disconnect(self._on_camera)
        for part in (
            self.found,
            self.rectangle,
            self.prompts,
            self.candidate,
            self.preview,
            self.labels,
        ):
            part.close()

    def _draw_prompts(self, prompts: Sequence[Prompt], plane: Plane) -> None:
        drawn, in_plane = self._drawn_prompts
        # Prompts may hold arrays, which are not compared.
        is_same = len(drawn) == len(prompts) and all(
            old is new for old, new in zip(drawn, prompts, strict=True)
        )
        if not is_same or plane != in_plane:
            self._drawn_prompts = prompts, plane
            self.prompts.draw(prompts, plane)

    def _follow_plane(self, before: Plane, plane: Plane) -> None:
        """Move the sliders where the annotator went by itself, as to undo."""
        if plane in self._sent_planes:
            # The user has moved them, and perhaps further since.
            del self._sent_planes[: self._sent_planes.index(plane) + 1]
        elif plane != before:
            self._sent_planes.clear()
            if self.view.plane not in {None, plane}:
                self.view.go_to(plane)

    def _on_step(self, event: Any = None) -> None:
        plane = self.view.plane
        if plane is not None:
            latest = self._sent_planes[-1] if self._sent_planes else self.state.plane
            if plane != latest:
                self._sent_planes.append(plane)
                self._post(GoTo(plane))
        self._on_camera()

    def _on_camera(self, event: Any = None) -> None:
        self._timer.start()

    def _on_moved(self, event: object = None) -> None:
        placement = self.view.placement
        for part in (
            self.labels,
            self.preview,
            self.candidate,
            self.prompts,
            self.found,
        ):
            part.follow(placement)
        self.rectangle.follow()
