"""An annotator on a stack of squares."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from annotator_scene import Scene


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def scene(labels: Path, no_flushing: None) -> Iterator[Scene]:
    made = Scene(labels)
    made.post()  # until it is open
    yield made
    for gate in (made.model.may_encode, made.model.may_predict):
        gate.set()
    made.annotator.close()
