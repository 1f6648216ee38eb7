"""The dock: it draws what a `Controller` says, and passes on what the user wants."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QCheckBox, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.keys import Keys
from napari_sam.napari_plugin.layers.encoded_windows import EncodedPresenter
from napari_sam.napari_plugin.layers.gl_context import DrawingContext
from napari_sam.napari_plugin.opening import Models
from napari_sam.napari_plugin.panels.automatic_panel import AutomaticPanel
from napari_sam.napari_plugin.panels.guarded import for_workspace, guarded
from napari_sam.napari_plugin.panels.labels_panel import LabelsPanel
from napari_sam.napari_plugin.panels.object_list import ObjectList
from napari_sam.napari_plugin.panels.object_panel import ObjectPanel
from napari_sam.napari_plugin.panels.painting_panel import PaintingPanel
from napari_sam.napari_plugin.panels.widgets import (
    ImagePanel,
    button,
    note,
    section,
)
from napari_sam.napari_plugin.screen import Workspace

if TYPE_CHECKING:
    import napari


class SegmentDock(QWidget):
    """Segment Anything, for the selected image layer.

    Parameters
    ----------
    viewer
        That the dock is in.
    models
        Where models come from; None: the registry.
    """

    def __init__(
        self, viewer: napari.viewer.Viewer, models: Models | None = None
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._was_in_dock = False
        self._bound: Workspace | None = None
        self._encoded: EncodedPresenter | None = None
        self._context = DrawingContext(viewer)
        controller = self.controller = Controller(viewer, models)
        self._make_widgets()
        self._lay_out()
        controller.changed.connect(self._draw)
        controller.edited.connect(self._list_objects)
        controller.jobs.busy.connect(self._on_busy)
        controller.jobs.progressed.connect(self._on_progressed)
        controller.jobs.idle.connect(self._on_idle)
        viewer.layers.selection.events.active.connect(self._on_selection)
        # Not a method: by then only the C++ side of this is left.
        self.destroyed.connect(partial(_end, controller, self.keys))
        self._draw()
        self._on_idle()
        self._start()

    def closeEvent(self, event: Any) -> None:
        """Finish, and give the labels back."""
        self._close()
        super().closeEvent(event)

    def showEvent(self, event: Any) -> None:
        """Get to know the window."""
        self._context.look_in(self)
        super().showEvent(event)

    def changeEvent(self, event: Any) -> None:
        """Notice that napari has thrown the dock away: it takes us out of it."""
        if event.type() == QEvent.Type.ParentChange:
            if self._was_in_dock and self.parent() is None:
                self._close()
            self._was_in_dock = self.parent() is not None
        super().changeEvent(event)

    def _close(self) -> None:
        if not self.controller.is_closed:
            self._viewer.layers.selection.events.active.disconnect(self._on_selection)
            self.painting.close()
            self.controller.close()
            self.keys.close()
            self._context.close()

    def _make_widgets(self) -> None:
        controller = self.controller
        act = partial(for_workspace, controller)
        self.start = button(
            "Segment the selected image", "Begin with this layer", self._start
        )
        self.status = note()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(8)
        self.draft = ObjectPanel(controller)
        self.painting = PaintingPanel(controller)
        self.everything = AutomaticPanel(controller)
        self.objects = ObjectList()
        self.objects.visited.connect(act(Workspace.visit))
        self.objects.edited.connect(act(Workspace.edit))
        self.objects.merged.connect(act(Workspace.merge_into))
        self.objects.deleted.connect(act(Workspace.delete))
        self.image = ImagePanel(controller.reopen, controller.choices.model)
        self.image.contrast.toggled.connect(self._on_contrast)
        self.encoded = QCheckBox("Show what is encoded")
        self.encoded.toggled.connect(self._show_encoded)
        self.labels = LabelsPanel(controller)
        self.keys = Keys(self.draft.actions())
        self.keys.changed.connect(self._show_keys)
        self.help = note()
        # A section allows for no text that wraps: the last lines would be cut off.
        self.help.setWordWrap(False)
        self._show_keys()

    def _lay_out(self) -> None:
        content = QWidget()
        everything = section("Segment everything", self.everything)
        self.everything.section = everything
        layout = QVBoxLayout(content)
        layout.setContentsMargins(6, 6, 6, 6)
        for part in (
            self.start,
            self.status,
            self.progress,
            self.draft,
            self.painting,
            everything,
            section("Objects", self.objects, is_open=True),
            section("Image and model", self.image, self.encoded),
            section("Labels and prompts", self.labels),
            section("Keys and mouse", self.help),
        ):
            layout.addWidget(part)
        layout.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(content)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        self.setMinimumWidth(300)

    def _selected_image(self) -> ImageLayer | None:
        """The selected image layer; else the topmost."""
        active = self._viewer.layers.selection.active
        images = [i for i in self._viewer.layers if isinstance(i, ImageLayer)]
        if active in images:
            return active
        return images[-1] if images else None

    def _start(self) -> None:
        layer = self._selected_image()
        if layer is not None:
            self.painting.end()
            self.controller.open(layer)

    def _on_selection(self, event: object = None) -> None:
        if not self.controller.is_closed:
            self._draw()

    def _on_contrast(self, is_layers: bool) -> None:
        workspace = self.controller.workspace
        if workspace is not None:
            limits = tuple(workspace.layer.contrast_limits) if is_layers else None
            self.controller.reopen(contrast=limits)

    def _show_keys(self) -> None:
        self.help.setText(self.keys.as_text())

    def _show_encoded(self, is_shown: bool) -> None:
        encoded, self._encoded = self._encoded, None
        if encoded is not None:
            encoded.close()
        workspace = self.controller.workspace
        if is_shown and workspace is not None:
            self._encoded = EncodedPresenter(workspace, self.controller.cache)
            guarded(self._encoded.draw)

    def _on_workspace(self, workspace: Workspace | None) -> None:
        """Another image: keys, levels and the place of its labels."""
        self._bound = workspace
        self.encoded.setChecked(False)
        if workspace is None:
            self.keys.bind(None)
            return
        self.keys.bind(workspace.prompts.points)
        choices = self.controller.choices
        self.image.show_image(workspace.session.image, choices.level)
        model = workspace.session.predictor.model
        self.image.device.setText(str(getattr(model, "device", "this computer")))

    def _draw(self) -> None:
        controller, workspace = self.controller, self.controller.workspace
        if workspace is not self._bound:
            self._on_workspace(workspace)
        for part in (self.objects, self.encoded):
            part.setEnabled(workspace is not None)
        for panel in (self.draft, self.painting, self.everything, self.labels):
            panel.draw()
        is_other = self._selected_image() is not (workspace and workspace.layer)
        active = self._viewer.layers.selection.active
        self.start.setVisible(
            workspace is None or (is_other and isinstance(active, ImageLayer))
        )
        self.start.setEnabled(not controller.is_opening)
        if not controller.is_opening:
            # Where another model could not be had, the one before is still chosen.
            self.image.picker.set_name(controller.choices.model)
        self.status.setText(self._status(workspace))

    def _status(self, workspace: Workspace | None) -> str:
        if self.controller.is_opening:
            return "Opening the image and the model..."
        if workspace is None:
            return "Select an image layer, and begin."
        states = (
            (
                self.painting.painting is not None,
                "Paint with napari's tools, then Done.",
            ),
            (workspace.is_walking, "Undo or redo: saving... Cancel stops it."),
            (workspace.writing.is_lent, "Saving..."),
            (workspace.asking.is_pending, "Looking..."),
            (not workspace.is_pointing, "Press Point: then clicks are prompts."),
            (
                workspace.session.target is not None,
                f"Editing object {workspace.session.target}: Enter saves, Esc leaves.",
            ),
            (
                bool(workspace.session.prompts),
                "Click to refine, Enter to accept, Esc to discard.",
            ),
        )
        begin = f"Click on an object in {workspace.layer.name}, or drag a box."
        return next((text for is_so, text in states if is_so), begin)

    def _list_objects(self) -> None:
        workspace = self.controller.workspace
        self.objects.set_objects(workspace.objects if workspace is not None else ())

    def _on_busy(self, text: str) -> None:
        self.progress.setRange(0, 0)
        self.progress.setToolTip(text)
        self.draft.draw_cancel()

    def _on_progressed(self, done: int, total: int) -> None:
        # Bytes of a large download are beyond Qt's numbers.
        self.progress.setRange(0, 1000 if total else 0)
        if total:
            self.progress.setValue(round(1000 * done / total))

    def _on_idle(self) -> None:
        # Not `reset`, which paints at once, and with it the canvas, whatever state
        # that is in.
        self.progress.setRange(0, 1)
        self.draft.draw_cancel()
        if self._encoded is not None:
            guarded(self._encoded.draw)


def _end(controller: Controller, keys: Keys, *_: object) -> None:
    """Close what belonged to a dock that nobody has closed."""
    # Where Qt itself ends, the timers are gone: nothing runs any more.
    with suppress(RuntimeError):
        controller.close()
    keys.close()
