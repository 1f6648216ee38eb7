"""The part of the dock that segments everything: where, how large, how far it is."""

from __future__ import annotations

from contextlib import suppress
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

from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.everything_run import EverythingRun
from napari_sam.napari_plugin.layers.rectangle import Where
from napari_sam.napari_plugin.panels.guarded import guarded
from napari_sam.napari_plugin.panels.widgets import button, note, row

MOST_SIZE = 100_000  # pixels


class AutomaticPanel(QWidget):
    """Draws an `EverythingRun`, and passes on what the user wants of it.

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
        self._run: EverythingRun | None = None
        self._height = 0  # that the section makes room for
        self._make_widgets()
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Where", self.where)
        layout.addRow(self._rectangle_row)
        layout.addRow("Object size", self.size)
        layout.addRow(row(self.start, self.cancel, self.go_on))
        layout.addRow(self.bar)
        layout.addRow(self.said)

    def draw(self) -> None:
        """Show the state of the run."""
        run = self._controller.everything
        if run is not self._run:
            self._bind(run)
        is_running = run is not None and run.is_running
        is_rectangle = self._where is Where.RECTANGLE
        if run is not None:
            guarded(lambda: run.area.show(is_rectangle))
        self._rectangle_row.setVisible(is_rectangle)
        for part in (self.where, self.rectangle, self.drawn, self.size, self.start):
            part.setEnabled(run is not None and not is_running)
        self.cancel.setEnabled(is_running)
        can_continue = run is not None and run.can_continue
        if can_continue and not self.go_on.isEnabled() and self.section is not None:
            self.section.expand(animate=False)
        self.go_on.setEnabled(can_continue)
        self.said.setText("" if run is None else run.text)
        self._fit()
        if run is None:
            self.bar.setRange(0, 1)
            return
        self.drawn.setChecked(run.area.is_drawing)
        if not self.rectangle.hasFocus():
            self.rectangle.setText(run.area.text)
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
        self.cancel = button("Cancel", "Stop; what was found is kept", self._on_cancel)
        self.go_on = button(
            "Continue", "Go on with the run that was left unfinished", self._on_go_on
        )
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(8)
        self.said = note()

    def _fit(self) -> None:
        """Have all of it seen: a section keeps the height that it was unfolded with."""
        needed = self.said.heightForWidth(self.width())
        self.said.setMinimumHeight(max(needed, 0))  # of an empty text it is -1
        layout, section = self.layout(), self.section
        height = layout.sizeHint().height()
        if section is not None and section.isExpanded() and height != self._height:
            self._height = height
            layout.activate()
            section.expand(animate=False)

    def _bind(self, run: EverythingRun | None) -> None:
        """Another image: another run."""
        if self._run is not None:
            # Qt may have let go of it together with its workspace.
            with suppress(RuntimeError, TypeError):
                self._run.changed.disconnect(self.draw)
                self._run.area.changed.disconnect(self.draw)
        self._run = run
        chosen = self.where.currentText()
        self.where.blockSignals(True)
        self.where.clear()
        has_stack = run is not None and run.has_stack
        places = [where for where in Where if where is not Where.STACK or has_stack]
        self.where.addItems([str(where) for where in places])
        self.where.setCurrentIndex(max(self.where.findText(chosen), 0))
        self.where.blockSignals(False)
        if run is not None:
            run.changed.connect(self.draw)
            run.area.changed.connect(self.draw)

    def _on_start(self) -> None:
        run = self._run
        if run is not None:
            size = self.size.value() or None
            level = self._controller.choices.level
            guarded(lambda: run.start(self._where, size, level))

    def _on_cancel(self) -> None:
        if self._run is not None:
            guarded(self._run.cancel)

    def _on_go_on(self) -> None:
        if self._run is not None:
            guarded(self._run.go_on)

    def _on_draw(self) -> None:
        if self._run is not None:
            self._run.area.begin_drawing(self.drawn.isChecked())

    def _on_typed(self) -> None:
        run, text = self._run, self.rectangle.text()
        if run is not None and text != run.area.text:
            guarded(lambda: run.area.take_text(text))
            self.draw()
