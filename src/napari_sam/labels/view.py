"""What can be read of a label volume, by its writer and by others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import Any

import zarr

from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels.edit_plans import Plane, check_id
from napari_sam.labels.edits import Edit, LabelArray
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.journal import Journal
from napari_sam.labels.ledger import LabelRecord, ObjectSummary, record_of
from napari_sam.labels.location import LabelLocation
from napari_sam.labels.opening import OpenLabels
from napari_sam.labels.volume import open_arrays
from napari_sam.prompts import Click


class LabelView:
    """The labels of one image, to read; `LabelStore` adds how they change."""

    def __init__(self, location: LabelLocation, opened: OpenLabels) -> None:
        self._location = location
        self._volume = opened.volume
        self._pyramid = opened.volume.pyramid
        self._journal = opened.journal
        self._ledger = opened.ledger
        self._serial = RLock()

    @property
    def path(self) -> Path:
        """Folder of the label group."""
        return self._location.path

    @property
    def geometry(self) -> LabelGeometry:
        """Axes, shape, scale and position, as the metadata have them."""
        return self._volume.geometry

    @property
    def journal(self) -> Journal:
        """All that happened to the labels; `note` adds to it."""
        return self._journal

    @property
    def next_id(self) -> int:
        """The id of the next new object: above every id that was ever used."""
        return self._ledger.highest_id + 1

    @property
    def levels(self) -> list[zarr.Array[Any]]:
        """The levels, finest first, (stack axes, y, x), for viewers: read only."""
        return open_arrays(self.path, self._volume.metadata.paths, writable=False)

    def read(self, plane: Sequence[int], box: Box, level: int = 0) -> LabelArray:
        """Labels (height, width) in a box, in pixels of the level, lazily."""
        index = self.geometry.check_plane(plane)
        found = self._pyramid.level(level)
        found.check_box(box)
        try:
            return found.read(index, box)
        except OSError as error:
            raise LabelError(
                f"Labels in {box} of {found.folder} cannot be read ({error})."
            ) from error

    def label_at(self, plane: Sequence[int], y: float, x: float) -> int:
        """The id under a point of level 0, 0 where there is none."""
        row, column = Click(y, x).pixel
        return int(self.read(plane, Box(row, column, row + 1, column + 1))[0, 0])

    def records(self) -> list[LabelRecord]:
        """What was accepted and is in the labels now, in order of acceptance.

        An object that was added in several parts has several records.
        """
        with self._serial:
            found = self._ledger.live_adds()
        return [record_of(self._journal.read(edit), label) for edit, label in found]

    def objects(self) -> list[ObjectSummary]:
        """What is in the labels now, by label id, without reading from disk.

        Objects from before the journal was begun are not among them.
        """
        with self._serial:
            return self._ledger.objects()

    def area(self, label_id: int) -> int | None:
        """Pixels of an object over all planes; None if from before the journal."""
        return self._ledger.area(check_id(self._pyramid.levels[0], label_id))

    def spots(
        self, label_id: int, plane: Sequence[int] | None = None
    ) -> list[tuple[Plane, Box]]:
        """Where an object's pixels can be, as far as the journal knows.

        A box for each plane, or for one; it can be larger than the object is now.
        """
        only = None if plane is None else self.geometry.check_plane(plane)
        label_id = check_id(self._pyramid.levels[0], label_id)
        with self._serial:
            return self._ledger.spots(label_id, only)

    def edit(self, sequence: int) -> Edit:
        """The edit of a journal entry; a LabelError if the entry is none."""
        found = self._ledger.edit(sequence)
        if found is None:
            raise LabelError(f"Journal entry {sequence} of {self.path} is no edit.")
        return found

    def is_applied(self, edit: Edit | int) -> bool:
        """Whether an edit, or the edit of a journal entry, is not undone."""
        return self._ledger.is_applied(sequence_of(edit))


def sequence_of(edit: Edit | int) -> int:
    """The journal entry of an edit."""
    return edit.sequence if isinstance(edit, Edit) else edit
