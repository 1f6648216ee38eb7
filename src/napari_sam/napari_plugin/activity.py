"""The running job in napari's activity dock, with a Cancel that works.

A job is shown once it has run for a while, so that quick clicks make nothing flash.
napari's progress bars run the event loop whenever they change: a job may begin or end
in the middle of any method here, hence the looking twice.
"""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QObject, QTimer

from napari_sam.napari_plugin.jobs import Jobs

DELAY_MS = 500
"""A job that takes less than this is not shown."""


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
    """Shows what `jobs` do; `close` it before them."""

    def __init__(self, jobs: Jobs) -> None:
        super().__init__()
        self._jobs = jobs
        self._text = ""
        self._bar: _Bar | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._show)
        jobs.busy.connect(self._on_busy)
        jobs.progressed.connect(self._on_progressed)
        jobs.idle.connect(self._on_idle)

    @property
    def is_shown(self) -> bool:
        """Whether there is a bar."""
        return self._bar is not None

    def cancel(self) -> None:
        """Cancel all that runs or waits."""
        self._jobs.cancel()

    def close(self) -> None:
        """Take the bar away, and stay quiet from now on."""
        self._jobs.busy.disconnect(self._on_busy)
        self._jobs.progressed.disconnect(self._on_progressed)
        self._jobs.idle.disconnect(self._on_idle)
        self._on_idle()

    def _on_busy(self, text: str) -> None:
        if text == self._text:
            return
        self._hide()
        self._text = text
        if text:
            self._timer.start()
        else:
            self._timer.stop()

    def _on_idle(self) -> None:
        self._timer.stop()
        self._text = ""
        self._hide()

    def _on_progressed(self, done: int, total: int) -> None:
        bar = self._bar
        if bar is None:
            return
        if bar.total != total:
            bar.total = total
        bar.n = 0
        bar.update(done)

    def _show(self) -> None:
        text = self._text
        bar = _Bar(text, self.cancel)
        if self._text != text or self._bar is not None:
            bar.close()
            return
        self._bar = bar

    def _hide(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()
