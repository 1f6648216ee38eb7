"""Where the labels are, and prompts in files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_sam.napari_plugin import batch
from napari_sam.napari_plugin.controller import Controller
from napari_sam.napari_plugin.panels.guarded import for_workspace
from napari_sam.napari_plugin.panels.widgets import button, note, row

PROMPT_FILES = "Prompts (*.json)"


class LabelsPanel(QWidget):
    """The place of the labels; saving and loading of prompts."""

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.place = note()
        self.choose = button(
            "Other place...", "Keep the labels elsewhere", self._choose_place
        )
        self.save = button("Save prompts...", "Those of all objects", self._save)
        self.load = button("Load prompts...", "An object for each entry", self._load)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.place, self.choose, row(self.save, self.load)):
            layout.addWidget(part)

    def save_to(self, path: Path) -> None:
        """Write the prompts of all objects."""
        for_workspace(self._controller, batch.save_prompts)(path)

    def load_from(self, path: Path) -> None:
        """Make an object of each entry of a prompts file."""
        jobs = self._controller.jobs
        load = partial(batch.load_prompts, jobs=jobs, path=path)
        for_workspace(self._controller, load)()

    def draw(self) -> None:
        """Show where the labels are."""
        workspace = self._controller.workspace
        self.place.setText("" if workspace is None else workspace.opened.place.text)
        for part in (self.choose, self.save, self.load):
            part.setEnabled(workspace is not None)

    def _choose_place(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "A folder for the labels")
        workspace = self._controller.workspace
        if folder and workspace is not None:
            name = f"{workspace.session.image.name}.labels.ome.zarr"
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
