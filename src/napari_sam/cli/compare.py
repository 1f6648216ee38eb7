"""`napari-sam compare`: how good one label volume is, by another."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from napari_sam.cli.reporting import say
from napari_sam.evaluation.compare import Comparison, compare_labels
from napari_sam.evaluation.compare_report import (
    report_tables,
    write_comparison,
)

WIDTH_WITHOUT_TERMINAL = 140


def run_compare(tested: str, reference: str, output: Path | None) -> None:
    """Compare two label volumes; write the report, or print it without a folder."""
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)  # fail now, not after hours
    comparison = _compare(tested, reference)
    if output is None:
        _print(comparison)
        return
    for path in write_comparison(comparison, output):
        say(f"Report: {path}")
    say(comparison.headline)


def _compare(tested: str, reference: str) -> Comparison:
    """Compare, with a bar on stderr if that is a terminal."""
    console = Console(stderr=True)
    bars = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("blocks"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    task = bars.add_task("", total=None)
    with bars:
        return compare_labels(
            tested,
            reference,
            on_block=lambda done, total: bars.update(task, completed=done, total=total),
        )


def _print(comparison: Comparison) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    say(f"Tested: {comparison.tested_name}")
    say(f"Reference: {comparison.reference_name}")
    for report in report_tables(comparison):
        table = Table(*report.header, box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in report.rows:
            table.add_row(*row)
        say(f"\n{report.title}")
        console.print(table)
