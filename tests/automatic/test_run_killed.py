"""A run that is killed and started again comes to the same bytes, however often."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random

import numpy as np
import pytest
import run_victim
from run_scene import (
    SMALL,
    array_bytes,
    assert_same_objects,
    labels_of,
    opened,
    scene,
    segment,
    truth,
    write_image,
)

from napari_sam.automatic.estimate import planning
from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelStore

SHAPE = (160, 200)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("no_flushing"),
    pytest.mark.skipif(
        "forkserver" not in multiprocessing.get_all_start_methods(),
        reason="Windows cannot fork; starting this many Pythons there takes minutes",
    ),
]


@pytest.fixture(autouse=True)
def many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each window is a tile."""
    monkeypatch.setattr(planning, "WINDOWS_ALONG", 1)


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Processes that begin with what is slow to import."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(
        ["napari_sam.automatic.run", "zarr.codecs", "skimage.filters"]
    )
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image(tmp_path_factory.mktemp("killed") / "image.zarr", scene(SHAPE))


@pytest.fixture(scope="module")
def uninterrupted(
    image: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    labels = tmp_path_factory.mktemp("whole") / "labels.ome.zarr"
    segment(image, labels)
    assert_same_objects(labels_of(labels), truth(SHAPE))
    return array_bytes(labels)


def run_victim_once(
    context: ForkServerContext,
    paths: tuple[Path, Path],
    *,
    moment: int | None = None,
    kill_after: int | None = None,
    delay_s: float = 0.0,
    overwrite: bool = False,
) -> int:
    """Let a process segment until its end; its exit code."""
    receiving, sending = context.Pipe(duplex=False)
    victim = context.Process(
        target=run_victim.segment_until_killed,
        args=(*paths, sending, moment, overwrite),
    )
    victim.start()
    sending.close()
    announced = 0
    with open(receiving.fileno(), "rb", buffering=0, closefd=False) as pipe:
        while pipe.read(1):
            announced += 1
            if announced == kill_after:
                time.sleep(delay_s)
                victim.kill()
    receiving.close()
    victim.join()
    code = victim.exitcode
    victim.close()
    assert code is not None
    return code


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_random_moments_a_run_ends_in_the_same_bytes(
    context: ForkServerContext,
    tmp_path: Path,
    image: Path,
    uninterrupted: dict[str, str],
    seed: int,
) -> None:
    labels, random = tmp_path / "labels.ome.zarr", Random(seed)
    codes = [
        run_victim_once(
            context,
            (image, labels),
            kill_after=random.randint(1, 8),
            delay_s=random.random() * 0.02,
        )
        for _ in range(4)
    ]
    assert codes[0] == -9
    assert run_victim_once(context, (image, labels)) == 0
    assert array_bytes(labels) == uninterrupted


@pytest.mark.parametrize("moment", [1, 2, 3, 4, 11, 26, 27, 28, 40, *range(49, 61)])
def test_ended_before_any_change_of_the_disk_a_run_ends_in_the_same_bytes(
    context: ForkServerContext,
    tmp_path: Path,
    image: Path,
    uninterrupted: dict[str, str],
    moment: int,
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    assert run_victim_once(context, (image, labels), moment=moment) == 1
    assert not labels.exists() or array_bytes(labels) == uninterrupted
    segment(image, labels)
    assert array_bytes(labels) == uninterrupted


@pytest.mark.parametrize("moment", range(50, 63))
def test_ended_while_it_replaces_labels_there_are_the_old_or_the_new_ones(
    context: ForkServerContext,
    tmp_path: Path,
    image: Path,
    uninterrupted: dict[str, str],
    moment: int,
) -> None:
    labels = tmp_path / "labels.ome.zarr"
    geometry, corner = LabelGeometry.of(opened(image)), Box(0, 0, 5, 5)
    with LabelStore.open(labels, geometry, options=SMALL) as store:
        store.add(np.ones((5, 5), dtype=bool), corner)
    run_victim_once(context, (image, labels), moment=moment, overwrite=True)
    with LabelStore.open(labels) as store:
        found = store.read((), Box.of_shape(SHAPE))
        is_old = store.next_id == 2
    old = np.zeros(SHAPE, dtype=bool)
    old[corner.slices] = True
    wanted = old if is_old else truth(SHAPE) > 0
    np.testing.assert_array_equal(found > 0, wanted)
    segment(image, labels, overwrite=True)
    assert array_bytes(labels) == uninterrupted
