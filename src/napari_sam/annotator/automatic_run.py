"""Segment everything in a part of an image, tile by tile, on a queue of its own.

    find     tiles, seams      job queue of its own     goes on after Cancel, and after
                                                        a restart, where it was
    merge    block by block    the session's thread,    between what the user does;
                                                        all of it a step for undo

Clicks have another queue: they are answered while a run goes on. Nothing of a run is
lost until all of it is in the labels.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from time import monotonic

from napari_sam.annotator.commands import StartRun, Where
from napari_sam.annotator.jobs import REPORT_INTERVAL_S, Job, JobQueue, JobWatch
from napari_sam.annotator.run_merge import (
    Block,
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
from napari_sam.annotator.session_thread import SessionThread
from napari_sam.annotator.state import Plane, RunState, Screen, in_plain_words
from napari_sam.automatic import RunProgress, Tile
from napari_sam.errors import SessionError
from napari_sam.geometry import Box
from napari_sam.predictor import WindowProgress
from napari_sam.session import Session

logger = logging.getLogger(__name__)

TOPIC, UNFINISHED_TOPIC, FORGET_TOPIC = "run", "unfinished", "forget"

Line = tuple[int, int, str]  # done, count, text


class AutomaticRun:
    """One run at a time; all of it on the session's thread, but for what computes.

    Parameters
    ----------
    session
        Whose labels get the objects.
    thread
        Where they are written.
    screen
        Where tiles are shown as they are found.
    """

    def __init__(self, session: Session, thread: SessionThread, screen: Screen) -> None:
        self.session = session
        self._thread, self._screen = thread, screen
        self._jobs = JobQueue(thread)
        self._line: Line = (0, 1, "")
        self._failures = ""
        self._unfinished: UnfinishedRun | None = None
        self._is_running = False
        self._reporter: _Reporter | None = None  # None once all tiles are found
        self._merge: RunMerge | None = None
        self._blocks: deque[Block] = deque()
        self._is_posted = False  # the next block
        self._check()

    @property
    def state(self) -> RunState:
        """What there is to see of it."""
        left, is_running = self._unfinished, self._is_running
        texts = [self._line[2], self._failures]
        if not is_running and left is not None and not self._failures:
            texts.append(unfinished_text(left))
        fits = left is not None and left.fits_image and left.fits_model
        return RunState(
            is_running,
            self._line[0],
            self._line[1],
            "\n".join(text for text in texts if text),
            can_continue=fits and not is_running,
        )

    def start(self, request: RegionRequest) -> None:
        """Begin; an unfinished run of the same is gone on with, another replaced."""
        if self._is_running:
            return
        self._screen.show_tile(None)
        self._is_running, self._failures, session = True, "", self.session
        self._say(0, 0, "Looking at the image")
        reporter = self._reporter = _Reporter(self._report)

        def work(watch: JobWatch) -> RunMerge:
            reporter.watch = watch
            report = find_objects(
                session, request, reporter.on_progress, reporter.on_window
            )
            return RunMerge.begin(session, request, report, watch)

        self._jobs.submit(
            Job(
                work,
                done=self._begin_merge,
                failed=self.fail,
                dropped=self._on_dropped,
                topic=TOPIC,
            )
        )

    def go_on(self) -> None:
        """Go on with the run that was left unfinished."""
        if self.state.can_continue and self._unfinished is not None:
            self.start(self._unfinished.request)

    def cancel(self) -> None:
        """Stop at once; what was found is kept."""
        if not self._is_running:
            return
        if self._merge is None:
            self._jobs.cancel(TOPIC)  # and `_on_dropped`
        else:
            self._end("Cancelled. What is not in the labels yet is kept.")
            self._check()

    def fail(self, error: BaseException) -> None:
        """End with an error, or do not even begin."""
        self._end(in_plain_words(error))
        self._thread.fail(error)
        self._check()

    def rest(self, *, is_free: bool) -> None:
        """After each thing that was done: go on with the next block.

        Parameters
        ----------
        is_free
            Whether no answer is on its way, which would be of labels as they were.
        """
        if self._merge is not None and is_free and not self._is_posted:
            self._is_posted = True
            # Behind what the user has done by now.
            self._thread.post(self._write_next)

    def close(self) -> None:
        """Stop; the run can be gone on with."""
        self._end("")
        self._jobs.close()

    def _report(
        self, reporter: _Reporter, line: Line | None, tile: Tile | None
    ) -> None:
        """In the run's thread: have this shown."""

        def show() -> None:
            if reporter is not self._reporter:
                return
            if tile is not None:
                self._screen.show_tile(tile)
            if line is not None:
                self._say(*line)

        self._thread.post(show)

    def _begin_merge(self, merge: RunMerge) -> None:
        self._reporter, self._merge = None, merge
        self._blocks = deque(merge.blocks)
        self._say_block()

    def _say_block(self) -> None:
        if self._merge is not None and self._blocks:
            total = len(self._merge.blocks)
            done = total - len(self._blocks)
            text = f"Adding to the labels: block {done + 1} of {total}"
            self._say(done, total, text)

    def _write_next(self) -> None:
        self._is_posted, merge = False, self._merge
        if merge is None:
            return
        if not self._blocks:
            self._finish(merge)
            return
        try:
            merge.write(self.session, self._blocks.popleft())
        except Exception as error:  # noqa: BLE001 - a full disk; shown to the user
            self.fail(error)
        else:
            self._say_block()

    def _finish(self, merge: RunMerge) -> None:
        report, session = merge.report, self.session
        self._end(result_text(report, merge.count))
        self._screen.show_tile(None)
        self._failures = failure_text(report.failures)
        if not report.is_complete:
            self._check()
            return
        self._jobs.submit(
            Job(
                lambda _: forget_run(session),
                done=lambda _: self._check(),
                failed=_log,
                topic=FORGET_TOPIC,
            )
        )

    def _on_dropped(self) -> None:
        self._end("Cancelled. What was found is kept.")
        # Behind what is still ending: then the folder of the run is at rest.
        self._check()

    def _end(self, text: str) -> None:
        merge, self._merge, self._reporter = self._merge, None, None
        if merge is not None:
            merge.close()
        self._blocks.clear()
        self._is_running = False
        self._say(0, 1, text)

    def _check(self) -> None:
        """Find out whether there is a run to go on with."""
        session = self.session
        self._unfinished = None
        self._jobs.submit(
            Job(
                lambda _: unfinished_run(session),
                done=self._on_checked,
                failed=_log,
                topic=UNFINISHED_TOPIC,
            )
        )

    def _on_checked(self, unfinished: UnfinishedRun | None) -> None:
        self._unfinished = unfinished

    def _say(self, done: int, count: int, text: str) -> None:
        self._line = (done, count, text)


