"""An open label store with room for one object."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from label_failures import GEOMETRY, SMALL

from napari_sam.labels import LabelStore


@pytest.fixture
def store(path: Path) -> Iterator[LabelStore]:
    with LabelStore.open(path, GEOMETRY, options=SMALL) as store:
        yield store
