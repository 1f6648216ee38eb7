"""Find all objects in an image of any size, so that nothing that is done is lost.

    settle   once: object size, intensity range, level, windows        -> run.json
    tiles    each window by itself, in groups                          -> tiles/
    seams    which objects of overlapping windows are the same
    labels   every pixel's final id, block by block, and the pyramid    -> LABELS.zarr
    upload   to an object store, where they go to one

The first two steps are the long ones, and the same call continues them, whatever ended
the run before. The labels follow from what is in the tiles, whoever computed those, in
which order. They are made beside their final location and moved there whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Literal

from napari_sam.automatic.estimate.planning import plan_run
from napari_sam.automatic.plan import (
    RunPlan,
    RunRequest,
    Tile,
    check_level,
    checked_planes,
    checked_region,
)
from napari_sam.automatic.remote_labels import RemoteLabels
from napari_sam.automatic.run_folder import AutomaticReport, RunFolder, WrittenLabels
from napari_sam.automatic.seams.write_labels import LabelWriting, StitchingStep
from napari_sam.automatic.tiles.pipeline import Concurrency, run_tiles
from napari_sam.automatic.tiles.tile_files import TileFiles, TileSummary
from napari_sam.automatic.window.options import AutomaticOptions
from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.labels import BulkLabels, LabelGeometry, LabelOptions, find_location
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import ProgressCallback, WindowProgress
from napari_sam.zarr_nodes import is_url

if TYPE_CHECKING:
    from distributed import Client

    from napari_sam.automatic.tiles.dask_cluster import Cluster
    from napari_sam.images import ImageLike


RunStage = Literal["tiles", "seams", "labels", "upload"]


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run has come.

    Parameters
    ----------
    stage
        "tiles", then "seams" and "labels" for each plane; "upload" counts files.
    done, count
        Steps of the stage that are done, and how many there are.
    objects
        Found so far; about as many as there will be.
    skipped
        Windows that were left out so far, as flat background.
    failures
        Windows that failed so far.
    tile
        The tile that has just been done, in the stage of tiles.
    """

    stage: RunStage
    done: int
    count: int
    objects: int
    skipped: int
    failures: int
    tile: Tile | None = None


