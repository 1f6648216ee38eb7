"""What a person reads: results on stdout, everything else on stderr, a line each.

For what takes more than a second, a bar shows on stderr if that is a terminal.
"""

from __future__ import annotations

import traceback
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from napari_sam.errors import SamError

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

FAILED = 1
INTERRUPTED = 130


def show(line: str) -> None:
    """Print a result."""
    typer.echo(line)


def note(line: str, kind: str = "") -> None:
    """Print what is no result on stderr; `kind` is "error", "warning" or nothing."""
    typer.echo(f"napari-sam: {kind}: {line}" if kind else line, err=True)


def warn(line: str) -> None:
    """Print a warning on stderr."""
    note(line, "warning")


def in_one_line(error: BaseException) -> str:
    """The text of an error, on one line that ends with a full stop."""
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


class OneLineErrors:
    """A with-block whose errors become one line and an exit code.

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


class Bars:
    """A task's bar on stderr, if that is a terminal; gone when it is left.

    Parameters
    ----------
    columns
        Of the bar, as `rich.progress.Progress` takes them.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        # rich is slow to load, which showing help does not wait for.
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import Progress  # noqa: PLC0415

        console = Console(stderr=True)
        self.is_terminal = console.is_terminal
        self.bars = Progress(
            *columns, console=console, transient=True, disable=not self.is_terminal
        )

    def close(self) -> None:
        """Take the bar away."""
        self.bars.stop()

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Steps(Bars):
    """Shows which of several steps is done; on stderr, if that is a terminal.

    Parameters
    ----------
    count
        How many steps there are.
    """

    def __init__(self, count: int) -> None:
        from rich import progress as columns  # noqa: PLC0415

        super().__init__(
            columns.SpinnerColumn(),
            columns.BarColumn(),
            columns.MofNCompleteColumn(),
            columns.TimeElapsedColumn(),
            columns.TimeRemainingColumn(),
            columns.TextColumn("{task.description}", markup=False),
        )
        self._task = self.bars.add_task("", total=count)
        self._begun = 0

    def begin(self, name: str) -> None:
        """Show the step that is next; those before it are done."""
        self.bars.update(self._task, description=name, completed=self._begun)
        self._begun += 1
