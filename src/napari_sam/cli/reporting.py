"""What a person reads: results on stdout, everything else on stderr, a line each."""

from __future__ import annotations

import traceback
from itertools import pairwise
from types import TracebackType

import typer

from napari_sam.errors import SamError

FAILED = 1
INTERRUPTED = 130


def say(line: str) -> None:
    """Print a result."""
    typer.echo(line)


def note(line: str, kind: str = "") -> None:
    """Print what is no result on stderr; `kind` is "error", "warning" or nothing."""
    typer.echo(f"napari-sam: {kind}: {line}" if kind else line, err=True)


def warn(line: str) -> None:
    """Print a warning on stderr."""
    note(line, "warning")


def in_one_line(error: BaseException) -> str:
    """What an error says, on one line that ends with a full stop."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        file = f": {error.filename}" if error.filename is not None else ""
        text = f"{error.strerror}{file}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    folded = lines[0] if lines else type(error).__name__
    for before, line in pairwise(lines):
        # After a colon come lines of code, which semicolons keep valid.
        gap = " " if before.endswith((":", ".", ",")) else "; "
        folded = f"{folded}{gap}{line}"
    return folded if folded.endswith((".", "!", "?", ")")) else f"{folded}."


class Reported:
    """A with-block whose errors are told in one line and become an exit code.

    Parameters
    ----------
    debug
        Print the traceback too.
    """

    def __init__(self, *, debug: bool) -> None:
        self._debug = debug

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(
            error, SystemExit | GeneratorExit | BrokenPipeError
        ):
            return
        if self._debug:
            traceback.print_exception(error)
        if isinstance(error, KeyboardInterrupt):
            note("interrupted before anything was written.", "error")
            raise SystemExit(INTERRUPTED) from error
        text = in_one_line(error)
        if not isinstance(error, SamError | OSError):
            text = f"unexpected {type(error).__name__}: {text}"
            if not self._debug:
                text += " Run it again with --debug to see where it comes from."
        note(text, "error")
        raise SystemExit(FAILED) from error