def segment_image(  # noqa: PLR0913 - each is a choice of the user's
    image: ImageLike | Image,
    labels: str | PathLike[str],
    model: WindowModel | str = "default",
    *,
    options: AutomaticOptions | None = None,
    planes: Sequence[Sequence[int]] | None = None,
    region: Box | None = None,
    level: int | None = None,
    skip_empty: bool = True,
    overwrite: bool = False,
    label_options: LabelOptions | None = None,
    on_progress: Callable[[RunProgress], None] | None = None,
    watch: ProgressCallback | None = None,
    device: str = "auto",
    concurrency: Concurrency | None = None,
    client: Client | None = None,
    staging: str | PathLike[str] | None = None,
) -> AutomaticReport:
    """Find every object in an image or a stack, plane by plane, into a label volume.

    Whatever ends it, even a kill, the same call continues where it was, and its labels
    are the same.

    Parameters
    ----------
    image
        What `open_image` takes, or what it gave.
    labels
        A new OME-Zarr label volume: a folder for a store of its own,
        IMAGE/labels/NAME inside of an OME-Zarr image, or a URL that fsspec can write
        to, such as s3://BUCKET/NAME.ome.zarr.
    model
        From `load_model`, or a name or path for it.
    options
        What is searched and kept. The object size is in pixels of level 0 here;
        None: estimated once, from samples of the image.
    planes
        Indices along the stack axes; None: all.
    region
        In pixels of level 0; labels outside of it stay 0. None: the whole plane.
    level
        The level that the model segments; None: the finest at which it sees such
        objects well. The labels have level 0 in any case.
    skip_empty
        Whether windows of flat background are left out.
    overwrite
        Whether labels and other runs at that location are replaced.
    label_options
        How to make the volume.
    on_progress
        Called when a tile, or a block of labels, is done.
    watch
        Called with each window before the model gets it, and at least as often later;
        may raise `Cancelled`, or any other error, to stop.
    device
        Where a model that is given by name computes.
    concurrency
        How much is done at once.
    client
        Of a dask.distributed cluster, whose workers compute the tiles; they need the
        image at the same path or URL. The labels are the same. None: this process does.
    staging
        For labels at a URL: a local folder with room for them, in which the run is
        carried out and continued. None: where programs keep caches.

    Returns
    -------
    AutomaticReport
        What the run came to. Windows that could not be read or segmented are among its
        failures; the objects of all others are in the labels.

    Raises
    ------
    SamError
        The request does not fit the image, or the labels cannot be written.
    Cancelled
        What `watch` raises; what was found is kept.
    """
    opened = open_image(image)
    remote = RemoteLabels.at(labels, opened.source, staging) if is_url(labels) else None
    location = (
        find_location(labels, opened.source) if remote is None else remote.location
    )
    wanted_planes = checked_planes(opened, planes)
    wanted_region = checked_region(opened, region)
    check_level(opened, level)
    loaded = _loaded(model, device)
    request = RunRequest(
        opened.fingerprint,
        loaded.fingerprint,
        wanted_planes,
        wanted_region,
        level,
        options or AutomaticOptions(),
        skip_empty,
    )
    cluster = None if client is None else _cluster(client, image, opened, model, device)
    folder = RunFolder(location, remote)
    concurrency = concurrency or Concurrency()
    run = _Run(opened, loaded, folder, on_progress, watch, concurrency, cluster)
    volume = replace(label_options or LabelOptions(), overwrite=False)
    with BulkLabels.locked(location):
        return run.carry_out(request, volume, overwrite=overwrite)


