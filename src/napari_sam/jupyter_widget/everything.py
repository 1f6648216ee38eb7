"""Everything in view, or in the whole plane: found beside the labels, then put in.

The run has a label volume of its own, and can be gone on with. What it finds goes into
the session's labels block by block; pixels that have an object keep it, and each block
is one step for undo.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.run import Progress, segment_image
from napari_sam.automatic.run_folder import EverythingReport
from napari_sam.geometry import Box
from napari_sam.jupyter_widget.worker import JobWatch
from napari_sam.session import Session
from napari_sam.tiling.labels import LabelStore

BLOCK = 2048
"""Side of what is written at once, in pixels: 16 MB of ids."""


def find_everything(
    session: Session,
    plane: tuple[int, ...],
    region: Box,
    report: Callable[[Progress], None],
    watch: JobWatch,
) -> EverythingReport:
    """Segment a region of a plane into a volume of its own; on a worker."""
    labels = Path(session.labels.path)
    stem = labels.name.removesuffix(".ome.zarr").removesuffix(".zarr")
    return segment_image(
        session.image,
        labels.with_name(f"{stem}.everything.ome.zarr"),
        session.predictor.model,
        planes=[plane],
        region=region,
        overwrite=True,
        on_progress=report,
        watch=watch,
    )


def forget_run(report: EverythingReport) -> None:
    """Take away the run's own volume, once all of it is in the session's labels."""
    for folder in (report.labels, report.objects_file.parent.parent):
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True, eq=False)
class Merging:
    """Puts what was found into a session's labels; on the desk.

    Parameters
    ----------
    plane
        That was segmented.
    """

    plane: tuple[int, ...]
    ids: dict[int, int] = field(default_factory=dict)  # of the run -> of the labels

    def blocks(self, region: Box) -> Iterator[Box]:
        """What to write at once, one after the other."""
        for y in range(region.y0, region.y1, BLOCK):
            for x in range(region.x0, region.x1, BLOCK):
                yield Box(y, x, y + BLOCK, x + BLOCK).clip(region)

    def write(self, session: Session, store: LabelStore, box: Box) -> None:
        """Write the objects of a block where there is background."""
        found_hw = store.read(self.plane, box)
        labels_hw = session.labels.read(self.plane, box)
        new_hw = np.where(labels_hw == 0, found_hw, 0)
        if new_hw.any():
            merged_hw = np.where(new_hw > 0, self._renamed(session, new_hw), labels_hw)
            session.paint(merged_hw, box, self.plane)

    def _renamed(
        self, session: Session, found_hw: NDArray[np.uint32]
    ) -> NDArray[np.uint32]:
        """Ids of the labels for ids of the run.

        They are given out only as they are written, so that an object that the user
        accepts between two blocks gets none of them.
        """
        free = session.labels.next_id
        seen, inverse = np.unique(found_hw, return_inverse=True)
        for found_id in seen.tolist():
            if found_id and found_id not in self.ids:
                self.ids[found_id], free = free, free + 1
        renamed = [self.ids.get(found_id, 0) for found_id in seen.tolist()]
        return np.array(renamed, dtype=np.uint32)[inverse.reshape(found_hw.shape)]
