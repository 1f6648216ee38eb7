"""The button "Segment everything": a run on a worker of its own, with a bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sam.automatic.run import Progress
from napari_sam.automatic.run_folder import EverythingReport
from napari_sam.geometry import Box
from napari_sam.jupyter_widget.controls import EverythingRow
from napari_sam.jupyter_widget.everything import Merging, find_everything, forget_run
from napari_sam.jupyter_widget.stage import seen_of
from napari_sam.jupyter_widget.worker import Job, Worker
from napari_sam.tiling.labels import LabelStore

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

    def __init__(self, workspace: Workspace, row: EverythingRow) -> None:
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
        self._set_running(True)
        self._row.progress(0, 1, "Starting")
        self._worker.submit(
            Job(
                lambda watch: find_everything(
                    session, plane, region, self._report, watch
                ),
                done=lambda report: self._write(report, plane, region),
                failed=self._on_failed,
                topic=TOPIC,
            )
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

    def _report(self, progress: Progress) -> None:
        if self._is_running:
            text = f"{progress.stage}: {progress.objects} objects"
            self._row.progress(progress.done, progress.count, text)

    def _write(
        self, report: EverythingReport, plane: tuple[int, ...], region: Box
    ) -> None:
        """Write block by block; what the user does meanwhile comes in between."""
        desk = self._workspace.desk
        merging = Merging(plane)
        store = LabelStore.open(report.labels, mode="r")
        blocks = merging.blocks(region)

        def write_next() -> None:
            box = next(blocks, None) if self._is_running else None
            if box is None:
                store.close()
                self._finish(report, len(merging.ids))
                return
            try:
                merging.write(self._workspace.session, store, box)
            except Exception as error:  # noqa: BLE001 - a full disk; told to the user
                store.close()
                self._on_failed(error)
                return
            desk.post(write_next)

        write_next()

    def _finish(self, report: EverythingReport, count: int) -> None:
        if not self._is_running:
            return
        self._set_running(False)
        if report.is_complete:
            forget_run(report)
        failed = f", {len(report.failures)} windows failed" if report.failures else ""
        self._row.progress(1, 1, f"{count} objects{failed}")

    def _on_failed(self, error: Exception) -> None:
        self._set_running(False)
        self._row.progress(0, 1, "")
        self._workspace.show_error(error)

    def _set_running(self, is_running: bool) -> None:
        self._is_running = is_running
        self._row.show(is_running=is_running)
