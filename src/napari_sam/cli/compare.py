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

from napari_sam.cli.reporting import show
from napari_sam.evaluation import (
    Comparison,
    compare_labels,
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
        show(f"Report: {path}")
    show(comparison.headline)


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
    show(f"Tested: {comparison.tested_name}")
    show(f"Reference: {comparison.reference_name}")
    for report in report_tables(comparison):
        table = Table(*report.header, box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in report.rows:
            table.add_row(*row)
        show(f"\n{report.title}")
        console.print(table)
