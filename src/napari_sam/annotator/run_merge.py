"""Everything in a part of an image, found beside a session's labels, then put in.

The run has a label volume of its own, in the folder that belongs to the labels, so it
can be gone on with after anything that ended it:

    slide.labels.ome.zarr/                                     the session's labels
    slide.labels.ome.zarr.napari-sam/
        labels.everything.ome.zarr/                            what the run has found
        labels.everything.ome.zarr.napari-sam/labels.everything/
            run.json, tiles/                                   what it goes on with
            merged.npz                                         who has an id by now

What it finds goes into the session's labels block by block. Pixels that have an object
keep it, and an object of which others have most is left out: it would be a rim around
something that is there already.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import product
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from napari_sam.atomic_files import write_atomically
from napari_sam.automatic import (
    AutomaticOptions,
    AutomaticReport,
    Plane,
    RunFolder,
    RunPlan,
    RunProgress,
    RunRequest,
    TileFailure,
    segment_image,
)
from napari_sam.geometry import Box
from napari_sam.labels import BulkLabels, LabelLocation, LabelStore, find_location
from napari_sam.predictor import ProgressCallback, WindowProgress
from napari_sam.session import Session

BLOCK = 2048
"""Side of what is written at once, in pixels: 16 MB of ids."""

Block = tuple[Plane, Box]


@dataclass(frozen=True, slots=True)
class RegionRequest:
    """What a run segments.

    Parameters
    ----------
    planes
        Indices along the stack axes.
    region
        In pixels of level 0, inside of the plane.
    object_size
        Side of a typical object, in pixels of level 0; None: estimated.
    level
        That the model is shown; None: the one that suits the size of the objects.
    """

    planes: tuple[Plane, ...]
    region: Box
    object_size: float | None = None
    level: int | None = None

    @property
    def options(self) -> AutomaticOptions:
        """The same for `segment_image`."""
        return AutomaticOptions(object_size=self.object_size)

    def run_request(self, session: Session) -> RunRequest:
        """What `segment_image` keeps of it in the run's plan."""
        return RunRequest(
            session.image.fingerprint,
            session.predictor.model.fingerprint,
            tuple(sorted(set(self.planes))),
            self.region,
            self.level,
            self.options,
            skip_empty=True,
        )


@dataclass(frozen=True, slots=True)
class UnfinishedRun:
    """A run beside a session's labels of which something is left to do.

    Parameters
    ----------
    request
        What goes on with it.
    tiles_done, tile_count
        How far it is.
    fits_image, fits_model
        Whether the session's image and model are the run's; it needs both.
    failures
        Windows that failed, where the run came to its end.
    """

    request: RegionRequest
    tiles_done: int
    tile_count: int
    fits_image: bool
    fits_model: bool
    failures: tuple[TileFailure, ...]


def all_planes(session: Session) -> tuple[Plane, ...]:
    """Every plane of the session's image, in order."""
    return tuple(product(*map(range, session.image.stack_shape)))


def run_location(session: Session) -> LabelLocation:
    """Where the label volume of a session's run is, or will be."""
    beside = find_location(session.labels.path).run_folder
    return find_location(beside.with_name(f"{beside.name}.ome.zarr"))


def run_plan(session: Session) -> RunPlan | None:
    """The plan of the run that is there, None if there is none."""
    return RunFolder(run_location(session)).plan()


def unfinished_run(session: Session) -> UnfinishedRun | None:
    """The run beside the session's labels, None if there is none; reads a folder."""
    folder = RunFolder(run_location(session))
    plan = folder.plan()
    if plan is None:
        return None
    request, written = plan.request, folder.written()
    is_found = folder.finished() is not None
    done = sum(1 for _ in (folder.path / "tiles").rglob("*.tile"))
    return UnfinishedRun(
        RegionRequest(
            request.planes, request.region, request.options.object_size, request.level
        ),
        plan.tile_count if is_found else done,
        plan.tile_count,
        request.image == session.image.fingerprint,
        request.model == session.predictor.model.fingerprint,
        () if written is None else written.report.failures,
    )


def find_objects(
    session: Session,
    request: RegionRequest,
    report: Callable[[RunProgress], None],
    watch: ProgressCallback,
) -> AutomaticReport:
    """Segment what is requested into the run's volume; on a worker.

    An unfinished run of the same request is gone on with, one of another is replaced.
    """
    folder = RunFolder(run_location(session))
    plan = folder.plan()
    is_same = plan is not None and plan.request == request.run_request(session)
    return segment_image(
        session.image,
        folder.location.path,
        session.predictor.model,
        options=request.options,
        planes=request.planes,
        region=request.region,
        level=request.level,
        # What is found, but not merged yet, is not to be found again.
        overwrite=not (is_same and folder.finished() is not None),
        on_progress=report,
        watch=watch,
    )


