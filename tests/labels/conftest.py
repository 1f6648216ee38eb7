"""An open label store, and the folder that it is in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from label_scenes import GEOMETRY, SMALL

from napari_sam.labels import LabelStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def store(path: Path) -> Iterator[LabelStore]:
    with LabelStore.open(path, GEOMETRY, options=SMALL) as store:
        yield store
