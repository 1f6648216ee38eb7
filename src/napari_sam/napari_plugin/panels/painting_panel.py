"""Buttons for painting by hand, and for rough masks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam.napari_plugin import log
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.painting import (
    LabelsRead,
    LabelsReader,
    Painting,
    middle_of,
)
from napari_sam.napari_plugin.panels.guarded import guarded
from napari_sam.napari_plugin.panels.widgets import button
from napari_sam.napari_plugin.screen import NapariScreen


class PaintingPanel(QWidget):
    """Begins and ends a `Painting`."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._reader: LabelsReader | None = None
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
        screen, annotator = self._controller.screen, self._controller.annotator
        if screen is None or annotator is None:
            return
        view, plane = screen.view.box, screen.view.plane
        if view is None or plane is None:
            return
        make = partial(Painting, screen, middle_of(view), plane)
        if is_mask:
            self.painting = make()
        else:
            done = partial(self._on_read, screen, make)
            self._reader = LabelsReader(annotator, middle_of(view), plane, done)
        self._controller.changed()

    def commit(self) -> None:
        """Take what was painted."""
        painting, self.painting = self.painting, None
        if painting is not None:
            guarded(lambda: self._controller.post(painting.finish()))
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
        screen = self._controller.screen
        if self.painting is not None and not self.painting.is_current(screen):
            self.painting = None
        is_painting = self.painting is not None
        for part in (self.paint, self.mask):
            part.setVisible(not is_painting)
            part.setEnabled(screen is not None and self._reader is None)
        for part in (self.done, self.drop):
            part.setVisible(is_painting)

    def _on_read(
        self,
        screen: NapariScreen,
        make: Callable[..., Painting],
        reader: LabelsReader,
        found: LabelsRead | Exception,
    ) -> None:
        if reader is not self._reader:
            return
        self._reader = None
        if self._controller.screen is screen:
            if isinstance(found, Exception):
                log.show(found)
            else:
                self.end()
                self.painting = make(*found)
        self._controller.changed()
