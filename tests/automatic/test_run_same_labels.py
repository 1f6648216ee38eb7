"""The same labels, to the byte, however the work was divided, and whatever failed."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from run_scene import (
    CHUNK,
    Regions,
    array_bytes,
    labels_of,
    opened,
    scene,
    segment,
    truth,
    write_image,
)

from napari_sam.automatic.estimate import planning
from napari_sam.automatic.plan import RunPlan
from napari_sam.automatic.run_folder import RunFolder
from napari_sam.automatic.tiles.pipeline import Concurrency
from napari_sam.automatic.tiles.segment import compute_tile
from napari_sam.automatic.tiles.tile_files import TileFiles
from napari_sam.errors import Cancelled, LabelError
from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.labels.location import find_location
from napari_sam.predictor.progress import WindowProgress

pytestmark = pytest.mark.usefixtures("no_flushing")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "image.zarr", scene())


@pytest.fixture
def whole(image: Path, tmp_path: Path) -> dict[str, str]:
    """What a plain run comes to."""
    segment(image, tmp_path / "whole.ome.zarr")
    return array_bytes(tmp_path / "whole.ome.zarr")


def begun(image: Path, labels: Path) -> TileFiles:
    """A run that has settled its plan, and nothing else."""

    def stop(progress: WindowProgress) -> None:
        if progress.most_windows:  # of the run; unknown before it is settled
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        segment(image, labels, watch=stop)
    folder = RunFolder(find_location(labels))
    plan = folder.plan()
    assert plan is not None
    return TileFiles.of(folder.path, plan)


def damage_chunk(image: Path, row: int, column: int) -> bytes:
    """Spoil a chunk; returns what it was."""
    chunk = image / "c" / str(row) / str(column)
    good = chunk.read_bytes()
    chunk.write_bytes(b"spoiled")
    return good


@pytest.mark.parametrize("windows_along", [1, 3, 50])
def test_however_windows_are_grouped_the_labels_are_the_same(
    image: Path,
    tmp_path: Path,
    whole: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    windows_along: int,
) -> None:
    monkeypatch.setattr(planning, "WINDOWS_ALONG", windows_along)
    labels = tmp_path / "labels.ome.zarr"
    segment(image, labels)
    assert array_bytes(labels) == whole


@pytest.mark.parametrize(
    "concurrency",
    [
        Concurrency(readers=1, ahead=1, unwritten=0),
        Concurrency(readers=8, ahead=20),
        Concurrency(encode_ahead=True),
    ],
)
def test_however_much_is_done_at_once_the_labels_are_the_same(
    image: Path, tmp_path: Path, whole: dict[str, str], concurrency: Concurrency
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    segment(image, labels, concurrency=concurrency)
    assert array_bytes(labels) == whole


def test_tiles_can_be_computed_elsewhere_and_in_any_order(
    image: Path,
    tmp_path: Path,
    whole: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "WINDOWS_ALONG", 2)
    labels = tmp_path / "labels.ome.zarr"
    files = begun(image, labels)
    # As a worker gets it: the plan as text, the image by its path.
    plan = RunPlan.from_json(files.plan.to_json())
    assert plan == files.plan
    tiles = list(plan.tiles())
    Random(1).shuffle(tiles)
    for tile in tiles:
        files.save(compute_tile(plan, opened(image), Regions(), tile))
    model = Regions()
    report = segment(image, labels, model)
    assert model.encodes == 0
    assert report.is_complete
    assert array_bytes(labels) == whole


def test_a_chunk_that_cannot_be_read_costs_its_windows_and_is_told(
    image: Path, tmp_path: Path
) -> None:
    damage_chunk(image, 1, 2)
    labels = tmp_path / "labels.ome.zarr"
    report = segment(image, labels, skip_empty=False)
    assert not report.is_complete
    damaged = Box(CHUNK, 2 * CHUNK, 2 * CHUNK, 3 * CHUNK)
    for failure in report.failures:
        assert failure.box.intersects(damaged)
        assert "y=1, x=2" in failure.reason
    found = labels_of(labels)
    far = np.ones(found.shape, dtype=bool)
    far[damaged.grow(96).clip(Box.of_shape(found.shape)).slices] = False
    assert found[far].any()
    np.testing.assert_array_equal(found[far] > 0, truth()[far] > 0)


def test_a_second_run_tries_only_the_tiles_that_failed(
    image: Path,
    tmp_path: Path,
    whole: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(planning, "WINDOWS_ALONG", 2)
    good = damage_chunk(image, 1, 2)
    labels, first, second = tmp_path / "labels.ome.zarr", Regions(), Regions()
    report = segment(image, labels, first)
    assert report.failures
    (image / "c" / "1" / "2").write_bytes(good)
    report = segment(image, labels, second)
    assert report.is_complete
    assert 0 < second.encodes < first.encodes
    assert array_bytes(labels) == whole


def test_a_model_that_fails_at_a_window_does_not_end_the_run(
    image: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    report = segment(image, labels, Regions(failing={3}))
    assert [failure.reason for failure in report.failures] == ["the device is gone"]
    assert labels_of(labels).any()
    assert segment(image, labels).is_complete
    assert array_bytes(labels) == whole


def test_edits_after_a_run_with_failures_are_not_written_over(
    image: Path, tmp_path: Path, whole: dict[str, str]
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    segment(image, labels, Regions(failing={3}))
    with LabelStore.open(labels) as store:
        store.add(np.ones((1, 1), dtype=bool), Box(0, 0, 1, 1))
    with pytest.raises(LabelError, match="edited"):
        segment(image, labels)
    assert segment(image, labels, overwrite=True).is_complete
    assert array_bytes(labels) == whole


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "other"])
def test_a_tile_that_is_torn_or_of_another_run_is_computed_again(
    image: Path, tmp_path: Path, whole: dict[str, str], harm: str
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    files = begun(image, labels)
    plan = files.plan
    tile, *others = plan.tiles()
    for each in (tile, *others):
        files.save(compute_tile(plan, opened(image), Regions(), each))
    spoil(files.path(tile), files.path(others[0]), harm)
    assert files.summary(tile) is None
    model = Regions()
    segment(image, labels, model)
    assert 0 < model.encodes <= len(plan.cells_of(tile))
    assert array_bytes(labels) == whole


def spoil(path: Path, other: Path, harm: str) -> None:
    data = path.read_bytes()
    spoiled: dict[str, Any] = {
        "cut": data[:-10],
        "flipped": data[:-10] + bytes([data[-10] ^ 1]) + data[-9:],
        "empty": b"",
        "other": other.read_bytes(),
    }
    path.write_bytes(spoiled[harm])


def test_a_run_keeps_only_its_plan_and_its_table_once_it_is_complete(
    image: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    report = segment(image, labels)
    kept = sorted(path.name for path in report.objects_file.parent.iterdir())
    assert kept == ["objects.csv", "run.json", "written.json"]
