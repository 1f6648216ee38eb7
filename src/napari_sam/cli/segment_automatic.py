"""`napari-sam segment` without prompts: everything in an image -> a label volume."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from napari_sam.atomic_files import replace_atomically
from napari_sam.automatic import (
    AutomaticMode,
    AutomaticOptions,
    AutomaticReport,
    RunProgress,
    keep_memory,
    segment_image,
)
from napari_sam.cli import segment_prompts
from napari_sam.cli.checking import (
    check_label_name,
    check_picture,
    check_writable,
    opened_image,
)
from napari_sam.cli.overlay import ShownObject, draw_overlay
from napari_sam.cli.reporting import FAILED, INTERRUPTED, Bars, note, show, warn
from napari_sam.cli.request import (
    AutomaticRequest,
    Mode,
    ModelChoice,
    Precision,
    RequestError,
    chosen_planes,
)
from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.labels import LabelOptions, default_labels_path, find_location
from napari_sam.model.window_model import WindowModel
from napari_sam.zarr_nodes import is_url

if TYPE_CHECKING:
    from distributed import Client

SHOWN_FAILURES = 20
LOG_EVERY_S = 60.0
PATIENCE_S = 30  # with a scheduler that does not answer
SHOWN_SIDE = 1024  # of the part that a picture shows of a plane that it cannot show


@dataclass(frozen=True, slots=True)
class _CheckedRequest:
    """A request, as far as it can be checked without reading pixels."""

    request: AutomaticRequest
    image: Image
    labels: Path | str
    planes: list[tuple[int, ...]] | None


def run_automatic(request: AutomaticRequest) -> int:
    """Carry out a request; returns the exit code, 0 only if nothing is missing.

    Raises
    ------
    SamError
        The request, the model or the output cannot be used.
    """
    keep_memory()
    checked = _checked(request)
    with checked.image:
        try:
            with cluster_client(request) as client, _Bars() as bars:
                report = _segmented(checked, client, bars.show)
        except KeyboardInterrupt:
            note("interrupted; the same command goes on from here.", "error")
            return INTERRUPTED
        _summarise(report, is_estimated=request.run.object_size is None)
        if request.run.objects_file is not None:
            _copy(report.objects_file, request.run.objects_file)
            show(f"Objects: {request.run.objects_file}")
        if request.overlay is not None:
            _draw(checked, report, request.overlay)
    return 0 if report.is_complete else FAILED


@contextmanager
def cluster_client(request: AutomaticRequest) -> Iterator[Client | None]:
    """A client for as long as the command needs it, None for this process alone.

    Raises
    ------
    RequestError
        Both kinds of cluster, dask.distributed is not installed, or none answers.
    """
    if request.run.workers is None and request.run.scheduler is None:
        yield None
        return
    if request.run.workers is not None and request.run.scheduler is not None:
        raise RequestError(
            "--workers starts processes on this machine, --scheduler uses a cluster "
            "that runs; got both."
        )
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise RequestError(
            "--workers and --scheduler need dask.distributed, which is not installed: "
            "pip install 'napari-sam-zarr[distributed]'."
        ) from error
    if request.run.scheduler is not None:
        try:
            client = Client(request.run.scheduler, timeout=PATIENCE_S)
        except (OSError, ValueError, TimeoutError) as error:
            raise RequestError(
                f"--scheduler needs the address of a dask scheduler, such as "
                f"tcp://host:8786; {request.run.scheduler} does not answer: {error}."
            ) from error
        with client:
            yield client
        return
    # A worker has one model, which uses the cores that it is given.
    with (
        LocalCluster(
            n_workers=request.run.workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _checked(request: AutomaticRequest) -> _CheckedRequest:
    image = opened_image(request.source)
    planes = chosen_planes(request.run.planes, image.stack_axes, image.stack_shape)
    if request.run.region is not None and not Box.of_shape(image.shape).contains(
        request.run.region
    ):
        raise RequestError(
            f"The planes have {image.shape[0]} rows and {image.shape[1]} columns, got "
            f"--region {request.run.region}."
        )
    labels = request.target.path or default_labels_path(image.source)
    if not is_url(labels):
        location = find_location(labels, image.source)
        check_label_name(location.path)
        check_writable(location.store.parent, f"The output {location.path}")
        labels = location.path
    elif request.overlay is not None:
        raise RequestError(f"--overlay needs labels on a local disk, got {labels}.")
    if request.overlay is not None:
        taken = [] if image.source is None or "://" in image.source else [image.source]
        check_picture(request.overlay.expanduser(), [Path(path) for path in taken])
    if request.run.objects_file is not None:
        check_writable(
            request.run.objects_file.expanduser().resolve().parent,
            f"The table {request.run.objects_file}",
        )
    return _CheckedRequest(request, image, labels, planes)


def _mode(mode: Mode | None) -> AutomaticMode | None:
    return None if mode is Mode.BEST else AutomaticMode((mode or Mode.GRID).value)


def _segmented(
    checked: _CheckedRequest, client: Any, on_progress: Callable[[RunProgress], None]
) -> AutomaticReport:
    request = checked.request
    version = request.target.version
    return segment_image(
        checked.image,
        checked.labels,
        _model(request.model, to_workers=client is not None),
        options=AutomaticOptions(
            object_size=request.run.object_size, mode=_mode(request.run.mode)
        ),
        planes=checked.planes,
        region=request.run.region,
        level=request.level,
        skip_empty=request.run.skip_empty,
        overwrite=request.target.overwrite,
        label_options=LabelOptions(version=None if version is None else version.value),
        on_progress=on_progress,
        device=request.model.device,
        client=client,
        staging=request.run.staging,
    )


def _model(model: ModelChoice, *, to_workers: bool) -> WindowModel | str:
    """The model; for workers its name, unless it has to be sent with its precision."""
    if to_workers and model.precision is Precision.AUTO:
        return model.name
    return segment_prompts.load_window_model(model)


def _summarise(report: AutomaticReport, *, is_estimated: bool) -> None:
    """Print what is on disk, and what is missing."""
    objects = "1 object" if report.objects == 1 else f"{report.objects} objects"
    empty = f", {report.skipped} empty" if report.skipped else ""
    show(f"Labels: {report.labels} ({objects}; {report.windows} windows{empty})")
    if is_estimated:
        size = f"{report.object_size:.0f} pixels"
        show(f"Object size: {size}, estimated; if that is wrong, give --object-size.")
    if report.is_complete:
        return
    note(f"{len(report.failures)} windows failed; they are empty:", "error")
    for failure in report.failures[:SHOWN_FAILURES]:
        box = failure.box
        where = f"y={box.y0}:{box.y1}, x={box.x0}:{box.x1}"
        plane = f"plane {list(failure.plane)}, " if failure.plane else ""
        note(f"  {plane}{where}: {failure.reason}")
    more = len(report.failures) - SHOWN_FAILURES
    if more > 0:
        note(f"  and {more} more")
    note("  The same command tries these again, and nothing else.")


def _copy(table: Path, file: Path) -> None:
    """Write a copy, whole or not at all."""
    with replace_atomically(file) as partial:
        shutil.copyfile(table, partial)


def _draw(checked: _CheckedRequest, report: AutomaticReport, file: Path) -> None:
    """Draw the first plane; of one that cannot be shown whole, a part."""
    image = checked.image
    plane = (
        (0,) * len(image.stack_shape) if checked.planes is None else checked.planes[0]
    )
    y, x = (max((side - SHOWN_SIDE) // 2, 0) for side in image.shape)
    middle = Box(y, x, y + SHOWN_SIDE, x + SHOWN_SIDE).clip(Box.of_shape(image.shape))
    shown = ShownObject((), None, checked.request.run.region or middle)
    labels = Path(report.labels)
    picture = draw_overlay(image, plane, labels, [shown], file.expanduser())
    if picture.unreadable_count:
        warn(f"overlay {file}: parts of the image cannot be read and are gray.")
    show(f"Overlay: {file}")


class _Bars(Bars):
    """What is done of the run's stage: a bar on a terminal, else a line a minute."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{tchecked.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{tchecked.fields[facts]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._task = self.bars.add_task("sampling", total=None, facts="")
        self._stage, self._begun, self._first = "", monotonic(), 0
        self._logged = monotonic()

    def show(self, progress: RunProgress) -> None:
        """Show how far the run is."""
        now = monotonic()
        if progress.stage != self._stage:
            self._stage, self._begun, self._first = progress.stage, now, progress.done
            self.bars.reset(self._task, total=progress.count)
        seconds = now - self._begun
        rate = (progress.done - self._first) / seconds if seconds > 0 else 0.0
        facts = f"{progress.objects} objects, {rate:.2g} {progress.stage}/s"
        if progress.failures:
            facts = f"{facts}, {progress.failures} failed"
        self.bars.update(
            self._task,
            description=progress.stage,
            completed=progress.done,
            facts=facts,
        )
        if not self.is_terminal and now - self._logged >= LOG_EVERY_S:
            self._logged = now
            note(f"{progress.stage} {progress.done}/{progress.count}: {facts}")
