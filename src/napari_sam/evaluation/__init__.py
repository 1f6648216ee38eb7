"""How good masks are: against references, and click by click.

    datasets    annotated images, plane by plane
    protocol    a simulated annotator: its clicks and boxes, and what comes of them
    clicks      where to click next
    measures    how well two masks agree
    run         data sets, plane by plane, in several processes; results keeps them
    curves      figures from results; report and plots show them

    compare     one label volume by another; compare_report writes it down
    label_blocks, overlaps, matching, mistakes    what it is made of

The public names are loaded on first use: naming a data set loads no plots.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.evaluation.clicks import correcting_click as correcting_click
    from napari_sam.evaluation.compare import Comparison as Comparison
    from napari_sam.evaluation.compare import compare_labels as compare_labels
    from napari_sam.evaluation.compare_report import report_tables as report_tables
    from napari_sam.evaluation.compare_report import (
        write_comparison as write_comparison,
    )
    from napari_sam.evaluation.datasets import AnnotatedPlane as AnnotatedPlane
    from napari_sam.evaluation.datasets import Dataset as Dataset
    from napari_sam.evaluation.datasets import image_files as image_files
    from napari_sam.evaluation.datasets import read_dataset as read_dataset
    from napari_sam.evaluation.protocol import EvaluationOptions as EvaluationOptions
    from napari_sam.evaluation.protocol import PlaneResult as PlaneResult
    from napari_sam.evaluation.report import write_report as write_report
    from napari_sam.evaluation.results import weights_of as weights_of
    from napari_sam.evaluation.run import ModelSource as ModelSource
    from napari_sam.evaluation.run import evaluate as evaluate

_HOMES = {
    "AnnotatedPlane": "datasets",
    "Comparison": "compare",
    "Dataset": "datasets",
    "EvaluationOptions": "protocol",
    "ModelSource": "run",
    "PlaneResult": "protocol",
    "compare_labels": "compare",
    "correcting_click": "clicks",
    "evaluate": "run",
    "image_files": "datasets",
    "read_dataset": "datasets",
    "report_tables": "compare_report",
    "weights_of": "results",
    "write_comparison": "compare_report",
    "write_report": "report",
}

__all__ = [
    "AnnotatedPlane",
    "Comparison",
    "Dataset",
    "EvaluationOptions",
    "ModelSource",
    "PlaneResult",
    "compare_labels",
    "correcting_click",
    "evaluate",
    "image_files",
    "read_dataset",
    "report_tables",
    "weights_of",
    "write_comparison",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