def forget_run(session: Session) -> None:
    """Take away the run beside the labels, once all of it is in them."""
    location = run_location(session)
    RunFolder(location).clear()
    for folder in (location.path, location.folder):
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True, eq=False)
class RunMerge:
    """Puts what was found into a session's labels; `close` it in the end.

    Parameters
    ----------
    report
        Of the run.
    store
        What was found, open to read.
    blocks
        What to `write`, one after the other, in any order, at any pace.
    """

    report: AutomaticReport
    store: LabelStore
    blocks: tuple[Block, ...]
    _ids: _MergedIds
    _is_wanted: NDArray[np.bool_] = field(repr=False)
    _scores_n: NDArray[np.float64] = field(repr=False)

    @classmethod
    def begin(
        cls,
        session: Session,
        request: RegionRequest,
        report: AutomaticReport,
        watch: ProgressCallback,
    ) -> RunMerge:
        """Find which objects are new, and where; on a worker."""
        store = LabelStore.open(report.labels, mode="r")
        try:
            ids = _MergedIds.load(session, report)
            survey = _MergeSurvey.of(session, store, request, ids, watch)
        except BaseException:
            store.close()
            raise
        # An id without a pixel: a kill came between the two, or it was undone.
        ids.of_n[survey.own_n == 0] = 0
        wanted = (2 * survey.taken_n <= survey.area_n) | (ids.of_n > 0)
        wanted[0] = False
        return cls(report, store, survey.blocks, ids, wanted, _scores_of(report))

    @property
    def count(self) -> int:
        """How many objects have an id of the labels by now."""
        return int(np.count_nonzero(self._ids.of_n))

    def write(self, session: Session, block: Block) -> None:
        """Write the objects of a block where there is background.

        For undo it is one step with the blocks before it, unless the user has done
        something in between.
        """
        plane, box = block
        found_hw = self.store.read(plane, box)
        labels_hw = session.labels.read(plane, box)
        is_new = self._is_wanted[found_hw] & (labels_hw == 0)
        if is_new.any():
            seen = np.unique(found_hw[is_new])
            self._ids.give(session, seen)
            new_hw = np.where(is_new, self._ids.of_n[found_hw], labels_hw)
            labels, scores = self._ids.of_n[seen], self._scores_n[seen]
            kept = dict(zip(labels.tolist(), scores.tolist(), strict=True))
            session.paint(new_hw, box, plane, kept, part_of=self._ids.identity)

    def close(self) -> None:
        """Let go of what was found."""
        self.store.close()


@dataclass(slots=True, eq=False)
class _MergedIds:
    """Which id of the labels each object of a run has been given, 0 for none."""

    file: Path
    identity: str  # of the run's volume
    of_n: NDArray[np.uint32]

    @classmethod
    def load(cls, session: Session, report: AutomaticReport) -> _MergedIds:
        """Those of an earlier call, if it merged the same volume."""
        file = report.objects_file.with_name("merged.npz")
        identity = BulkLabels.identity_at(run_location(session)) or ""
        of_n = np.zeros(report.objects + 1, dtype=np.uint32)
        try:
            with np.load(file, allow_pickle=False) as kept:
                if str(kept["identity"]) == identity:
                    of_n = kept["of_n"]
        except (OSError, ValueError, KeyError, BadZipFile, EOFError):
            pass  # not there, or damaged: as if nothing had been merged
        return cls(file, identity, of_n)

    def give(self, session: Session, seen: NDArray[np.uint32]) -> None:
        """Give an id to each of these objects that has none; kept before it is used.

        Only as they are written, so that an object that the user accepts between two
        blocks gets none of them.
        """
        new = seen[self.of_n[seen] == 0]
        if not len(new):
            return
        first = session.labels.next_id
        self.of_n[new] = np.arange(first, first + len(new), dtype=np.uint32)
        stream = BytesIO()
        np.savez(stream, identity=np.array(self.identity), of_n=self.of_n)
        write_atomically(self.file, stream.getvalue())


@dataclass(frozen=True, slots=True, eq=False)
class _MergeSurvey:
    """What there is of each object of a run, in pixels.

    Parameters
    ----------
    area_n, taken_n, own_n
        All of it, what any object of the labels has, what it has itself by now.
    blocks
        In which there is any.
    """

    area_n: NDArray[np.int64]
    taken_n: NDArray[np.int64]
    own_n: NDArray[np.int64]
    blocks: tuple[Block, ...]

    @classmethod
    def of(
        cls,
        session: Session,
        store: LabelStore,
        request: RegionRequest,
        ids: _MergedIds,
        watch: ProgressCallback,
    ) -> _MergeSurvey:
        count = len(ids.of_n)
        area_n, taken_n, own_n = (np.zeros(count, dtype=np.int64) for _ in range(3))
        blocks = []
        for plane, box in _blocks(request.planes, request.region):
            watch(WindowProgress(0, box, 0, 0, 0))
            found_hw = store.read(plane, box)
            if not found_hw.any():
                continue
            labels_hw = session.labels.read(plane, box)
            is_taken = labels_hw > 0
            is_own = is_taken & (ids.of_n[found_hw] == labels_hw)
            area_n += np.bincount(found_hw.ravel(), minlength=count)
            taken_n += np.bincount(found_hw[is_taken], minlength=count)
            own_n += np.bincount(found_hw[is_own], minlength=count)
            blocks.append((plane, box))
        return cls(area_n, taken_n, own_n, tuple(blocks))


def _scores_of(report: AutomaticReport) -> NDArray[np.float64]:
    """Of each object of a run, as its table says; 0 for the background."""
    scores_n = np.zeros(report.objects + 1)
    with report.objects_file.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            scores_n[int(row["id"])] = float(row["score"])
    return scores_n


def _blocks(planes: Sequence[Plane], region: Box) -> list[Block]:
    """The blocks of a region, plane by plane, on a lattice of the image's."""
    corners = product(
        range(region.y0 // BLOCK * BLOCK, region.y1, BLOCK),
        range(region.x0 // BLOCK * BLOCK, region.x1, BLOCK),
    )
    boxes = [Box(y, x, y + BLOCK, x + BLOCK).clip(region) for y, x in corners]
    return [(plane, box) for plane in sorted(set(planes)) for box in boxes]
