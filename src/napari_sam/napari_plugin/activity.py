"""What takes time in napari's activity dock, with a Cancel that works.

It is shown once it has gone on for a while, so that quick clicks make nothing flash.
napari's progress bars run the event loop whenever they change: another state may be
drawn in the middle of any method here, hence the checks after.
"""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, QTimer

from napari_sam.annotator import JobState

DELAY_MS = 500
"""What takes less than this is not shown."""


class _Bar(cancelable_progress):
    """A progress bar whose button calls back at once; napari's waits for a loop."""

    def __init__(self, text: str, on_cancel: Callable[[], None]) -> None:
        self._on_cancel = on_cancel
        super().__init__(desc=text, total=0)

    def cancel(self) -> None:
        """Cancel, as the button does."""
        super().cancel()
        self._on_cancel()


class Activity(QObject):
    """Shows one thing that takes time; `close` it at the end.

    Parameters
    ----------
    cancel
        Gives it up.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        super().__init__()
        self._cancel = cancel
        self._job = JobState()
        self._bar: _Bar | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._show)

    @property
    def is_shown(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    def draw(self, job: JobState) -> None:
        """Show this job instead of the one before; without a text, none."""
        before, self._job = self._job, job
        if job.text == before.text:
            self._progress(job)
            return
        self._timer.stop()
        bar, self._bar = self._bar, None
        if job.text:
            self._timer.start()
        if bar is not None:
            bar.close()

    def close(self) -> None:
        """Take the bar away."""
        self.draw(JobState())

    def _progress(self, job: JobState) -> None:
        bar = self._bar
        if bar is None or (bar.n, bar.total) == (job.done, job.count):
            return
        if bar.total != job.count:
            bar.total = job.count
        bar.n = 0
        bar.update(job.done)

    def _show(self) -> None:
        text = self._job.text
        bar = _Bar(text, self._cancel)
        if self._job.text != text or self._bar is not None:
            bar.close()
            return
        self._bar = bar
        self._progress(self._job)
