"""Where the labels are, and prompts in files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam.annotator.commands import LoadPrompts, SavePrompts
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.panels.widgets import button, note, row

PROMPT_FILES = "Prompts (*.json)"


class LabelsPanel(QWidget):
    """The location of the labels; saving and loading of prompts."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.location = note()
        self.choose = button(
            "Other place...", "Keep the labels elsewhere", self._choose_location
        )
        self.save = button("Save prompts...", "Those of all objects", self._save)
        self.load = button("Load prompts...", "An object for each entry", self._load)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.location, self.choose, row(self.save, self.load)):
            layout.addWidget(part)

    def save_to(self, path: Path) -> None:
        """Write the prompts of all objects."""
        self._controller.post(SavePrompts(path))

    def load_from(self, path: Path) -> None:
        """Make an object of each entry of a prompts file."""
        self._controller.post(LoadPrompts(path))

    def draw(self) -> None:
        """Show where the labels are."""
        screen = self._controller.screen
        self.location.setText("" if screen is None else screen.opened.location.text)
        for part in (self.choose, self.save, self.load):
            part.setEnabled(screen is not None)

    def _choose_location(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder for the labels")
        screen = self._controller.screen
        if folder and screen is not None:
            name = f"{screen.opened.session.image.name}.labels.ome.zarr"
            self._controller.reopen(labels=Path(folder) / name)

    def _save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save prompts", "prompts.json", PROMPT_FILES
        )
        if path:
            self.save_to(Path(path))

    def _load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load prompts", "", PROMPT_FILES)
        if path:
            self.load_from(Path(path))
