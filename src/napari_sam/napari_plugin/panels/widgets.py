"""Parts of the dock: buttons, rows, sections, and what the model gets to see."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_sam.napari_plugin.panels.model_picker import ModelPicker

OPEN_SIGN, FOLDED_SIGN = "\u25be", "\u25b8"


def button(
    text: str, tip: str, act: Callable[[], Any], *, checkable: bool = False
) -> QPushButton:
    """A button that calls `act`."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    # Keys go to the canvas, not to the button that was pressed last.
    made.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    made.clicked.connect(lambda *_: act())
    return made


def note() -> QLabel:
    """A text that wraps, and may be copied."""
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def row(*widgets: QWidget) -> QWidget:
    """Widgets side by side."""
    whole = QWidget()
    layout = QHBoxLayout(whole)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return whole


def section(title: str, *widgets: QWidget, is_open: bool = False) -> QCollapsible:
    """Widgets below each other under a title that folds them away."""
    content = QWidget()
    layout = QVBoxLayout(content)
    layout.setContentsMargins(4, 2, 4, 2)
    for widget in widgets:
        layout.addWidget(widget)
    folded = QCollapsible(title)
    folded.setDuration(0)
    folded.setContent(content)
    # The widget's own arrows stay black in a dark theme; text has the theme's colour.
    folded.setExpandedIcon(QIcon())
    folded.setCollapsedIcon(QIcon())

    def show(is_open: bool) -> None:
        folded.setText(f"{OPEN_SIGN if is_open else FOLDED_SIGN} {title}")

    folded.toggled.connect(show)
    show(is_open)
    if is_open:
        folded.expand(animate=False)
    else:
        folded.collapse(animate=False)
    return folded


class CandidateButtons(QWidget):
    """One button for each of up to three candidates, with its score."""

    def __init__(self, choose: Callable[[int], None]) -> None:
        super().__init__()
        self.buttons = [
            button(str(i + 1), f"Candidate {i + 1}", partial(choose, i), checkable=True)
            for i in range(3)
        ]
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for made in self.buttons:
            layout.addWidget(made)

    def show_scores(self, scores: list[float], chosen: int) -> None:
        """Show these candidates, and which one is chosen."""
        for index, made in enumerate(self.buttons):
            is_there = index < len(scores)
            made.setEnabled(is_there)
            made.setChecked(is_there and index == chosen)
            text = f"{index + 1}: {scores[index]:.2f}" if is_there else str(index + 1)
            made.setText(text)


class ImagePanel(QWidget):
    """What the model gets to see: model, device, level, channels, contrast."""

    def __init__(
        self,
        reopen: Callable[..., None],
        set_level: Callable[[int | None], None],
        model: str,
    ) -> None:
        super().__init__()
        self._reopen = reopen
        self.picker = ModelPicker(model)
        self.picker.picked.connect(lambda name: reopen(model=name))
        self.device = note()
        self.level = QComboBox()
        self.level.setToolTip("The finest level of the pyramid to look at")
        self.level.activated.connect(
            lambda index: set_level(None if index == 0 else index - 1)
        )
        self.channels = QLineEdit()
        self.channels.setPlaceholderText("as they are; or 0, 2")
        self.channels.setToolTip("One to three channels, counted from 0")
        self.channels.editingFinished.connect(self._on_channels)
        self.contrast = QCheckBox("As the layer shows it")
        self.contrast.setToolTip("Off: one range for the image, from a sample of it")
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addRow("Model", self.picker)
        layout.addRow("Runs on", self.device)
        layout.addRow("Work at", self.level)
        layout.addRow("Channels", self.channels)
        layout.addRow("Contrast", self.contrast)

    def show_image(self, image: Any, level: int | None) -> None:
        """Show the levels and channels of this image."""
        self.level.clear()
        self.level.addItem("automatic")
        for index, facts in enumerate(image.levels):
            height, width = facts.shape
            self.level.addItem(f"level {index} ({width} x {height})")
        self.level.setCurrentIndex(0 if level is None else level + 1)
        self.channels.setText(", ".join(map(str, image.channels)))
        self.channels.setEnabled(image.channel_count > 1)
        self.channels.setModified(False)

    def _on_channels(self) -> None:
        if not self.channels.isModified():
            return
        self.channels.setModified(False)
        words = self.channels.text().replace(",", " ").split()
        if all(word.isdigit() for word in words):
            self._reopen(channels=tuple(map(int, words)) or None)
