"""A bar on the terminal for what takes more than a second."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Bars:
    """A task's bar on stderr, if that is a terminal; gone when it is left.

    Parameters
    ----------
    columns
        Of the bar, as `rich.progress.Progress` takes them.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
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
        super().__init__(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        self._task = self.bars.add_task("", total=count)
        self._begun = 0

    def begin(self, name: str) -> None:
        """Show the step that is next; those before it are done."""
        self.bars.update(self._task, description=name, completed=self._begun)
        self._begun += 1
