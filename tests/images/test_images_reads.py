"""Opening reads metadata, a window reads a bounded number of chunks."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import LocalStore, MemoryStore
from zarr_scene import CountingStore, huge, write_ome_zarr

from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.images.sampling import SAMPLE_CELLS, SAMPLE_ROUNDS


def test_a_first_window_of_a_huge_image_reads_a_bounded_number_of_chunks() -> None:
    store, array = huge()
    image = open_image(array)
    assert (len(image.levels), store.chunks) == (11, [])
    tracemalloc.start()
    rgb = image.read_rgb((), 0, Box(100_000, 100_000, 100_512, 100_512))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.ptp(rgb) > 100  # the sample met fill values only: the window decides
    assert len(store.chunks) == SAMPLE_CELLS * SAMPLE_ROUNDS + 4
    assert peak < 100 * 2**20
    store.chunks.clear()
    again = image.read_rgb((), 0, Box(100_000, 100_000, 100_512, 100_512))
    np.testing.assert_array_equal(again, rgb)
    assert len(store.chunks) == 4


def test_a_sample_that_varies_takes_sixteen_chunks() -> None:
    store = CountingStore(MemoryStore())
    rng = np.random.default_rng(0)
    array = zarr.create_array(store, shape=(4096, 4096), chunks=(512, 512), dtype="u2")
    array[...] = rng.integers(0, 999, (4096, 4096), dtype=np.uint16)
    store.chunks.clear()
    low, high = open_image(zarr.open_array(store, mode="r")).contrast[0]
    assert len(store.chunks) == SAMPLE_CELLS
    assert (low, high) == pytest.approx((1, 998), abs=2)


def test_small_chunks_are_sampled_in_groups_of_at_most_sixteen() -> None:
    store = CountingStore(MemoryStore())
    zarr.create_array(store, shape=(30_000, 30_000), chunks=(16, 16), dtype="u2")
    open_image(zarr.open_array(store, mode="r")).contrast  # noqa: B018
    assert len(store.chunks) <= SAMPLE_CELLS * SAMPLE_ROUNDS * 16


def test_a_small_coarse_level_is_the_sample(stack: NDArray) -> None:
    store = CountingStore(MemoryStore())
    rng = np.random.default_rng(0)
    fine = rng.integers(0, 999, (1, 1024, 1024), dtype=np.uint16)
    write_ome_zarr(store, [fine, fine[:, ::2, ::2]], version="0.4")
    store.chunks.clear()
    open_image(zarr.open_group(store, mode="r")).contrast  # noqa: B018
    assert {key.split("/")[0] for key in store.chunks} == {"s1"}
    assert len(store.chunks) == 256  # all of its chunks of 32 pixels


def test_every_plane_of_a_stack_counts_for_the_sample() -> None:
    stack = np.zeros((16, 256, 256), np.uint8)
    stack += np.arange(16, dtype=np.uint8)[:, None, None]
    assert open_image(zarr.array(stack)).contrast == ((0, 15),)


def test_opening_reads_no_chunk_and_a_window_reads_its_own(stack: NDArray) -> None:
    store = CountingStore(MemoryStore())
    write_ome_zarr(store, [stack], version="0.4")
    store.chunks.clear()
    image = open_image(zarr.open_group(store, mode="r"))
    assert store.chunks == []
    image.read((0,), 0, Box(0, 0, 64, 64))
    assert len(store.chunks) == 4


def test_opening_a_store_changes_nothing_in_it(tmp_path: Path, stack: NDArray) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [stack])
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    group = zarr.open_group(LocalStore(tmp_path / "a.zarr"), mode="r")
    open_image(group).read_rgb((0,), 0, Box(0, 0, 9, 9))
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before
    assert json.loads((tmp_path / "a.zarr/zarr.json").read_text())