@dataclass(slots=True)
class _Run:
    """One call of `segment_image`: what it works on, and how far it is."""

    image: Image
    model: WindowModel
    folder: RunFolder
    on_progress: Callable[[RunProgress], None] | None
    watch: ProgressCallback | None
    concurrency: Concurrency
    cluster: Cluster | None = None
    windows: int = 0  # that the model got in this call
    objects: int = 0
    skipped: int = 0
    failures: int = 0
    most_windows: int = 0
    level: int = 0

    def carry_out(
        self, request: RunRequest, volume: LabelOptions, *, overwrite: bool
    ) -> AutomaticReport:
        """Do what is left of the run."""
        folder = self.folder
        BulkLabels.settle(folder.location)
        folder.sweep()
        plan = folder.plan()
        if overwrite and plan is not None:
            # An unfinished run of the same request is continued: the call is for it.
            if plan.request != request or folder.finished() is not None:
                folder.clear()
                plan = None
        elif plan is not None:
            folder.check_same(plan, request)
            if (report := folder.finished()) is not None:
                return report
        folder.check_remote(overwrite=overwrite)
        if not overwrite:
            folder.check_replaceable()
        if plan is None:
            folder.clear()
            plan = plan_run(self.image, self.model, request, self._before_sample)
            folder.begin(plan)
        self.most_windows, self.level = plan.window_count, plan.level
        report = folder.made() or self._labels(plan, volume)
        if folder.remote is not None:
            self._publish(folder.remote)
        return report

    def _tiles(self, files: TileFiles, found: AutomaticReport) -> AutomaticReport:
        """Compute the tiles that are not there, or not whole."""
        todo: list[Tile] = []
        for tile in files.plan.tiles():
            summary = files.summary(tile)
            if summary is None or summary.failures:
                todo.append(tile)
            else:
                found = self._counted(files.plan, found, summary)
        if self.cluster is not None:
            computed = self.cluster.run_tiles(files, todo, self._before_tile)
        else:
            computed = run_tiles(
                files,
                self.image,
                self.model,
                todo,
                self._before_window,
                self.concurrency,
            )
        for summary in computed:
            found = self._counted(files.plan, found, summary)
        return found

    def _counted(
        self, plan: RunPlan, found: AutomaticReport, summary: TileSummary
    ) -> AutomaticReport:
        found = replace(
            found,
            objects=found.objects + summary.object_count,
            tiles=found.tiles + 1,
            windows=found.windows + summary.window_count,
            skipped=found.skipped + summary.empty_count,
            failures=found.failures + summary.failures,
        )
        self.objects, self.skipped = found.objects, found.skipped
        self.failures = len(found.failures)
        self._report("tiles", found.tiles, plan.tile_count, summary.tile)
        return found

    def _labels(self, plan: RunPlan, options: LabelOptions) -> AutomaticReport:
        """Compute the tiles that are missing, and write the labels anew from all."""
        folder, geometry = self.folder, LabelGeometry.of(self.image)
        files = TileFiles.of(folder.path, plan)
        labels, table, size = folder.labels, folder.objects_file, plan.object_size
        nothing = AutomaticReport(labels, table, 0, 0, 0, 0, (), size)
        report = self._tiles(files, nothing)
        bulk = BulkLabels.begin(folder.location, geometry, options)
        objects = LabelWriting(files, bulk, self._stitched).write(table)
        report = replace(report, objects=objects)
        folder.note_written(WrittenLabels(bulk.identity, False, report))
        bulk.publish(objects)
        folder.note_written(WrittenLabels(bulk.identity, True, report))
        if report.is_complete:
            folder.drop_tiles()
        return report

    def _publish(self, remote: RemoteLabels) -> None:
        """Put the labels that were made into the object store."""
        written = self.folder.written()
        if written is not None:
            remote.publish(written.identity, self.folder.objects_file, self._uploaded)
            if written.report.is_complete:
                remote.drop_copy()

    def _uploaded(self, done: int, count: int) -> None:
        self._watch(Box.of_shape(self.image.shape))
        self._report("upload", done, count, None)

    def _before_sample(self, level: int, box: Box) -> None:
        self.level = level
        self._watch(box)

    def _before_tile(self, plan: RunPlan, tile: Tile) -> None:
        cells = plan.cells_of(tile)
        self._watch(plan.grid.window(*cells[0]))
        self.windows += len(cells)

    def _before_window(self, window: Box) -> None:
        self._watch(window)
        self.windows += 1

    def _stitched(self, step: StitchingStep) -> None:
        self._watch(step.box)
        self._report(step.stage, step.done, step.count, None)

    def _watch(self, window: Box) -> None:
        if self.watch is not None:
            count = self.windows
            self.watch(
                WindowProgress(self.level, window, count, count, self.most_windows)
            )

    def _report(
        self,
        stage: RunStage,
        done: int,
        count: int,
        tile: Tile | None,
    ) -> None:
        if self.on_progress is not None:
            self.on_progress(
                RunProgress(
                    stage, done, count, self.objects, self.skipped, self.failures, tile
                )
            )


def _loaded(model: WindowModel | str, device: str) -> WindowModel:
    if not isinstance(model, str):
        return model
    # Loading torch takes seconds, so it waits until the request has been checked.
    from napari_sam.model import load_model  # noqa: PLC0415

    return load_model(model, device)


def _cluster(
    client: Client,
    image: ImageLike | Image,
    opened: Image,
    model: WindowModel | str,
    device: str,
) -> Cluster:
    """The cluster with what its workers need to open the same image and model."""
    # The extra it needs may not be there.
    from napari_sam.automatic.tiles.dask_cluster import Cluster  # noqa: PLC0415

    is_array = opened.source is None
    if is_array and isinstance(image, Image):
        raise ImageError(
            "Workers open the image themselves, which needs a path, a URL or an array; "
            "got an Image of an array. Give segment_image the array itself."
        )
    return Cluster(client, image if is_array else opened, model, device)
