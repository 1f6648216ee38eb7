"""What the user reads of a run that segments everything.

The rate counts from the first window that this call encodes: tiles that an earlier
call has found come in at once, and say nothing of how long the others will take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from napari_sam.annotator.run_merge import UnfinishedRun
from napari_sam.automatic import AutomaticReport, RunProgress, TileFailure
from napari_sam.predictor import WindowProgress

SHOWN_FAILURES = 8


@dataclass(slots=True, eq=False)
class Speed:
    """How fast tiles get done.

    Parameters
    ----------
    clock
        Seconds.
    """

    clock: Callable[[], float] = monotonic
    done: int = 0
    _begun: tuple[float, int] | None = None

    def begin(self) -> None:
        """The first window is encoded; later calls change nothing."""
        if self._begun is None:
            self._begun = (self.clock(), self.done)

    @property
    def per_second(self) -> float | None:
        """Tiles a second, None as long as there were none."""
        if self._begun is None:
            return None
        start, before = self._begun
        seconds, count = self.clock() - start, self.done - before
        return count / seconds if count > 0 and seconds > 0 else None


def window_text(progress: WindowProgress) -> str:
    """A line about a run that has not come to the end of a tile yet."""
    if not progress.most_windows:
        return "Looking at the image, to learn how large its objects are"
    return f"Window {progress.windows + 1} of at most {progress.most_windows}"


def progress_text(progress: RunProgress, per_second: float | None) -> str:
    """A line about a run that goes on."""
    if progress.stage == "seams":
        return f"Joining objects across tiles: {_count(progress.objects, 'object')}"
    if progress.stage == "labels":
        return f"Writing what was found: block {progress.done} of {progress.count}"
    parts = [
        f"Tile {progress.done} of {progress.count}: "
        f"{_count(progress.objects, 'object')}"
    ]
    if progress.failures:
        parts.append(f"{_count(progress.failures, 'window')} failed")
    left = progress.count - progress.done
    if per_second is not None and left:
        left_s = left / per_second
        parts += [_rate_text(per_second), f"about {_time_text(left_s)} left"]
    return ", ".join(parts)


def result_text(report: AutomaticReport, added: int) -> str:
    """A line about a run that has ended."""
    text = f"Done: {_count(added, 'object')} added to the labels"
    left_out = report.objects - added
    if left_out:
        text += f", {left_out} left out: others have their place"
    return f"{text}. Looked for objects of about {report.object_size:.0f} pixels."


def failure_text(failures: Sequence[TileFailure]) -> str:
    """Where windows failed, and why; a line each."""
    if not failures:
        return ""
    lines = [f"{_count(len(failures), 'window')} failed; Continue tries again:"]
    for failure in failures[:SHOWN_FAILURES]:
        box = failure.box
        plane = f"plane {', '.join(map(str, failure.plane))}, " if failure.plane else ""
        where = f"{plane}y {box.y0} to {box.y1}, x {box.x0} to {box.x1}"
        lines.append(f"{where}: {failure.reason}")
    if len(failures) > SHOWN_FAILURES:
        lines.append(f"and {len(failures) - SHOWN_FAILURES} more")
    return "\n".join(lines)


def unfinished_text(run: UnfinishedRun) -> str:
    """A line about a run that was left unfinished."""
    far = f"{run.tiles_done} of {run.tile_count} tiles found"
    if not run.fits_image:
        return f"A run on other pixels was left here ({far}); a new run replaces it."
    if not run.fits_model:
        return (
            f"A run with another model was left here ({far}): choose that model to go "
            "on with it. A new run replaces it."
        )
    if run.failures:
        return failure_text(run.failures)
    if run.tiles_done == run.tile_count:
        return "All tiles are found: Continue puts the objects into the labels."
    return f"{far}: Continue goes on. A run with other settings replaces them."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _rate_text(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:.1f} tiles/s"
    return f"{60 * per_second:.2g} tiles/min"


def _time_text(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
