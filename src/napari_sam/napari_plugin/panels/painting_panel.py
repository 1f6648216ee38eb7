"""Buttons for painting by hand, and for rough masks."""

from __future__ import annotations

from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.painting import Painting, begin_painting
from napari_sam.napari_plugin.panels.guarded import guarded
from napari_sam.napari_plugin.panels.widgets import button


class PaintingPanel(QWidget):
    """Begins and ends a `Painting`."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.painting: Painting | None = None
        self.paint = button(
            "Paint",
            "Change the labels in view with napari's brush",
            partial(self.begin, is_mask=False),
        )
        self.mask = button(
            "Rough mask",
            "Paint or lasso a mask as a prompt",
            partial(self.begin, is_mask=True),
        )
        self.done = button("Done", "Take what was painted", self.commit)
        self.drop = button("Drop", "Forget what was painted", self.end)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.paint, self.mask, self.done, self.drop):
            layout.addWidget(part)

    def begin(self, *, is_mask: bool) -> None:
        """Give the user a layer to paint what is in view."""
        self.end()
        workspace, view = self._controller.workspace, self._controller.view()
        plane = workspace.plane_in_view if workspace is not None else None
        if workspace is None or view is None or plane is None:
            return

        def show(painting: Painting) -> None:
            self.end()
            self.painting = painting
            self._controller.changed()

        begin_painting(workspace, view, plane, show, is_mask=is_mask)

    def commit(self) -> None:
        """Take what was painted."""
        painting, self.painting = self.painting, None
        if painting is not None:
            guarded(painting.commit)
        self._controller.changed()

    def end(self) -> None:
        """Forget what was painted."""
        painting, self.painting = self.painting, None
        if painting is not None:
            painting.close()
            self._controller.changed()

    def close(self) -> None:
        """Keep what was painted into labels; a rough mask has no more use."""
        if self.painting is None or self.painting.is_mask:
            self.end()
        else:
            self.commit()

    def draw(self) -> None:
        """Show what can be pressed."""
        if self.painting is not None and not self.painting.is_current(
            self._controller.workspace
        ):
            self.painting = None
        is_painting = self.painting is not None
        for part in (self.paint, self.mask):
            part.setVisible(not is_painting)
            part.setEnabled(self._controller.workspace is not None)
        for part in (self.done, self.drop):
            part.setVisible(is_painting)
