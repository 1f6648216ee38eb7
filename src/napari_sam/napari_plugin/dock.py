"""The dock: it draws the state of a `Controller`, and passes on what the user does."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QCheckBox, QProgressBar, QScrollArea, QVBoxLayout, QWidget

from napari_sam.annotator import JobState
from napari_sam.annotator.commands import Delete, EditObject, MergeInto
from napari_sam.labels import ObjectSummary
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.keys import Keys
from napari_sam.napari_plugin.layers.encoded_windows import EncodedPresenter
from napari_sam.napari_plugin.layers.gl_context import DrawingContext
from napari_sam.napari_plugin.opening import Models
from napari_sam.napari_plugin.panels.automatic_panel import AutomaticPanel
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
from napari_sam.napari_plugin.screen import NapariScreen

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
        self._bound: NapariScreen | None = None
        self._listed: tuple[ObjectSummary, ...] = ()
        self._encoded: EncodedPresenter | None = None
        self._context = DrawingContext(viewer)
        controller = self.controller = Controller(viewer, models)
        self._make_widgets()
        self._lay_out()
        controller.changed.connect(self._draw)
        viewer.layers.selection.events.active.connect(self._on_selection)
        # Not a method: by then only the C++ side of this is left.
        self.destroyed.connect(partial(_end, controller, self.keys))
        self._draw()
        self._start()

    def closeEvent(self, event: Any) -> None:
        """Finish, and give the labels back."""
        self._close()
        super().closeEvent(event)

    def showEvent(self, event: Any) -> None:
        """Get to know the window."""
        self._context.find_canvases(self)
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
        post = controller.post
        self.start = button(
            "Segment the selected image", "Begin with this layer", self._start
        )
        self.status = note()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(8)
        self.object_panel = ObjectPanel(controller)
        self.painting = PaintingPanel(controller)
        self.automatic = AutomaticPanel(controller)
        self.objects = ObjectList()
        self.objects.visited.connect(self._visit)
        self.objects.edited.connect(lambda label_id: post(EditObject(label_id)))
        self.objects.merged.connect(lambda label_id: post(MergeInto(label_id)))
        self.objects.deleted.connect(lambda ids: post(Delete(tuple(ids))))
        self.image = ImagePanel(
            controller.reopen, controller.set_level, controller.choices.model
        )
        self.image.contrast.toggled.connect(self._on_contrast)
        self.encoded = QCheckBox("Show what is encoded")
        self.encoded.toggled.connect(self._show_encoded)
        self.labels = LabelsPanel(controller)
        self.keys = Keys(self.object_panel.actions())
        self.keys.changed.connect(self._show_keys)
        self.help = note()
        # A section allows for no text that wraps: the last lines would be cut off.
        self.help.setWordWrap(False)
        self._show_keys()

    def _lay_out(self) -> None:
        content = QWidget()
        automatic = section("Segment everything", self.automatic)
        self.automatic.section = automatic
        layout = QVBoxLayout(content)
        layout.setContentsMargins(6, 6, 6, 6)
        for part in (
            self.start,
            self.status,
            self.progress,
            self.object_panel,
            self.painting,
            automatic,
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

    def _visit(self, label_id: int) -> None:
        if self.controller.screen is not None:
            self.controller.screen.visit(label_id)

    def _on_contrast(self, is_layers: bool) -> None:
        screen = self.controller.screen
        if screen is not None:
            layer = screen.view.placement.layer
            limits = tuple(layer.contrast_limits) if is_layers else None
            self.controller.reopen(contrast=limits)

    def _show_keys(self) -> None:
        self.help.setText(self.keys.as_text())

    def _show_encoded(self, is_shown: bool) -> None:
        encoded, self._encoded = self._encoded, None
        if encoded is not None:
            encoded.close()
        screen = self.controller.screen
        if is_shown and screen is not None:
            session = screen.opened.session
            self._encoded = EncodedPresenter(
                screen.view,
                session.image,
                session.predictor.model.fingerprint,
                self.controller.cache,
            )

    def _bind(self, screen: NapariScreen | None) -> None:
        """Another image: keys, levels and channels."""
        self._bound = screen
        self.encoded.setChecked(False)
        if screen is None:
            self.keys.bind(None)
            return
        self.keys.bind(screen.prompts.points)
        session = screen.opened.session
        self.image.show_image(session.image, self.controller.choices.level)
        model = session.predictor.model
        self.image.device.setText(str(getattr(model, "device", "this computer")))

    def _draw(self) -> None:
        controller, screen = self.controller, self.controller.screen
        if screen is not self._bound:
            self._bind(screen)
        for part in (self.objects, self.encoded):
            part.setEnabled(screen is not None)
        for panel in (self.object_panel, self.painting, self.automatic, self.labels):
            panel.draw()
        active = self._viewer.layers.selection.active
        is_other = screen is not None and (
            self._selected_image() is not screen.view.placement.layer
        )
        self.start.setVisible(
            screen is None or (is_other and isinstance(active, ImageLayer))
        )
        self.start.setEnabled(not controller.is_opening)
        if not controller.is_opening:
            # Where another model could not be had, the one before is still chosen.
            self.image.picker.set_name(controller.choices.model)
        self.status.setText(self._status(screen))
        self._draw_progress(controller.state.job)
        if controller.state.objects is not self._listed:
            self._listed = controller.state.objects
            self.objects.set_objects(self._listed)

    def _status(self, screen: NapariScreen | None) -> str:
        if self.controller.is_opening:
            return "Opening the image and the model..."
        if screen is None:
            return "Select an image layer, and begin."
        state = self.controller.state
        cases = (
            (
                self.painting.painting is not None,
                "Paint with napari's tools, then Done.",
            ),
            (state.is_saving, "Undo or redo: saving... Cancel stops it."),
            (state.is_pending, "Looking..."),
            (not screen.takes_clicks, "Press Point: then clicks are prompts."),
            (
                state.target is not None,
                f"Editing object {state.target}: Enter saves, Esc leaves.",
            ),
            (bool(state.prompts), "Click to refine, Enter to accept, Esc to discard."),
        )
        begin = (
            f"{state.notice} Click on an object in {screen.view.name}, or drag a box."
        )
        return next((text for is_so, text in cases if is_so), begin.strip())

    def _draw_progress(self, job: JobState) -> None:
        # Not `reset`, which paints at once, and with it the canvas, whatever state
        # that is in.
        self.progress.setToolTip(job.text)
        if not job.text:
            self.progress.setRange(0, 1)
        elif not job.count:
            self.progress.setRange(0, 0)
        else:
            # Bytes of a large download are beyond Qt's numbers.
            self.progress.setRange(0, 1000)
            self.progress.setValue(round(1000 * job.done / job.count))


def _end(controller: Controller, keys: Keys, *_: object) -> None:
    """Close what belonged to a dock that nobody has closed."""
    # Where Qt itself ends, the timers are gone: nothing runs any more.
    with suppress(RuntimeError):
        controller.close()
    keys.close()
