"""A process that is killed while it labels loses nothing that it had announced."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random

import label_victim
import numpy as np
import pytest
from numpy_labels import NumpyLabels

from napari_sam.labels import LabelStore
from napari_sam.labels.journal import EDIT_KINDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "forkserver" not in multiprocessing.get_all_start_methods(),
        reason="Windows cannot fork; starting this many Pythons there takes minutes",
    ),
]


@pytest.fixture(autouse=True, scope="module")
def no_flushing() -> Iterator[None]:
    """Save time: only a power cut could tell."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="module")
def context() -> ForkServerContext:
    """Processes that begin with what is slow to import."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["zarr.storage", "zarr.codecs", "scipy.ndimage"])
    return found


def run_victim(
    context: ForkServerContext,
    path: Path,
    version: str,
    seed: int,
    *,
    moment: int | None = None,
    kill_after: int | None = None,
) -> int:
    """Let a process label until its end; how many operations it announced."""
    receiving, sending = context.Pipe(duplex=False)
    victim = context.Process(
        target=label_victim.label_until_killed,
        args=(path, version, seed, sending, moment),
    )
    victim.start()
    sending.close()
    announced = 0
    with open(receiving.fileno(), "rb", buffering=0, closefd=False) as pipe:
        while pipe.read(1):
            announced += 1
            if announced == kill_after:
                time.sleep(Random(seed).random() * 0.03)
                victim.kill()
    receiving.close()
    victim.join()
    victim.close()
    return announced


def check_exact(path: Path, seed: int, announced: int) -> None:
    """All levels are as after the announced operations, or after one more."""
    with LabelStore.open(path) as store:
        levels = [level[:] for level in store.levels]
        records = {record.record["seed"] for record in store.records()}
        kinds = [entry.kind for entry in store.journal.entries()]
    done = sum(kind in {*EDIT_KINDS, "revert", "reapply"} for kind in kinds)
    assert done in {announced, announced + 1}
    model = NumpyLabels()
    session = label_victim.operations(seed, model)
    seeds = {getattr(next(session), "seed", None) for _ in range(done)}
    for number, level in enumerate(levels):
        step = 2**number
        np.testing.assert_array_equal(level, model.volume[:, ::step, ::step])
    assert records <= seeds


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment_every_announced_object_is_there_whole(
    context: ForkServerContext, tmp_path: Path, seed: int
) -> None:
    path, version = tmp_path / "labels.ome.zarr", ("0.4", "0.5")[seed % 2]
    kill_after = Random(seed).randint(1, 5)
    announced = run_victim(context, path, version, seed, kill_after=kill_after)
    assert announced >= kill_after
    check_exact(path, seed, announced)
    assert not list(path.rglob("*.partial"))


@pytest.mark.parametrize("moment", [*range(1, 15), 25])
def test_ended_before_each_write_in_turn_nothing_is_lost_or_half_there(
    context: ForkServerContext, tmp_path: Path, moment: int
) -> None:
    path = tmp_path / "labels.ome.zarr"
    announced = run_victim(context, path, "0.5", seed=3, moment=moment)
    check_exact(path, 3, announced)


def test_a_session_that_goes_on_after_a_kill_can_be_killed_again(
    context: ForkServerContext, tmp_path: Path
) -> None:
    path = tmp_path / "labels.ome.zarr"
    run_victim(context, path, "0.5", seed=1, kill_after=3)
    with LabelStore.open(path) as store:
        before = store.levels[0][:]
        used = store.next_id
        assert used > 1
    run_victim(context, path, "0.5", seed=2, kill_after=2)
    with LabelStore.open(path) as store:
        after = store.levels[0][:]
        assert store.next_id > used
        assert all(r.label_id < store.next_id for r in store.records())
    assert (after[after != before] != before[after != before]).all()
