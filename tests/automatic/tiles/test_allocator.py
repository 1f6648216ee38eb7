"""Memory that windows use again and again stays with a run."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from napari_sam.automatic.tiles import allocator
from napari_sam.automatic.tiles import dask_cluster as cluster

BLOCKS = """
import resource
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from napari_sam.automatic.tiles.allocator import keep_memory
{kept}

def use(times):
    for _ in range(times):
        np.ones(2**17)  # 1 MiB; of larger ones NumPy asks for huge pages

def faults():
    use(3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use(50)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(ThreadPoolExecutor(1).submit(faults).result())
"""
PAGES = 50 * 2**20 // 4096  # of all blocks, each of which is used once


def faults(kept: str) -> int:
    dask = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "65536"}  # as of its workers
    command = [sys.executable, "-c", BLOCKS.format(kept=kept)]
    answer = subprocess.run(
        command, env=dask, capture_output=True, text=True, check=True
    )
    return int(answer.stdout)


def has_mallopt() -> bool:
    return sys.platform == "linux" and os.confstr("CS_GNU_LIBC_VERSION") is not None


@pytest.mark.slow
@pytest.mark.skipif(not has_mallopt(), reason="the C library is not glibc")
def test_blocks_that_are_used_again_are_not_cleared_again() -> None:
    assert faults("") > PAGES // 2
    assert faults("keep_memory()") < PAGES // 20


def test_without_such_a_c_library_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "win32")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: pytest.fail("was called"))
    allocator.keep_memory()
    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: SimpleNamespace())
    allocator.keep_memory()


@pytest.mark.parametrize(("nanny", "times"), [("tcp://localhost:1", 1), (None, 0)])
def test_only_processes_that_a_cluster_started_are_told(
    nanny: str | None, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[None] = []
    monkeypatch.setattr(cluster, "keep_memory", lambda: called.append(None))
    unused: Any = None
    tools = cluster.WorkerTools("run", unused, unused, unused, "cpu")
    worker: Any = SimpleNamespace(nanny=nanny)
    tools.setup(worker)
    assert len(called) == times
