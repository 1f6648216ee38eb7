"""A widget on the scene of squares, without a browser."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from widget_scene import SquaresModel, stack

if TYPE_CHECKING:
    from napari_sam.jupyter_widget.widget import SegmentWidget

if importlib.util.find_spec("anywidget") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def model() -> SquaresModel:
    return SquaresModel()


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def widget(labels: Path, model: SquaresModel) -> Iterator[SegmentWidget]:
    from napari_sam import SegmentWidget  # noqa: PLC0415 - needs the extra jupyter

    made = SegmentWidget(stack(), labels, model)
    yield made
    made.close()
