"""Journal first, then pixels, then a checkpoint; and what a crash left, on opening.

    journal, fsync -> pixels, all levels -> ... -> files flushed, "checkpoint"
    accepted here                                  safe from a power cut up to here

A kill loses nothing that was written, a power cut may lose pixels written since the
last checkpoint. Opening goes through the edits since then, in order. They hold
absolute values, so it does not matter which of them had arrived.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from napari_sam.errors import LabelError, LabelWriteError, SamError
from napari_sam.labels.edit_plans import check_in_place, reading
from napari_sam.labels.edits import Edit, Patch, Stroke
from napari_sam.labels.journal import Entry
from napari_sam.labels.ledger import Operation
from napari_sam.labels.opening import OpenLabels

CHECKPOINT_EVERY = 64
"""Edits between checkpoints: what an opening after a crash has to go through."""

logger = logging.getLogger("napari_sam")


class PixelsPendingError(LabelWriteError):
    """A change that is safe in the journal, but not yet whole in the pixels."""

    edit: Edit  # the one that was made, undone or redone


class LabelWriter:
    """Changes one label volume; its caller lets one thread do so at a time."""

    def __init__(self, opened: OpenLabels) -> None:
        self._pyramid = opened.volume.pyramid
        self._journal = opened.journal
        self._ledger = opened.ledger
        self._pending: list[Stroke] = []

    def recover(self) -> None:
        """Bring the pixels to the state of the journal."""
        operations = self._ledger.unsafe
        try:
            for start in range(0, len(operations), CHECKPOINT_EVERY):
                strokes = self.strokes_of(operations[start : start + CHECKPOINT_EVERY])
                self._pyramid.sweep(strokes)
                self._pyramid.apply(strokes)
            self.checkpoint()
        except (OSError, LabelError):
            self._journal.close()
            raise

    def strokes_of(self, operations: Iterable[Operation]) -> list[Stroke]:
        """The pixels of operations, read from the journal."""
        strokes: list[Stroke] = []
        for operation in operations:
            patches = self._journal.read(operation.sequence).data["patches"]
            strokes.extend(
                Stroke(Patch.from_json(patch), operation.forward) for patch in patches
            )
        return strokes

    def finish_pending(self) -> None:
        """Write the pixels that an earlier failure left out, or raise again."""
        if not self._pending:
            return
        try:
            self._pyramid.apply(self._pending)
        except (OSError, LabelError) as error:
            raise LabelWriteError(
                getattr(error, "errno", None),
                f"Pixels of an earlier edit still cannot be written ({error}), so "
                "nothing more is changed. They are safe in the journal. Make room, "
                "and try again or open the labels again",
            ) from error
        self._pending.clear()

    def commit(
        self, kind: str, data: Mapping[str, Any], strokes: Sequence[Stroke]
    ) -> Entry:
        """Make a change: a LabelWriteError if it was not, see `PixelsPendingError`."""
        entry = self._journal.append(kind, data, durable=True)
        self._ledger.follow(entry)
        self._pending.extend(strokes)
        try:
            self._pyramid.apply(self._pending)
        except (OSError, LabelError) as error:
            raise self._pending_error(entry, error) from error
        self._pending.clear()
        if len(self._ledger.unsafe) >= CHECKPOINT_EVERY:
            self.try_checkpoint()
        return entry

    def turn(self, operation: Operation) -> Entry:
        """Undo or redo an edit whose pixels are as it left them, else a LabelError."""
        strokes = self.strokes_of([operation])
        with reading():
            check_in_place(self._pyramid.levels[0], strokes)
        kind = "reapply" if operation.forward else "revert"
        return self.commit(kind, {"edit": operation.sequence}, strokes)

    def checkpoint(self) -> None:
        """Wait until all of it survives a power cut."""
        if self._ledger.unsafe and not self._pending:
            try:
                self._pyramid.sync()
            except OSError as error:
                raise LabelWriteError(
                    error.errno, f"Label files could not be flushed to disk ({error})"
                ) from error
            self._ledger.follow(self._journal.append("checkpoint", {}, durable=True))

    def try_checkpoint(self) -> None:
        """Make a checkpoint; without one, the next opening only has more to do."""
        try:
            self.finish_pending()
            self.checkpoint()
        except SamError as error:
            logger.warning(
                "%s. The next opening of the labels goes through the journal.", error
            )

    def _pending_error(self, entry: Entry, error: Exception) -> PixelsPendingError:
        raised = PixelsPendingError(
            getattr(error, "errno", None),
            f"The change is safe in the journal (entry {entry.sequence}), but its "
            f"pixels could not all be written ({error}). Make room: the next edit, or "
            "opening the labels again, completes it",
        )
        edit = self._ledger.edit(entry.data.get("edit", entry.sequence))
        if edit is not None:
            raised.edit = edit
        return raised
