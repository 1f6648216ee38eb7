"""The part of the dock that is about the object at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_sam.napari_plugin import batch
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.panels.guarded import for_workspace
from napari_sam.napari_plugin.panels.widgets import CandidateButtons, button, row
from napari_sam.napari_plugin.screen import Workspace


class ObjectPanel(QWidget):
    """Candidates, accept, discard, undo, redo, and how prompts are given."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        act = partial(for_workspace, controller)
        self._jobs = jobs = controller.jobs
        self.point = button(
            "Point",
            "Clicks on the image are prompts",
            act(Workspace.show_layers),
            checkable=True,
        )
        self.previews = _check("Preview", "Show what a click would give")
        self.previews.toggled.connect(controller.set_previews)
        self.many = _check("Many boxes", "Each box becomes an object")
        self.many.toggled.connect(controller.set_many_boxes)
        self.candidates = CandidateButtons(act(Workspace.choose))
        self.accept = button("Accept", "Write the object", act(Workspace.accept))
        self.discard = button("Discard", "Drop the prompts", act(Workspace.discard))
        self.undo = button("Undo", "Take back the last step", act(Workspace.undo))
        self.redo = button("Redo", "Do it again", act(Workspace.redo))
        self.cancel = button("Cancel", "Give up what is under way", self._cancel)
        self.boxes = button(
            "Segment boxes",
            "An object for each box",
            act(lambda workspace: batch.segment_boxes(workspace, jobs)),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (
            row(self.point, self.previews, self.many),
            self.candidates,
            row(self.accept, self.discard),
            row(self.undo, self.redo, self.cancel),
            self.boxes,
        ):
            layout.addWidget(part)

    def actions(self) -> Mapping[str, Callable[[], None]]:
        """What there are keys for, by the names in `keys`."""
        act = partial(for_workspace, self._controller)
        return {
            "accept": act(Workspace.accept),
            "discard": act(Workspace.discard),
            "undo": act(Workspace.undo),
            "redo": act(Workspace.redo),
            "candidate_1": partial(act(Workspace.choose), 0),
            "candidate_2": partial(act(Workspace.choose), 1),
            "candidate_3": partial(act(Workspace.choose), 2),
            "next_candidate": partial(act(Workspace.choose_next), 1),
            "preview": self.previews.toggle,
            "many_boxes": self.many.toggle,
            "edit": self._edit_under_mouse,
        }

    def draw(self) -> None:
        """Show the state of the workspace."""
        controller, workspace = self._controller, self._controller.workspace
        self.draw_cancel()
        for part in (self.point, self.accept, self.discard, self.undo, self.redo):
            part.setEnabled(workspace is not None)
        boxes = workspace.boxes if workspace is not None else ()
        self.boxes.setVisible(controller.takes_many_boxes)
        self.boxes.setEnabled(bool(boxes))
        self.boxes.setText(f"Segment {len(boxes)} boxes")
        self.point.setChecked(workspace is not None and workspace.is_pointing)
        scores: list[float] = []
        chosen = 0
        if workspace is not None and not workspace.writing.is_lent:
            session = workspace.session
            if session.is_answered:
                scores = [candidate.score for candidate in session.candidates]
                chosen = session.chosen
        self.candidates.show_scores(scores, chosen)

    def draw_cancel(self) -> None:
        """Show whether there is something to cancel."""
        workspace = self._controller.workspace
        is_walking = workspace is not None and workspace.is_walking
        self.cancel.setEnabled(is_walking or not self._jobs.is_idle)

    def _cancel(self) -> None:
        self._jobs.cancel()
        workspace = self._controller.workspace
        if workspace is not None:
            workspace.stop_walking()

    def _edit_under_mouse(self) -> None:
        hovering = self._controller.hovering
        if hovering is not None and hovering.world is not None:
            world = hovering.world.tolist()
            for_workspace(self._controller, Workspace.edit_at)(world)


def _check(text: str, tip: str) -> Any:
    box = QCheckBox(text)
    box.setToolTip(tip)
    return box
