"""The part of the dock that segments everything: where, how large, how far it is."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLineEdit,
    QProgressBar,
    QWidget,
)
from superqt import QCollapsible

from napari_sam.annotator.commands import CancelRun, ContinueRun, Where
from napari_sam.errors import SamError
from napari_sam.napari_plugin import log
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.panels.guarded import guarded
from napari_sam.napari_plugin.panels.widgets import button, note, row
from napari_sam.napari_plugin.screen import NapariScreen

MOST_SIZE = 100_000  # pixels


class AutomaticPanel(QWidget):
    """Draws the state of a run, and passes on what the user wants of it.

    Parameters
    ----------
    controller
        Of the dock.

    Attributes
    ----------
    section
        That the panel is in, which is unfolded when there is a run to go on with.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.section: QCollapsible | None = None
        self._screen: NapariScreen | None = None
        self._refusal = ""  # why the last run could not be started
        self._height = 0  # that the section makes room for
        self._make_widgets()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Where", self.where)
        layout.addRow(self._rectangle_row)
        layout.addRow("Object size", self.size)
        layout.addRow(row(self.start, self.cancel, self.go_on))
        layout.addRow(self.bar)
        layout.addRow(self.text)

    def draw(self) -> None:
        """Show the state of the run."""
        screen, run = self._controller.screen, self._controller.state.run
        if screen is not self._screen:
            self._bind(screen)
        self._draw_rectangle()
        for part in (self.where, self.rectangle, self.drawn, self.size, self.start):
            part.setEnabled(screen is not None and not run.is_running)
        self.cancel.setEnabled(run.is_running)
        if run.can_continue and not self.go_on.isEnabled() and self.section is not None:
            self.section.expand(animate=False)
        self.go_on.setEnabled(run.can_continue)
        if run.is_running:
            self._refusal = ""
        self.text.setText(self._refusal or run.text)
        self._fit()
        # Not 0 of 0 where it is not known: Qt shows that as a bar that is busy.
        self.bar.setRange(0, run.count)
        self.bar.setValue(run.done)

    def resizeEvent(self, event: Any) -> None:
        """Make room for text that wraps elsewhere now."""
        super().resizeEvent(event)
        self._fit()

    @property
    def _where(self) -> Where:
        return Where(self.where.currentText())

    def _make_widgets(self) -> None:
        self.where = QComboBox()
        self.where.setToolTip("The part of the image to look at")
        self.where.addItems([str(where) for where in Where])
        self.where.currentIndexChanged.connect(lambda _: self.draw())
        self.rectangle = QLineEdit()
        self.rectangle.setPlaceholderText("y0, x0, y1, x1")
        self.rectangle.setToolTip("In pixels of the full image; Enter takes it")
        self.rectangle.editingFinished.connect(self._on_typed)
        self.drawn = button(
            "Draw", "Drag the rectangle on the image", self._on_draw, checkable=True
        )
        self._rectangle_row = row(self.rectangle, self.drawn)
        self.size = QDoubleSpinBox()
        self.size.setDecimals(0)
        self.size.setRange(0, MOST_SIZE)
        self.size.setSpecialValueText("automatic")
        self.size.setSuffix(" px")
        self.size.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.size.setToolTip(
            "Side of a typical object in pixels of the full image; 0: automatic"
        )
        self.start = button(
            "Start", "Find every object, and add it to the labels", self._on_start
        )
        post = self._controller.post
        self.cancel = button(
            "Cancel", "Stop; what was found is kept", partial(post, CancelRun())
        )
        self.go_on = button(
            "Continue",
            "Go on with the run that was left unfinished",
            partial(post, ContinueRun()),
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.text = note()

    def _fit(self) -> None:
        """Have all of it seen: a section keeps the height that it was unfolded with."""
        needed = self.text.heightForWidth(self.width())
        self.text.setMinimumHeight(max(needed, 0))  # of an empty text it is -1
        layout, section = self.layout(), self.section
        height = layout.sizeHint().height()
        if section is not None and section.isExpanded() and height != self._height:
            self._height = height
            layout.activate()
            section.expand(animate=False)

    def _bind(self, screen: NapariScreen | None) -> None:
        """Another image: another rectangle, and perhaps a stack."""
        if self._screen is not None:
            self._screen.rectangle.changed.disconnect(self.draw)
        self._screen, self._refusal = screen, ""
        chosen = self.where.currentText()
        self.where.blockSignals(True)
        self.where.clear()
        has_stack = screen is not None and any(
            n > 1 for n in screen.opened.session.image.stack_shape
        )
        parts = [where for where in Where if where is not Where.STACK or has_stack]
        self.where.addItems([str(where) for where in parts])
        self.where.setCurrentIndex(max(self.where.findText(chosen), 0))
        self.where.blockSignals(False)
        if screen is not None:
            screen.rectangle.changed.connect(self.draw)

    def _draw_rectangle(self) -> None:
        is_chosen = self._where is Where.RECTANGLE
        self._rectangle_row.setVisible(is_chosen)
        if self._screen is None:
            return
        rectangle = self._screen.rectangle
        guarded(lambda: rectangle.show(is_chosen))
        self.drawn.setChecked(rectangle.is_drawing)
        if not self.rectangle.hasFocus():
            self.rectangle.setText(rectangle.text)

    def _on_start(self) -> None:
        self._refusal = ""
        try:
            self._controller.start_run(self._where, self.size.value() or None)
        except SamError as error:
            self._refusal = str(error)
            log.show(error)
        self.draw()

    def _on_draw(self) -> None:
        if self._screen is not None:
            self._screen.draw_rectangle(self.drawn.isChecked())

    def _on_typed(self) -> None:
        screen, text = self._screen, self.rectangle.text()
        if screen is not None and text != screen.rectangle.text:
            guarded(lambda: screen.rectangle.take_text(text))
            self.draw()