def request_of(
    command: StartRun,
    session: Session,
    plane: Plane,
    view: tuple[Box | None] | None,
) -> RegionRequest:
    """What a command means.

    Parameters
    ----------
    command
        That starts a run.
    session
        Of the image.
    plane
        That is on show.
    view
        The box in view, None if nothing is; None: no view is known, all of it counts.

    Raises
    ------
    SessionError
        There is no such part of the image.
    """
    whole, size = Box.of_shape(session.image.shape), command.object_size
    match command.where:
        case Where.STACK:
            return RegionRequest(all_planes(session), whole, size)
        case Where.VIEW if view is not None:
            (box,) = view
        case Where.RECTANGLE:
            box = command.rectangle
        case _:
            box = whole
    if box is None:
        raise SessionError(
            "There is no rectangle yet. Press Draw and drag one on the image, or type "
            "y0, x0, y1, x1."
            if command.where is Where.RECTANGLE
            else "There is no part of the image in view. Move it into the canvas."
        )
    return RegionRequest((plane,), box, size)


Report = Callable[["_Reporter", Line | None, Tile | None], None]


class _Reporter:
    """In the run's thread: passes on how far it is, and the tiles that are done."""

    def __init__(self, report: Report) -> None:
        self.watch = JobWatch(lambda done, count: None)
        self._report = report
        self._speed = Speed()
        self._progress: RunProgress | None = None
        self._kept_back: Line | None = None
        self._reported_s = 0.0

    def on_window(self, progress: WindowProgress) -> None:
        """End the work where it was cancelled."""
        if progress.most_windows:
            self._speed.begin()
        if self._progress is None:
            # A tile may take a while.
            self._say((0, 0, window_text(progress)))
        elif self._kept_back is not None:
            self._say(self._kept_back)
        self.watch()

    def on_progress(self, progress: RunProgress) -> None:
        """Take notice of a step."""
        is_first, self._progress = self._progress is None, progress
        if progress.tile is not None:
            self._speed.done = progress.done
            self._report(self, None, progress.tile)
        text = progress_text(progress, self._speed.per_second)
        line = (progress.done, progress.count, text)
        self._say(line, at_once=is_first or progress.done == progress.count)

    def _say(self, line: Line, at_once: bool = False) -> None:
        now = monotonic()
        if at_once or now - self._reported_s > REPORT_INTERVAL_S:
            self._reported_s, self._kept_back = now, None
            self._report(self, line, None)
        else:
            self._kept_back = line


def _log(error: BaseException) -> None:
    logger.error("%s", error, exc_info=error)
