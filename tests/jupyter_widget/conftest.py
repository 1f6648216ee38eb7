"""A widget on the scene of squares without a browser, and what browsers need."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


@pytest.fixture(scope="session")
def lab_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where notebooks are, and what they write."""
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="session")
def lab_url(
    lab_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A JupyterLab for all tests that need one: it takes a while to start."""
    from lab import jupyter_lab  # noqa: PLC0415 - needs the extras of developers

    with jupyter_lab(lab_folder, tmp_path_factory.mktemp("lab")) as served:
        yield served


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Not for the whole session: its event loop would be in the way of others."""
    from lab import chromium  # noqa: PLC0415 - needs the extras of developers

    with chromium() as started:
        yield started
