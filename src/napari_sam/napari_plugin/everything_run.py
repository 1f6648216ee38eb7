"""Segment everything in the image of a workspace, on a worker, tile by tile.

    find      tiles, seams      worker of its own    goes on after Cancel, and after a
                                                     restart, where it was
    merge     block by block    writer of the labels,    between what the user does;
                                                     all of it a step for undo

Clicks have another worker: they are answered while a run goes on. Nothing of a run is
lost until all of it is in the labels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from qtpy.QtCore import QObject, Qt, Signal

from napari_sam.annotator.run_merge import (
    RegionRequest,
    RunMerge,
    UnfinishedRun,
    all_planes,
    find_objects,
    forget_run,
    unfinished_run,
)
from napari_sam.annotator.run_text import (
    Speed,
    failure_text,
    progress_text,
    result_text,
    unfinished_text,
    window_text,
)
from napari_sam.automatic.run import RunProgress
from napari_sam.errors import SamError, SessionError
from napari_sam.geometry import Box
from napari_sam.napari_plugin import log
from napari_sam.napari_plugin.everything_adding import Adding
from napari_sam.napari_plugin.jobs import REPORT_INTERVAL_S, Job, Jobs, JobWatch
from napari_sam.napari_plugin.layers.found_tiles import FoundPresenter
from napari_sam.napari_plugin.layers.rectangle import RectanglePresenter, Where
from napari_sam.napari_plugin.screen import Workspace
from napari_sam.predictor.progress import WindowProgress

logger = logging.getLogger(__name__)

TOPIC, LOOK_TOPIC, FORGET_TOPIC = "everything", "unfinished", "forget"

Line = tuple[int, int, str]  # done, count, text


class EverythingRun(QObject):
    """One run at a time; `close` it before the workspace.

    Parameters
    ----------
    workspace
        Whose labels get the objects.
    jobs
        A worker that nobody waits for; it stays open.
    view
        Gives the pixels of level 0 in view.

    Attributes
    ----------
    area
        Where the rectangle is.
    found
        What the run has found so far, on show; None before the first run.
    changed
        Emits when any of the properties has changed.
    """

    changed = Signal()
    _told = Signal(object, object)

    def __init__(
        self, workspace: Workspace, jobs: Jobs, view: Callable[[], Box | None]
    ) -> None:
        super().__init__()
        self._workspace, self._jobs, self._view = workspace, jobs, view
        self.area = RectanglePresenter(workspace)
        self.found: FoundPresenter | None = None
        self._line: Line = (0, 0, "")
        self._failures = ""
        self._unfinished: UnfinishedRun | None = None
        self._is_running = self._is_closed = False
        self._adding: Adding | None = None
        self._told.connect(self._on_told, Qt.ConnectionType.QueuedConnection)
        workspace.moved.connect(self._on_moved)
        self._look()

    @property
    def is_running(self) -> bool:
        """Whether objects are being looked for, or written."""
        return self._is_running

    @property
    def done(self) -> int:
        """Steps of what it does that are done."""
        return self._line[0]

    @property
    def count(self) -> int:
        """How many steps there are; 0 if that is not known."""
        return self._line[1]

    @property
    def text(self) -> str:
        """What the user is told."""
        left = self._unfinished
        words = [self._line[2], self._failures]
        if not self._is_running and left is not None and not self._failures:
            words.append(unfinished_text(left))
        return "\n".join(word for word in words if word)

    @property
    def can_continue(self) -> bool:
        """Whether there is a run to go on with."""
        left = self._unfinished
        fits = left is not None and left.fits_image and left.fits_model
        return fits and not self._is_running

    @property
    def has_stack(self) -> bool:
        """Whether there is more than one plane."""
        return any(n > 1 for n in self._workspace.session.image.stack_shape)

    def start(
        self, where: Where, object_size: float | None = None, level: int | None = None
    ) -> None:
        """Begin; an unfinished run of the same is gone on with, another replaced."""
        try:
            planes, region = self._place(where)
        except SamError as error:
            self._on_failed(error)
            return
        self._run(RegionRequest(planes, region, object_size, level))

    def go_on(self) -> None:
        """Go on with the run that was left unfinished."""
        if self.can_continue and self._unfinished is not None:
            self._run(self._unfinished.request)

    def cancel(self) -> None:
        """Stop at once; what was found is kept."""
        if not self._is_running:
            return
        if self._adding is None:
            self._jobs.cancel(TOPIC)  # and `_on_dropped`
        else:
            self._end("Cancelled. What is not in the labels yet is kept.")
            self._look()

    def close(self) -> None:
        """Stop; the run can be gone on with."""
        self._is_closed = True
        self._workspace.moved.disconnect(self._on_moved)
        for topic in (TOPIC, LOOK_TOPIC):
            self._jobs.cancel(topic)
        self._end("")
        if self.found is not None:
            self.found.close()
        self.area.close()

    def _place(self, where: Where) -> tuple[tuple[tuple[int, ...], ...], Box]:
        session, plane = self._workspace.session, self._workspace.plane_in_view
        whole = Box.of_shape(session.image.shape)
        if where is Where.STACK:
            return all_planes(session), whole
        if plane is None:
            raise SessionError(
                "Segmenting a plane needs one on show: leave the 3D view, and move the "
                "sliders onto the image; or choose all planes."
            )
        if where is Where.PLANE:
            return (plane,), whole
        box = self._view() if where is Where.VIEW else self.area.rectangle
        if box is None:
            raise SessionError(
                "There is no part of the image in view. Move it into the canvas."
                if where is Where.VIEW
                else "There is no rectangle yet. Press Draw and drag one on the image, "
                "or type y0, x0, y1, x1."
            )
        return (plane,), box

    def _run(self, request: RegionRequest) -> None:
        if self._is_running or self._is_closed:
            return
        session = self._workspace.session
        if self.found is not None:
            self.found.close()
        found = self.found = FoundPresenter(self._workspace)
        self._is_running, self._failures = True, ""
        self._say(0, 0, "Looking at the image")

        def work(watch: JobWatch) -> RunMerge:
            teller = _Teller(found, watch, self._told.emit)
            report = find_objects(session, request, teller.tell, teller.look)
            return RunMerge.begin(session, request, report, watch)

        self._jobs.submit(
            Job(
                work,
                done=self._add,
                failed=self._on_failed,
                dropped=self._on_dropped,
                topic=TOPIC,
                text=f"Segmenting everything in {self._workspace.layer.name}",
            )
        )

    def _on_told(self, found: FoundPresenter, line: Line) -> None:
        if found is self.found and self._is_running and self._adding is None:
            self._say(*line)

    def _add(self, merging: RunMerge) -> None:
        """What was found goes into the labels."""
        total = len(merging.blocks)
        self._adding = Adding(
            self,
            self._workspace,
            merging,
            lambda done: self._say(
                done, total, f"Adding to the labels: block {done + 1} of {total}"
            ),
            self._finish,
            self._on_failed,
        )

    def _finish(self, merging: RunMerge) -> None:
        report, session = merging.report, self._workspace.session
        self._end(result_text(report, merging.count))
        if self.found is not None:
            self.found.close()
        self._failures = failure_text(report.failures)
        if report.is_complete:
            self._jobs.submit(
                Job(
                    lambda _: forget_run(session),
                    done=lambda _: self._look(),
                    failed=lambda error: logger.error("%s", error, exc_info=error),
                    topic=FORGET_TOPIC,
                )
            )
        else:
            self._look()
        self.changed.emit()

    def _on_failed(self, error: BaseException) -> None:
        self._end(log.in_plain_words(error))
        self._workspace.show_error(error)
        self._look()

    def _on_dropped(self) -> None:
        if not self._is_closed:
            self._end("Cancelled. What was found is kept.")
            # Behind what is still ending: then the folder of the run is at rest.
            self._look()

    def _end(self, text: str) -> None:
        adding, self._adding = self._adding, None
        if adding is not None:
            adding.stop()
        self._is_running = False
        self._say(0, 1, text)

    def _look(self) -> None:
        """Look in the worker whether there is a run to go on with."""
        session = self._workspace.session
        self._unfinished = None
        self._jobs.submit(
            Job(
                lambda _: unfinished_run(session),
                done=self._on_looked,
                failed=lambda error: logger.error("%s", error, exc_info=error),
                topic=LOOK_TOPIC,
            )
        )

    def _on_looked(self, unfinished: UnfinishedRun | None) -> None:
        self._unfinished = unfinished
        self.changed.emit()

    def _say(self, done: int, count: int, text: str) -> None:
        self._line = (done, count, text)
        if not self._is_closed:  # by then the panel may be gone
            self.changed.emit()

    def _on_moved(self) -> None:
        if self.found is not None:
            self.found.follow(self._workspace.placement)
        self.area.follow()


class _Teller:
    """In the run's thread: passes on how far it is, and the tiles that are done."""

    def __init__(
        self,
        found: FoundPresenter,
        watch: JobWatch,
        emit: Callable[[FoundPresenter, Line], None],
    ) -> None:
        self._found, self._watch, self._emit = found, watch, emit
        self._speed = Speed()
        self._progress: RunProgress | None = None
        self._kept_back: Line | None = None
        self._told_s = 0.0

    def look(self, look: WindowProgress) -> None:
        """End the work where it was cancelled."""
        if look.most_windows:
            self._speed.begin()
        if self._progress is None:
            # A tile may take a while.
            self._say((0, 0, window_text(look)))
        elif self._kept_back is not None:
            self._say(self._kept_back)
        self._watch()

    def tell(self, progress: RunProgress) -> None:
        """Take notice of a step."""
        is_first, self._progress = self._progress is None, progress
        if progress.tile is not None:
            self._speed.done = progress.done
            self._found.add(progress.tile)
        words = progress_text(progress, self._speed.per_second)
        line = (progress.done, progress.count, words)
        self._say(line, at_once=is_first or progress.done == progress.count)
        if not self._watch.is_cancelled:
            self._watch.progress(progress.done, progress.count)

    def _say(self, line: Line, at_once: bool = False) -> None:
        now = monotonic()
        if at_once or now - self._told_s > REPORT_INTERVAL_S:
            self._told_s, self._kept_back = now, None
            self._emit(self._found, line)
        else:
            self._kept_back = line
