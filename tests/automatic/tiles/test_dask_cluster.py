"""A dask cluster comes to the same labels, also where a worker dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from run_scene import (
    OPTIONS,
    SMALL,
    Regions,
    array_bytes,
    labels_of,
    scene,
    segment,
    write_image,
)

from napari_sam.automatic.plan import RunPlan, Tile
from napari_sam.automatic.run import segment_image
from napari_sam.automatic.run_folder import AutomaticReport, RunFolder
from napari_sam.errors import Cancelled, ImageError, PredictorError
from napari_sam.images import open_image
from napari_sam.labels.location import find_location
from napari_sam.predictor.progress import WindowProgress

distributed = pytest.importorskip("distributed")
cluster_module = pytest.importorskip("napari_sam.automatic.tiles.dask_cluster")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(
        # What dask's own threads leave open while a cluster closes is not ours to tell.
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
    ),
]


@dataclass
class SlowRegions(Regions):
    """Takes its time, so that a worker can be killed while it works."""

    def encode(self, pixels_hwc: Any) -> Any:
        time.sleep(0.05)
        return super().encode(pixels_hwc)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as opened,
    ):
        # Workers import what the tests define by the name of its file.
        opened.run(_find_tests, str(Path(__file__).parent))
        yield opened


def _find_tests(folder: str) -> None:
    import sys  # noqa: PLC0415 - runs on a worker

    sys.path.insert(0, folder)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "image.zarr", scene())


def on_cluster(image: Path, labels: Path, client: Any, **more: Any) -> AutomaticReport:
    settings = {"options": OPTIONS, "label_options": SMALL, **more}
    model = settings.pop("model", Regions())
    return segment_image(image, labels, model, client=client, **settings)


@pytest.fixture
def local(image: Path, tmp_path: Path) -> dict[str, str]:
    """What this process comes to by itself."""
    segment(open_image(image), tmp_path / "local.ome.zarr")
    return array_bytes(tmp_path / "local.ome.zarr")


def test_a_cluster_comes_to_the_same_bytes(
    image: Path, local: dict[str, str], tmp_path: Path, client: Any
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    report = on_cluster(image, labels, client)
    assert report.is_complete
    assert report.objects == labels_of(labels).max() > 20
    assert array_bytes(labels) == local


def test_an_array_goes_to_the_workers(
    local: dict[str, str], tmp_path: Path, client: Any
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    report = on_cluster(scene(), labels, client)  # type: ignore[arg-type]
    assert report.is_complete
    assert (labels_of(labels) == labels_of(tmp_path / "local.ome.zarr")).all()


def test_the_tiles_of_a_worker_that_dies_are_done_by_the_others(
    image: Path, local: dict[str, str], tmp_path: Path, client: Any
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    pids = client.run(os.getpid)
    killed: list[int] = []

    def kill_one(progress: Any) -> None:
        if progress.stage == "tiles" and progress.done >= 1 and not killed:
            killed.append(pids[next(iter(pids))])
            os.kill(killed[0], signal.SIGKILL)

    report = on_cluster(
        image, labels, client, model=SlowRegions(), on_progress=kill_one
    )
    assert killed
    assert report.is_complete
    assert array_bytes(labels) == local
    client.wait_for_workers(2)
    client.run(_find_tests, str(Path(__file__).parent))


def test_a_cancelled_run_goes_on_without_the_cluster(
    image: Path, local: dict[str, str], tmp_path: Path, client: Any
) -> None:
    labels = tmp_path / "labels.ome.zarr"

    def stop(progress: Any) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        on_cluster(image, labels, client, on_progress=stop)
    kept = sum(1 for _ in (tmp_path).rglob("*.tile"))
    assert kept >= 1
    report = segment(open_image(image), labels)
    assert report.is_complete
    assert array_bytes(labels) == local


def plan_of(image: Path, labels: Path) -> RunPlan:
    def stop(progress: WindowProgress) -> None:
        if progress.most_windows:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        segment(open_image(image), labels, watch=stop)
    plan = RunFolder(find_location(labels)).plan()
    assert plan is not None
    return plan


def tools_of(plan: RunPlan, image: Any, model: Any) -> Any:
    tools = cluster_module.WorkerTools("run", plan, image, model, "cpu")
    tools.setup(SimpleNamespace(nanny=None))
    return tools


def test_all_threads_of_a_worker_share_one_image_and_one_model(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(image, tmp_path / "labels.ome.zarr")
    opened: list[Path] = []

    def counted(source: Path) -> Any:
        opened.append(source)
        return open_image(source)

    monkeypatch.setattr(cluster_module, "open_image", counted)
    tools = tools_of(plan, image, Regions())
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(tools.compute, plan.tiles()))
    assert opened == [image]
    assert [result.tile for result in results] == list(plan.tiles())


def test_workers_that_see_another_image_or_other_weights_say_so(
    image: Path, tmp_path: Path
) -> None:
    plan = plan_of(image, tmp_path / "labels.ome.zarr")
    other = write_image(tmp_path / "other.zarr", scene(seed=1))
    first: Tile = next(plan.tiles())
    with pytest.raises(ImageError, match="on this one other"):
        tools_of(plan, other, Regions()).compute(first)
    with pytest.raises(PredictorError, match="others"):
        tools_of(plan, image, Regions(fingerprint="new")).compute(first)


def test_an_image_of_an_array_needs_the_array(image: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="the array itself"):
        on_cluster(open_image(scene()), tmp_path / "labels.ome.zarr", object())  # type: ignore[arg-type]
