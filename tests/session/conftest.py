"""A session on the scene, in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from session_scene import SquaresModel, pixels

from napari_sam.session import Session


@pytest.fixture
def model() -> SquaresModel:
    return SquaresModel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def session(folder: Path, model: SquaresModel) -> Iterator[Session]:
    with Session(pixels(), folder, model) as opened:
        yield opened
