from __future__ import annotations

from pathlib import Path

import pytest
from cli_scene import OBJECTS, Desk, Regions, click, write_scene


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Regions:
    regions = Regions()

    def load(network: object) -> Regions:
        regions.loads += 1
        return regions

    monkeypatch.setattr("napari_sam.cli.segment_prompts.load_window_model", load)
    return regions


@pytest.fixture
def desk(tmp_path: Path, model: Regions) -> Desk:
    desk = Desk(
        tmp_path,
        write_scene(tmp_path / "image.zarr"),
        tmp_path / "prompts.json",
        tmp_path / "out" / "labels.ome.zarr",
    )
    desk.ask([{"points": [click(box)]} for box in OBJECTS])
    return desk
