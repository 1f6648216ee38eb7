"""`napari-sam evaluate`: how good a model is on annotated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from napari_sam import __version__
from napari_sam.cli.reporting import Steps
from napari_sam.evaluation import (
    EvaluationOptions,
    ModelSource,
    PlaneResult,
    evaluate,
    read_dataset,
    weights_of,
    write_report,
)


def run_evaluate(
    folders: Sequence[str],
    model: ModelSource,
    output: Path,
    options: EvaluationOptions,
    *,
    limit: int | None,
    jobs: int,
) -> None:
    """Evaluate, write the report, and print its summary."""
    datasets = [read_dataset(folder).limited(limit) for folder in folders]
    output.mkdir(parents=True, exist_ok=True)
    count = sum(len(dataset.planes) for dataset in datasets)
    with Steps(count) as steps:
        steps.begin("loading the model")

        def show(result: PlaneResult) -> None:
            steps.begin(f"{result.dataset}: {result.name}")

        results = evaluate(datasets, model, output, options, jobs=jobs, on_plane=show)
    about = {
        "model": model.name,
        "weights": weights_of(output),
        "version": __version__,
        "planes": count,
        **asdict(options),
    }
    report = write_report(output, datasets, results, about)
    shown = Table("set", "images", "objects", "1 click", "last click", "tight box")
    for name, of in report["sets"].items():
        clicks = of["clicks"]["iou"]
        figures = [clicks[0], clicks[-1], of["tight_box"]["iou"]]
        shown.add_row(
            name,
            str(of["images"]),
            str(of["objects"]),
            *(f"{figure:.3f}" for figure in figures),
        )
    console = Console()
    console.print(shown)
    console.print(f"Report: {output / 'report.md'}", soft_wrap=True)
