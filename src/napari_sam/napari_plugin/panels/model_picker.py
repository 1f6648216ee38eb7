"""Which model answers, and where it runs."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_sam.model import list_models

FILTER = "Weights (*.safetensors *.pth *.pt);;All files (*)"


class ModelPicker(QWidget):
    """The registry's models, and files of weights.

    Attributes
    ----------
    picked
        Emits the name or path that the user picked.
    """

    picked = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.names = QComboBox(self)
        self.names.setMinimumContentsLength(10)
        for listing in list_models():
            row = listing.row
            note = "" if listing.in_cache else " (to download)"
            self.names.addItem(f"{row.name}{note}", row.name)
            tip = f"{row.family}. {row.licence}. {row.page}"
            self.names.setItemData(self.names.count() - 1, tip, 3)  # as a tool tip
        self.set_name(name)
        self.names.activated.connect(
            lambda index: self.picked.emit(self.names.itemData(index))
        )
        self.browse = QPushButton("File...", self)
        self.browse.setToolTip("Weights of SAM or MobileSAM in a file")
        self.browse.clicked.connect(self._browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.names, 1)
        layout.addWidget(self.browse)

    def set_name(self, name: str) -> None:
        """Show this one as picked."""
        index = self.names.findData(name)
        if index < 0:
            self.names.addItem(Path(name).name, name)
            index = self.names.count() - 1
        self.names.setCurrentIndex(index)

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Weights", "", FILTER)
        if path:
            self.set_name(path)
            self.picked.emit(path)
