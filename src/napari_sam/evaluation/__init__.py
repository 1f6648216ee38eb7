"""How good masks are: against references, and click by click.

The public names are loaded on first use: naming a data set loads no plots.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.evaluation.datasets import AnnotatedPlane as AnnotatedPlane
    from napari_sam.evaluation.datasets import Dataset as Dataset
    from napari_sam.evaluation.datasets import read_dataset as read_dataset
    from napari_sam.evaluation.protocol import EvaluationOptions as EvaluationOptions
    from napari_sam.evaluation.protocol import PlaneResult as PlaneResult
    from napari_sam.evaluation.report import figures_of as figures_of
    from napari_sam.evaluation.report import write_report as write_report
    from napari_sam.evaluation.run import ModelSource as ModelSource
    from napari_sam.evaluation.run import evaluate as evaluate

_HOMES = {
    "AnnotatedPlane": "datasets",
    "Dataset": "datasets",
    "EvaluationOptions": "protocol",
    "ModelSource": "run",
    "PlaneResult": "protocol",
    "evaluate": "run",
    "figures_of": "report",
    "read_dataset": "datasets",
    "write_report": "report",
}

__all__ = [
    "AnnotatedPlane",
    "Dataset",
    "EvaluationOptions",
    "ModelSource",
    "PlaneResult",
    "evaluate",
    "figures_of",
    "read_dataset",
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
