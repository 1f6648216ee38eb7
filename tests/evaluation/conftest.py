from __future__ import annotations

from pathlib import Path

import pytest
from disc_scene import draw


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """A data set of two planes: three discs and one disc, on a black ground."""
    folder = tmp_path / "discs"
    draw(folder, "a", [(40, 40, 20), (60, 150, 12), (150, 100, 30)])
    draw(folder, "b", [(100, 100, 25)])
    return folder
