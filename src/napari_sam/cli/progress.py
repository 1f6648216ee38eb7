"""A bar on the terminal for what takes more than a second."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Steps:
    """Shows which of several steps is done; on stderr, if that is a terminal.

    Parameters
    ----------
    count
        How many steps there are.
    """

    def __init__(self, count: int) -> None:
        console = Console(stderr=True)
        self._bars = Progress(
            SpinnerColumn(),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task("", total=count)
        self._begun = 0

    def begin(self, name: str) -> None:
        """Show the step that is next; those before it are done."""
        self._bars.update(self._task, description=name, completed=self._begun)
        self._begun += 1

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
