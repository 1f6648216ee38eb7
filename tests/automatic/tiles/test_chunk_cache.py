"""What several tiles see is read once, and let go of when no tile needs it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from run_scene import OPTIONS, Regions

from napari_sam.automatic.estimate.planning import plan_run
from napari_sam.automatic.plan import RunPlan, RunRequest
from napari_sam.automatic.tiles import chunk_cache as shared_reads
from napari_sam.automatic.tiles.chunk_cache import ChunkCache
from napari_sam.automatic.tiles.tile import read_tile
from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image

CHUNK = (40, 56)
PIXELS = np.random.default_rng(1).integers(0, 60000, (2, 470, 610), dtype=np.uint16)


class Counted:
    """An array that counts how often each of its chunks is read."""

    dtype = PIXELS.dtype
    shape = PIXELS.shape
    chunks = (1, *CHUNK)

    def __init__(self) -> None:
        self.reads: Counter[tuple[int, int, int]] = Counter()
        self.broken: set[tuple[int, int, int]] = set()

    def __getitem__(self, index: Any) -> NDArray[np.uint16]:
        plane, rows, columns = index
        for row in range(rows.start // CHUNK[0], -(-rows.stop // CHUNK[0])):
            for column in range(
                columns.start // CHUNK[1], -(-columns.stop // CHUNK[1])
            ):
                self.reads[plane, row, column] += 1
                if (plane, row, column) in self.broken:
                    raise OSError("broken")
        part: NDArray[np.uint16] = PIXELS[index]
        return part


@pytest.fixture
def array() -> Counted:
    return Counted()


@pytest.fixture
def image(array: Counted) -> Image:
    return open_image(array, axes="zyx", contrast_limits=(0, 60000))


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_reads, "BLOCK_SIDE", 50)


def plan_of(image: Image, level: int = 0) -> RunPlan:
    request = RunRequest(
        image.fingerprint,
        "regions",
        ((0,), (1,)),
        Box(30, 0, 470, 590),
        level,
        OPTIONS,
        skip_empty=False,
    )
    return replace(plan_run(image, Regions(), request), windows_along=2)


def read_all(plan: RunPlan, image: Image) -> ChunkCache:
    """Read tile by tile, and compare every window with itself alone."""
    reads = ChunkCache(plan, image)
    for tile in plan.tiles():
        pixels = read_tile(plan, image, tile, reads)
        assert pixels.windows
        for cell, shown in pixels.windows.items():
            window = plan.grid.window(*cell)
            wanted = image.read_rgb(tile.plane, plan.level, window, plan.contrast)
            np.testing.assert_array_equal(shown, wanted)
    return reads


@pytest.mark.parametrize("readers", [1, 4])
@pytest.mark.parametrize("level", [0, 1])
def test_each_chunk_is_read_once_and_nothing_is_kept_in_the_end(
    array: Counted, image: Image, level: int, readers: int
) -> None:
    plan = plan_of(image, level)
    array.reads.clear()
    reads = ChunkCache(plan, image)
    tiles = list(plan.tiles())
    for tile in tiles:
        reads.begin(tile)
    with ThreadPoolExecutor(readers) as pool:
        list(pool.map(lambda tile: read_tile(plan, image, tile, reads), tiles))
    assert len(tiles) > 7
    assert len(array.reads) == 2 * 12 * 11  # planes, and chunks that the windows see
    assert set(array.reads.values()) == {1}
    assert not reads._kept


def test_the_pixels_are_those_of_each_window_by_itself(image: Image) -> None:
    read_all(plan_of(image), image)


def test_a_strip_is_kept_and_not_the_plane(image: Image) -> None:
    plan = plan_of(image)
    reads = ChunkCache(plan, image)
    most = 0
    for tile in plan.tiles():
        read_tile(plan, image, tile, reads)
        kept = sum(future.result().nbytes for future in reads._kept.values())
        most = max(most, kept)
    assert 0 < most < 0.4 * PIXELS[0].nbytes


def test_beyond_the_limit_the_pixels_are_the_same(
    image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reads, "KEPT_BYTES", 20000)
    read_all(plan_of(image), image)


def test_chunks_that_are_huge_are_read_window_by_window(
    array: Counted, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_reads, "LARGEST_BLOCK", 100)
    reads = read_all(plan_of(image), image)
    assert not reads._kept


def test_a_broken_chunk_costs_the_windows_that_lie_on_it(
    array: Counted, image: Image
) -> None:
    plan = plan_of(image)
    array.broken.add((0, 4, 5))
    reads = ChunkCache(plan, image)
    broken = Box(160, 280, 200, 336)
    failed = 0
    for tile in plan.tiles():
        pixels = read_tile(plan, image, tile, reads)
        windows = {plan.grid.window(*cell) for cell in plan.cells_of(tile)}
        hit = {window for window in windows if window.intersects(broken)}
        assert len(pixels.failures) == (len(hit) if tile.plane == (0,) else 0)
        failed += len(pixels.failures)
    assert failed > 0


def test_a_chunk_that_is_whole_again_is_read_again(
    array: Counted, image: Image
) -> None:
    plan = plan_of(image)
    tile = next(plan.tiles())
    reads = ChunkCache(plan, image)
    reads.begin(tile)
    array.broken.add((0, 1, 1))
    box = Box(0, 0, 90, 90)
    with pytest.raises(ImageReadError):
        reads.read(tile, box)
    array.broken.clear()
    np.testing.assert_array_equal(reads.read(tile, box)[0], PIXELS[0, :90, :90])
