"""The label volume of a run: opened as late as possible, or as early.

Labels that are continued are opened, and so locked, before the model is loaded. A new
volume is made when there is a first object to write, so that a run that fails leaves
nothing behind, nor replaces anything.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Self

import numpy as np

from napari_sam.cli.request import RequestError, Target
from napari_sam.geometry import Box
from napari_sam.labels import (
    LabelGeometry,
    LabelLocation,
    LabelOptions,
    LabelStore,
    existing_labels,
    lock_for_writing,
)

BLOCK = 2048  # side, in pixels, of what is read at once to find ids


class LabelOutput:
    """Holds the label store of a run, which it opens when it has to.

    Parameters
    ----------
    location
        Where the labels are or will be.
    geometry
        Of the image.
    target
        How to write.
    named_ids
        Ids that objects of the run are to get.

    Raises
    ------
    LabelError, LabelsLockedError, LabelWriteError
        Nothing can be written there.
    RequestError
        The labels have one of the ids already.
    """

    def __init__(
        self,
        location: LabelLocation,
        geometry: LabelGeometry,
        target: Target,
        named_ids: Collection[int] = (),
    ) -> None:
        self._location, self._geometry, self._named = location, geometry, set(named_ids)
        version = None if target.version is None else target.version.value
        self._options = LabelOptions(version=version, overwrite=target.overwrite)
        self._store: LabelStore | None = None
        exists = existing_labels(location) is not None
        if (exists or location.journal.exists()) and not target.overwrite:
            self._check_free(self.open())
        elif location.lock.exists():
            lock_for_writing(location).release()

    @property
    def was_opened(self) -> bool:
        """Whether there are labels now that belong to this run."""
        return self._store is not None

    def open(self) -> LabelStore:
        """The label store, opened or made if it is not yet."""
        if self._store is None:
            self._store = LabelStore.open(
                self._location.path, self._geometry, options=self._options
            )
        return self._store

    def flush(self) -> None:
        """Wait until everything survives a power cut; a LabelWriteError if not."""
        if self._store is not None:
            self._store.checkpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._store is not None:
            self._store.close()

    def _check_free(self, store: LabelStore) -> None:
        taken: list[int] = []
        try:
            taken = sorted(ids_in(store, self._named))
        finally:
            if taken:
                store.close()
        if taken:
            listed = ", ".join(str(label_id) for label_id in taken)
            raise RequestError(
                f"The labels {store.path} have objects with the id {listed} already. "
                "Give other ids or none, choose another output, or start these labels "
                "anew with --overwrite."
            )


def ids_in(store: LabelStore, wanted: Collection[int]) -> set[int]:
    """Those of the ids that objects in the labels have.

    The journal knows them, but for objects from before it was begun: only then, the
    pixels are read, block by block.
    """
    known = {record.label_id for record in store.records()} & set(wanted)
    begun = next(
        (entry for entry in store.journal.entries() if entry.kind == "volume"), None
    )
    older = 0 if begun is None else int(begun.data["highest_id"])
    unknown = [label_id for label_id in set(wanted) - known if label_id <= older]
    return known | _ids_in_pixels(store, unknown) if unknown else known


def _ids_in_pixels(store: LabelStore, wanted: Sequence[int]) -> set[int]:
    found: set[int] = set()
    height, width = store.geometry.shape
    bounds = Box.of_shape((height, width))
    for plane in np.ndindex(*store.geometry.stack_shape):
        for y in range(0, height, BLOCK):
            for x in range(0, width, BLOCK):
                box = Box(y, x, y + BLOCK, x + BLOCK).clip(bounds)
                labels = store.read(plane, box)
                found.update(np.intersect1d(labels, wanted).tolist())
    return found
