"""The objects in the labels, one row each; however many, only rows in view cost."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sam.labels import ObjectSummary

COLUMNS = ("Id", "Score", "Pixels", "Plane")


class ObjectTable(QAbstractTableModel):
    """Objects as Qt reads them, row by row."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._objects: tuple[ObjectSummary, ...] = ()

    def set_objects(self, objects: tuple[ObjectSummary, ...]) -> None:
        """Show these instead."""
        self.beginResetModel()
        self._objects = objects
        self.endResetModel()

    def label_id(self, row: int) -> int:
        """The object of a row."""
        return self._objects[row].label_id

    def row_of(self, label_id: int) -> int | None:
        """The row of an object; None if it has none."""
        for row, found in enumerate(self._objects):
            if found.label_id == label_id:
                return row
        return None

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """How many there are."""
        return len(self._objects)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """How many facts there are of each."""
        return len(COLUMNS)

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        """The text of a cell."""
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        return _texts(self._objects[index.row()])[index.column()]

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        """The title of a column."""
        is_title = orientation == Qt.Orientation.Horizontal
        if not is_title or role != Qt.ItemDataRole.DisplayRole:
            return None
        return COLUMNS[section]


class ObjectList(QWidget):
    """The table, and buttons for what is selected in it.

    Attributes
    ----------
    visited, edited, merged
        Emit an id: go there, edit it, add the candidate to it.
    deleted
        Emits a list of ids.
    """

    visited = Signal(object)
    edited = Signal(object)
    merged = Signal(object)
    deleted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = QTableView(self)
        self.rows = ObjectTable(self)
        self.table.setModel(self.rows)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setMinimumHeight(130)
        self.table.verticalHeader().hide()
        self.table.horizontalHeader().setSectionResizeMode(
            QHeaderView.ResizeMode.Stretch
        )
        self.table.clicked.connect(
            lambda index: self.visited.emit(self.rows.label_id(index.row()))
        )
        self.edit_button = self._button("Edit", "Its mask becomes the first prompt")
        self.merge_button = self._button("Merge into", "Add the candidate to it")
        self.delete_button = self._button("Delete", "Turn it into background")
        self.edit_button.clicked.connect(lambda: self._emit_one(self.edited))
        self.merge_button.clicked.connect(lambda: self._emit_one(self.merged))
        self.delete_button.clicked.connect(self._delete)
        buttons = QHBoxLayout()
        for button in (self.edit_button, self.merge_button, self.delete_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        layout.addLayout(buttons)

    def set_objects(self, objects: tuple[ObjectSummary, ...]) -> None:
        """Show these, and keep what is selected selected."""
        selected = self.selected()
        self.rows.set_objects(objects)
        for label_id in selected:
            row = self.rows.row_of(label_id)
            if row is not None:
                self.table.selectRow(row)

    def selected(self) -> list[int]:
        """The ids that are selected."""
        rows = self.table.selectionModel().selectedRows()
        return [self.rows.label_id(index.row()) for index in rows]

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        return button

    def _emit_one(self, signal: Any) -> None:
        selected = self.selected()
        if selected:
            signal.emit(selected[0])

    def _delete(self) -> None:
        selected = self.selected()
        if selected:
            self.deleted.emit(selected)


def _texts(found: ObjectSummary) -> tuple[str, str, str, str]:
    first = found.planes[0] if found.planes else ()
    more = f" +{len(found.planes) - 1}" if len(found.planes) > 1 else ""
    return (
        str(found.label_id),
        "" if found.score is None else f"{found.score:.2f}",
        "" if found.area is None else str(found.area),
        ", ".join(map(str, first)) + more,
    )
