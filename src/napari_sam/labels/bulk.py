"""Write all of a label volume at once, rather than object by object.

The pixels go into a draft, block by block, each written once and whole; then each
level is sampled from the one before, block by block; then all is flushed, and the
draft replaces what was there. Whatever ends the program on the way,
there are the old labels, or the new ones, whole; see `volume`.

The journal of such labels begins with the highest id that they have, so that objects
which are added later get the next ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import LabelError, LabelWriteError
from napari_sam.geometry import Box
from napari_sam.labels.edits import grid_cells
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.journal import Journal
from napari_sam.labels.ledger import Ledger
from napari_sam.labels.location import LabelLocation
from napari_sam.labels.lock import lock_for_writing, release_without_trace
from napari_sam.labels.opening import begin, existing_volume
from napari_sam.labels.pyramid import LabelLevel, LabelPyramid, plane_index
from napari_sam.labels.volume import (
    LabelOptions,
    open_volume,
    publish_staged,
    set_aside,
    settle_drafts,
    staged_volume,
    sync_tree,
)
from napari_sam.zarr_nodes import read_node

Plane = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BulkLabels:
    """A label volume that is being written; its caller holds the lock.

    Every OSError of it is to be taken for a LabelWriteError, as `locked` does.
    """

    location: LabelLocation
    geometry: LabelGeometry
    identity: str
    pyramid: LabelPyramid

    @staticmethod
    @contextmanager
    def locked(location: LabelLocation) -> Iterator[None]:
        """Hold the lock of a location; an OSError becomes a LabelWriteError."""
        lock = lock_for_writing(location)
        try:
            yield
        except OSError as error:
            if isinstance(error, LabelWriteError) or error.errno is None:
                raise
            raise LabelWriteError(
                error.errno,
                f"The labels {location.path} could not be written ({error}). Labels "
                "need a folder that can be written, with room. What was found is kept: "
                "make room, and run it again",
            ) from error
        finally:
            release_without_trace(location, lock)

    @staticmethod
    def settle(location: LabelLocation) -> None:
        """End what an earlier writer left half done; needs the lock."""
        settle_drafts(location)

    @staticmethod
    def identity_at(location: LabelLocation) -> str | None:
        """What ties the labels there to their journal, None if none are there."""
        volume = existing_volume(location, writable=False)
        return None if volume is None else volume.metadata.identity

    @staticmethod
    def was_edited(location: LabelLocation) -> bool:
        """Whether the journal there has any edit."""
        journal = Journal(location.journal, writable=False)
        return bool(Ledger(journal.entries()).operations)

    @classmethod
    def begin(
        cls, location: LabelLocation, geometry: LabelGeometry, options: LabelOptions
    ) -> Self:
        """Make the draft, empty; an earlier one that was not finished is dropped."""
        identity = uuid4().hex
        draft = staged_volume(location, geometry, options, identity)
        node = read_node(draft)
        if node is None:
            raise LabelError(f"The labels {draft} vanished while they were made.")
        opened = open_volume(LabelLocation(draft, draft), node, writable=True)
        return cls(location, geometry, identity, opened.pyramid)

    def blocks(self, box: Box) -> Iterator[Box]:
        """The blocks of level 0 that meet a box of it, row by row, each whole."""
        finest = self.pyramid.levels[0]
        height, width = finest.block_shape[-2:]
        bounds = Box.of_shape(finest.shape)
        for part in grid_cells(box, height, width):
            y, x = part.y0 // height * height, part.x0 // width * width
            yield Box(y, x, y + height, x + width).clip(bounds)

    @property
    def sampled_block_count(self) -> int:
        """How many blocks `sample` yields for a plane."""
        count = 0
        for level in self.pyramid.levels[1:]:
            height, width = level.block_shape[-2:]
            count += len(list(grid_cells(Box.of_shape(level.shape), height, width)))
        return count

    def write(self, plane: Plane, block: Box, labels_hw: NDArray[np.uint32]) -> None:
        """Write one of the `blocks`; background needs not be written."""
        if labels_hw.any():
            _write(self.pyramid.levels[0], plane, block, labels_hw)

    def read(self, plane: Plane, block: Box) -> NDArray[np.uint32]:
        """What one of the `blocks` has been given."""
        return self.pyramid.levels[0].read(plane, block)

    def sample(self, plane: Plane) -> Iterator[Box]:
        """Bring a plane, all of whose blocks are written, to the coarser levels.

        Yields each block once it is there, in pixels of its level.
        """
        levels = self.pyramid.levels
        for finer, coarser in pairwise(levels):
            height, width = coarser.block_shape[-2:]
            for block in grid_cells(Box.of_shape(coarser.shape), height, width):
                # In a call of its own: nothing of it is kept while the next is read.
                _write_sample(finer, coarser, plane, block)
                yield block

    def publish(self, highest_id: int) -> None:
        """Flush the draft, and replace labels that are there with it."""
        location = self.location
        sync_tree(location.drafts / "new")
        if location.path.exists() or location.journal.exists():
            set_aside(location, journal=True)
        journal = Journal(location.journal, writable=True)
        try:
            contents = (self.geometry, highest_id)
            begin(journal, Ledger(), self.identity, "adopted", contents)
        finally:
            journal.close()
        publish_staged(location)
        settle_drafts(location)


def _write(
    level: LabelLevel, plane: Plane, block: Box, labels_hw: NDArray[np.uint32]
) -> None:
    level.array[plane_index(plane, block)] = labels_hw


def _write_sample(
    finer: LabelLevel, coarser: LabelLevel, plane: Plane, block: Box
) -> None:
    labels_hw = _sampled(finer, plane, block)
    if labels_hw is not None:
        _write(coarser, plane, block, labels_hw)


def _sampled(finer: LabelLevel, plane: Plane, block: Box) -> NDArray[np.uint32] | None:
    """A block of the next level, None where it is background; reads block by block."""
    labels_hw = np.zeros(block.shape, dtype=np.uint32)
    height, width = finer.block_shape[-2:]
    source = block.scaled(2, 2).clip(Box.of_shape(finer.shape))
    is_empty = True
    for part in grid_cells(source, height, width):
        where = (*plane, part.y0 // height, part.x0 // width)
        if not finer.block_file(where).exists():
            continue
        is_empty = False
        # The first of the part's rows that lies on a row of the next level.
        y, x = part.y0 % 2, part.x0 % 2
        found = finer.read(plane, part)[y::2, x::2].copy()
        y0, x0 = -(-part.y0 // 2) - block.y0, -(-part.x0 // 2) - block.x0
        labels_hw[y0 : y0 + found.shape[0], x0 : x0 + found.shape[1]] = found
    return None if is_empty else labels_hw
