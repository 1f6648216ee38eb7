"""The label volume of an image, on disk: objects go in and out, whole.

An edit is one line of the journal, flushed to disk before any pixel is written. So
whatever ends the program, the journal knows exactly which objects were accepted, and
opening the labels again brings every level of the pyramid to that state.

One writer at a time holds a lock as long as it is open. Readers take none, and may see
an edit before all of its blocks are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from napari_sam.errors import LabelError, LabelWriteError, NothingToWriteError
from napari_sam.geometry import Box
from napari_sam.labels.edit_plans import (
    Plane,
    check_id,
    check_labels,
    check_mask,
    most_overlapped,
    plan_add,
    plan_erase,
    plan_paint,
    plan_replace,
    reading,
)
from napari_sam.labels.edits import Edit, OverlapRule, Patch, Stroke
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.journal import Entry
from napari_sam.labels.ledger import (
    OWN_KINDS,
    Gain,
    Operation,
    edit_data,
    gains_from,
    overwriting,
)
from napari_sam.labels.location import LabelLocation, existing_labels, find_location
from napari_sam.labels.lock import locked_if_opened
from napari_sam.labels.opening import OpenLabels, open_for_reading, open_for_writing
from napari_sam.labels.view import LabelView, sequence_of
from napari_sam.labels.volume import LabelOptions
from napari_sam.labels.writer import LabelWriter
from napari_sam.masks import Mask


class LabelStore(LabelView):
    """The labels of one image; `LabelStore.open` makes one.

    The metadata list no colours, so viewers give each id one of their own: of a list
    that is not complete, they would hide the ids that are missing.

    All methods may be called from any thread; edits happen one after the other.
    """

    def __init__(
        self, location: LabelLocation, opened: OpenLabels, lock: FileLock | None
    ) -> None:
        super().__init__(location, opened)
        self._finest = opened.volume.pyramid.levels[0]
        self._writer = LabelWriter(opened)
        self._lock = lock
        self._is_open = True

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        geometry: LabelGeometry | None = None,
        *,
        mode: Literal["a", "r"] = "a",
        options: LabelOptions | None = None,
    ) -> Self:
        """Open a label volume, made if there is none.

        Parameters
        ----------
        path
            A folder for a store of its own, or IMAGE/labels/NAME inside of an
            OME-Zarr image. Plain napari cannot open images with labels inside.
        geometry
            Axes and shape of the image, which the labels have to have. Not needed
            to go on with existing labels.
        mode
            "a" to write, "r" to read, also while another program writes.
        options
            How to make labels, and whether existing ones are to be replaced.

        Raises
        ------
        LabelError
            What is at `path` is no label volume, not one of this image, or damaged.
        LabelsLockedError
            Someone else writes these labels.
        LabelWriteError
            The folder cannot be written.
        """
        if mode == "r":
            location = find_location(path)
            return cls(location, open_for_reading(location, geometry), None)
        location = find_location(path, None if geometry is None else geometry.source)
        existing_labels(location)
        with locked_if_opened(location) as lock:
            opened = open_for_writing(location, geometry, options or LabelOptions())
            store = cls(location, opened, lock)
            store._writer.recover()
            return store

    def add(
        self,
        mask: Mask,
        box: Box,
        plane: Sequence[int] = (),
        *,
        rule: OverlapRule = OverlapRule.KEEP,
        record: Mapping[str, Any] | None = None,
        label_id: int | None = None,
    ) -> Edit:
        """Write an object; once this returns, it is there whatever happens.

        Parameters
        ----------
        mask
            The object's pixels, bool (height, width), over `box`.
        box
            In pixels of level 0.
        plane
            Index along each of the stack axes.
        rule
            Who gets pixels that an older object has.
        record
            Plain JSON to keep with the object: prompts, model, score.
        label_id
            Write under this id, new or not, instead of the next one; for the parts
            of one object in several planes. Not together with the rule "merge".

        Raises
        ------
        NothingToWriteError
            All its pixels belong to others.
        LabelError
            The id, plane or box cannot be.
        MaskError
            The mask is not bool or does not fit the box.
        PixelsPendingError
            The object is safe in the journal, but its pixels are not all written.
        LabelWriteError
            Nothing was written.
        """
        rule = OverlapRule(rule)
        index = self.geometry.check_plane(plane)
        self._finest.check_box(box)
        check_mask(mask, box)
        with self._serial:
            self._make_ready()
            with reading():
                target = self._target(mask, box, index, rule, label_id)
                patches = plan_add(self._finest, index, mask, box, target, rule)
            if not patches:
                raise NothingToWriteError(
                    f"Nothing is left to write of the object in {box}: every pixel of "
                    "it carries a label already. Use the rule 'overwrite' to take them."
                )
            details = {"rule": rule.value, "record": dict(record or {})}
            return self._change("add", target, patches, details)

    def replace(
        self,
        label_id: int,
        mask: Mask,
        box: Box,
        plane: Sequence[int] = (),
        *,
        record: Mapping[str, Any] | None = None,
    ) -> Edit:
        """Give an object other pixels in a plane, whoever has them; one edit.

        Pixels that it had there and that are not in the mask become background.
        Parameters and errors are those of `add`, a `NothingToWriteError` if the object
        has these pixels already.
        """
        index = self.geometry.check_plane(plane)
        self._finest.check_box(box)
        check_mask(mask, box)
        label_id = check_id(self._finest, label_id)
        with self._serial:
            self._make_ready()
            spots = [spot for _, spot in self._ledger.spots(label_id, index)]
            with reading():
                patches = plan_replace(self._finest, index, mask, box, label_id, spots)
            if not patches:
                raise NothingToWriteError(
                    f"Object {label_id} has exactly these pixels of {box} already."
                )
            gained = gains_from(patches).get(label_id)
            new = 0 if gained is None else gained.pixels
            gain = Gain(new, int(np.count_nonzero(mask)), box)
            details = overwriting({label_id: gain}, record)
            return self._change("replace", label_id, patches, details)

    def paint(
        self,
        labels_hw: NDArray[np.integer],
        box: Box,
        plane: Sequence[int] = (),
        *,
        record: Mapping[str, Any] | None = None,
        scores: Mapping[int, float] | None = None,
        part_of: str = "",
    ) -> Edit:
        """Give a box these labels, several objects at once; one edit.

        Parameters
        ----------
        labels_hw
            Label ids over `box`, integers; 0 erases. Ids may be new.
        box, plane, record
            As for `add`; the record goes with each id that gets pixels.
        scores
            0..1, of ids with one of their own.
        part_of
            Of edits that a user takes for one: a name that they share.

        Raises
        ------
        NothingToWriteError
            The box has these labels already.
        LabelError, MaskError
            The plane, box or an id cannot be, or the array is none of such ids.
        PixelsPendingError, LabelWriteError
            As for `add`.
        """
        index = self.geometry.check_plane(plane)
        self._finest.check_box(box)
        check_labels(self._finest, labels_hw, box)
        with self._serial:
            self._make_ready()
            with reading():
                patches = plan_paint(self._finest, index, labels_hw, box)
            if not patches:
                raise NothingToWriteError(f"The labels in {box} are so already.")
            gains = gains_from(patches, scores)
            details = overwriting(gains, record)
            if part_of:
                details["part_of"] = part_of
            only = next(iter(gains)) if len(gains) == 1 else 0
            return self._change("paint", only, patches, details)

    def erase(
        self,
        label_id: int,
        plane: Sequence[int] | None = None,
        box: Box | None = None,
    ) -> Edit:
        """Turn an object into background.

        Parameters
        ----------
        label_id
            The object.
        plane
            Only there; everywhere the object was added if None.
        box
            Only there, in pixels of level 0; needs `plane`. Also the way to erase
            objects that the journal does not know, from before it was begun.
        """
        label_id = check_id(self._finest, label_id)
        with self._serial:
            self._make_ready()
            patches: list[Patch] = []
            with reading():
                for index, spot in self._spots(label_id, plane, box):
                    found = plan_erase(self._finest, index, spot, label_id)
                    patches.extend(found)
            if not patches:
                raise LabelError(
                    f"Label {label_id} has no pixels there to erase. Its plane and box "
                    "need to be given if it is from before the journal was begun."
                )
            return self._change("erase", label_id, patches, {"whole": box is None})

    def undo(self, edit: Edit | int) -> Edit:
        """Take an edit back exactly; a LabelError if a later one is in the way."""
        return self._turn(edit, forward=False)

    def redo(self, edit: Edit | int) -> Edit:
        """Bring back exactly an edit that was undone."""
        return self._turn(edit, forward=True)

    def note(
        self, kind: str, data: Mapping[str, Any], *, durable: bool = False
    ) -> Entry:
        """Add to the journal what is not an edit, such as prompts.

        It keeps its order with edits. A crash can lose it until the next edit, or
        until the labels are closed, unless it is `durable`.
        """
        if kind in OWN_KINDS:
            raise LabelError(
                f"The label store writes entries of kind {kind!r} itself. Choose "
                f"another kind than {sorted(OWN_KINDS)}."
            )
        with self._serial:
            self._check_writable()
            return self._journal.append(kind, data, durable=durable)

    def checkpoint(self) -> None:
        """Wait until all of it survives a power cut; a LabelWriteError if it fails."""
        with self._serial:
            self._make_ready()
            self._writer.checkpoint()

    def close(self) -> None:
        """Flush, and let others write. What could not be written stays journaled."""
        with self._serial:
            if not self._is_open:
                return
            self._is_open = False
            try:
                if self._lock is not None:
                    self._writer.try_checkpoint()
            finally:
                self._journal.close()
                if self._lock is not None:
                    self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _make_ready(self) -> None:
        self._check_writable()
        self._writer.finish_pending()

    def _check_writable(self) -> None:
        if self._lock is None or not self._is_open:
            state = "closed" if self._lock is not None else "open for reading only"
            message = f"The labels {self.path} are {state}. Open them with mode 'a'."
            raise LabelWriteError(message)

    def _target(
        self,
        mask: Mask,
        box: Box,
        plane: Plane,
        rule: OverlapRule,
        requested: int | None,
    ) -> int:
        """The id to write an object under."""
        target = (
            self.next_id if requested is None else check_id(self._finest, requested)
        )
        if rule is OverlapRule.MERGE and requested is not None:
            raise LabelError(
                "The rule 'merge' chooses the label id itself, got label_id "
                f"{requested}. Leave it out, or use the rule 'keep' to add to a label."
            )
        if rule is OverlapRule.MERGE:
            target = most_overlapped(self._finest, plane, mask, box) or target
        return check_id(self._finest, target)

    def _spots(
        self, label_id: int, plane: Sequence[int] | None, box: Box | None
    ) -> list[tuple[Plane, Box]]:
        """Where to search for a label's pixels."""
        only = None if plane is None else self.geometry.check_plane(plane)
        if box is not None:
            if only is None:
                raise LabelError(f"Erasing in a box needs its plane too, got {box}.")
            self._finest.check_box(box)
            return [(only, box)]
        return self._ledger.spots(label_id, only)

    def _change(
        self, kind: str, label_id: int, patches: list[Patch], details: dict[str, Any]
    ) -> Edit:
        data = edit_data(label_id, patches, details)
        entry = self._writer.commit(kind, data, [Stroke(patch) for patch in patches])
        return self.edit(entry.sequence)

    def _turn(self, edit: Edit | int, *, forward: bool) -> Edit:
        with self._serial:
            self._make_ready()
            found = self.edit(sequence_of(edit))
            if self.is_applied(found) == forward:
                state = "done" if forward else "undone"
                raise LabelError(f"Edit {found.sequence} is {state} already.")
            self._writer.turn(Operation(found.sequence, forward))
            return found
