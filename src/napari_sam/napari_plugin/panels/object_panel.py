"""The part of the dock that is about the object at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from napari_sam.annotator.commands import (
    Accept,
    Choose,
    ChooseNext,
    Discard,
    Redo,
    SegmentBoxes,
    Undo,
)
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.panels.widgets import CandidateButtons, button, row


class ObjectPanel(QWidget):
    """Candidates, accept, discard, undo, redo, and how prompts are given."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        post = controller.post
        self.point = button(
            "Point",
            "Clicks on the image are prompts",
            self._take_clicks,
            checkable=True,
        )
        self.previews = _check("Preview", "Show what a click would give")
        self.previews.toggled.connect(controller.set_previews)
        self.many = _check("Many boxes", "Each box becomes an object")
        self.many.toggled.connect(controller.set_box_collecting)
        self.candidates = CandidateButtons(lambda index: post(Choose(index)))
        self.accept = button("Accept", "Write the object", partial(post, Accept()))
        self.discard = button("Discard", "Drop the prompts", partial(post, Discard()))
        self.undo = button("Undo", "Take back the last step", partial(post, Undo()))
        self.redo = button("Redo", "Do it again", partial(post, Redo()))
        self.cancel = button("Cancel", "Give up what is under way", controller.cancel)
        self.boxes = button(
            "Segment boxes", "An object for each box", partial(post, SegmentBoxes())
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
        post = self._controller.post
        return {
            "accept": partial(post, Accept()),
            "discard": partial(post, Discard()),
            "undo": partial(post, Undo()),
            "redo": partial(post, Redo()),
            "candidate_1": partial(post, Choose(0)),
            "candidate_2": partial(post, Choose(1)),
            "candidate_3": partial(post, Choose(2)),
            "next_candidate": partial(post, ChooseNext()),
            "preview": self.previews.toggle,
            "many_boxes": self.many.toggle,
            "edit": self._edit_under_mouse,
        }

    def draw(self) -> None:
        """Show the state of the object at hand."""
        controller, screen = self._controller, self._controller.screen
        state = controller.state
        for part in (self.point, self.accept, self.discard, self.undo, self.redo):
            part.setEnabled(screen is not None)
        self.cancel.setEnabled(
            controller.is_opening
            or state.is_pending
            or state.is_saving
            or bool(state.job.text)
        )
        self.boxes.setVisible(controller.collects_boxes)
        self.boxes.setEnabled(bool(state.boxes))
        self.boxes.setText(f"Segment {len(state.boxes)} boxes")
        self.point.setChecked(screen is not None and screen.takes_clicks)
        scores = [candidate.score for candidate in state.candidates]
        self.candidates.show_scores(scores, state.chosen)

    def _take_clicks(self) -> None:
        if self._controller.screen is not None:
            self._controller.screen.show_layers()

    def _edit_under_mouse(self) -> None:
        if self._controller.screen is not None:
            self._controller.screen.edit_under_mouse()


def _check(text: str, tip: str) -> Any:
    box = QCheckBox(text)
    box.setToolTip(tip)
    return box
