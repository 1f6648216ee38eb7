"""A run beside a session's labels, found and put in without an annotator."""

from pathlib import Path

import numpy as np
from run_scene import SHAPE, Regions, opened

from napari_sam.annotator.run_merge import RegionRequest, RunMerge, find_objects
from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.predictor.progress import WindowProgress
from napari_sam.session import Session

WHOLE = Box.of_shape(SHAPE)
SIZE = 18
ASKED = RegionRequest(((),), WHOLE, SIZE)


def nothing(*_: object) -> None:
    pass


def session_on(image: Path, folder: Path, model: Regions | None = None) -> Session:
    return Session(opened(image), folder / "cells.ome.zarr", model or Regions())


def found_in(session: Session, request: RegionRequest = ASKED) -> RunMerge:
    report = find_objects(session, request, nothing, nothing)
    return RunMerge.begin(session, request, report, nothing)


def merge(session: Session, request: RegionRequest = ASKED) -> RunMerge:
    merging = found_in(session, request)
    for block in merging.blocks:
        merging.write(session, block)
    merging.close()
    return merging


def labels_in(session: Session, plane: tuple[int, ...] = ()) -> np.ndarray:
    return np.asarray(session.labels.read(plane, WHOLE))


class Stopping:
    """Ends a run at its so-manieth window."""

    def __init__(self, windows: int) -> None:
        self.left = windows

    def __call__(self, look: WindowProgress) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled("enough")
