"""What a run came to, in words and as an exit code."""

from __future__ import annotations

import traceback

from napari_sam.cli.reporting import (
    FAILED,
    INTERRUPTED,
    in_one_line,
    note,
    say,
    warn,
)
from napari_sam.cli.segment_prompts import Report, Written


def summarise(report: Report, *, debug: bool = False) -> int:
    """Say what is on disk and what is not, and return the exit code.

    0 only if everything that was asked for is on disk.
    """
    for written in report.written:
        _warn_of(written)
    for overlay in report.overlays:
        if overlay.unreadable_count:
            warn(
                f"overlay {overlay.file}: parts of the image cannot be read and are "
                f"gray, {overlay.unreadable_count} in all."
            )
    _tell_failures(report, debug=debug)
    count = len(report.written)
    if count:
        say(f"Labels: {report.labels} ({_counted(count)} written)")
    for overlay in report.overlays:
        say(f"Overlay: {overlay.file}")
    if report.was_interrupted:
        safe = f"{_counted(count)} safe in {report.labels}"
        note(f"interrupted; {safe if count else 'no object was written'}.", "error")
        return INTERRUPTED
    return FAILED if report.failures or report.untried_count else 0


def _counted(count: int) -> str:
    return f"{count} object" if count == 1 else f"{count} objects"


def _warn_of(written: Written) -> None:
    name = f"{written.task.name}, label {written.label_id}"
    if not written.is_complete:
        warn(f"{name}: it goes on beyond what was looked at, or its outline is coarse.")
    if written.unmet_count:
        warn(
            f"{name}: {written.unmet_count} of its {len(written.task.prompts)} prompts "
            "are not honoured by the mask."
        )


def _tell_failures(report: Report, *, debug: bool) -> None:
    if not report.failures:
        return
    things = "thing" if len(report.failures) == 1 else "things"
    note(f"{len(report.failures)} {things} failed:", "error")
    for failure in report.failures:
        if debug:
            traceback.print_exception(failure.error)
        note(f"  {failure.name}: {in_one_line(failure.error)}")
    if report.untried_count and not report.was_interrupted:
        note(
            f"  {report.untried_count} more were not tried. What was written before "
            "is safe."
        )
