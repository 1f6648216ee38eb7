"""The button "Segment everything": a run on a worker of its own, with a bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.annotator.run_merge import (
    RegionRequest,
    RunMerge,
    find_objects,
    forget_run,
)
from napari_sam.automatic.run import RunProgress
from napari_sam.geometry import Box
from napari_sam.jupyter_widget.controls import AutomaticRow
from napari_sam.jupyter_widget.stage import seen_of
from napari_sam.jupyter_widget.worker import Job, JobWatch, Worker

if TYPE_CHECKING:
    from napari_sam.jupyter_widget.workspace import Workspace

TOPIC = "everything"


class EverythingRun:
    """Runs one at a time; clicks go on meanwhile.

    Parameters
    ----------
    workspace
        Whose labels get the objects.
    row
        Where it is shown.
    """

    def __init__(self, workspace: Workspace, row: AutomaticRow) -> None:
        self._workspace = workspace
        self._row = row
        self._worker = Worker(workspace.desk)
        self._is_running = False

    @property
    def is_running(self) -> bool:
        """Whether objects are being looked for, or written."""
        return self._is_running

    def start(self, *, whole_plane: bool) -> None:
        """Begin; on the desk."""
        if self._is_running:
            return
        workspace = self._workspace
        session, plane = workspace.session, workspace.plane
        whole = Box.of_shape(session.image.shape)
        seen = seen_of(workspace.stage, session.image.shape)
        region = whole if whole_plane or seen is None else seen
        request = RegionRequest((plane,), region)

        def work(watch: JobWatch) -> RunMerge:
            report = find_objects(session, request, self._report, watch)
            return RunMerge.begin(session, request, report, watch)

        self._set_running(True)
        self._row.progress(0, 1, "Starting")
        self._worker.submit(
            Job(work, done=self._write, failed=self._on_failed, topic=TOPIC)
        )

    def cancel(self) -> None:
        """Stop; on the desk. What was found is gone on with by the same request."""
        if self._is_running:
            self._worker.cancel(TOPIC)
            self._set_running(False)
            self._row.progress(0, 1, "Cancelled")

    def close(self) -> None:
        """Stop, whatever it does."""
        self._worker.close()

    def _report(self, progress: RunProgress) -> None:
        if self._is_running:
            text = f"{progress.stage}: {progress.objects} objects"
            self._row.progress(progress.done, progress.count, text)

    def _write(self, merging: RunMerge) -> None:
        """Write block by block; what the user does meanwhile comes in between."""
        workspace = self._workspace
        blocks = iter(merging.blocks)

        def write_next() -> None:
            block = next(blocks, None) if self._is_running else None
            if block is None:
                merging.close()
                self._finish(merging)
                return
            try:
                merging.write(workspace.session, block)
            except Exception as error:  # noqa: BLE001 - a full disk; told to the user
                merging.close()
                self._on_failed(error)
                return
            workspace.desk.post(write_next)

        write_next()

    def _finish(self, merging: RunMerge) -> None:
        if not self._is_running:
            return
        self._set_running(False)
        failures = merging.report.failures
        if not failures:
            forget_run(self._workspace.session)
        failed = f", {len(failures)} windows failed" if failures else ""
        self._row.progress(1, 1, f"{merging.count} objects{failed}")

    def _on_failed(self, error: Exception) -> None:
        self._set_running(False)
        self._row.progress(0, 1, "")
        self._workspace.show_error(error)

    def _set_running(self, is_running: bool) -> None:
        self._is_running = is_running
        self._row.show(is_running=is_running)
