"""Windows cover an area: cores tile it, and every core has its halo."""

import numpy as np
import pytest

from napari_sam.errors import GeometryError
from napari_sam.geometry import Box
from napari_sam.predictor.window_grid import WindowGrid
from napari_sam.predictor.windows import has_margin


def random_grid(seed: int) -> WindowGrid:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 400, 2))
    y0, x0 = int(rng.integers(height)), int(rng.integers(width))
    y1, x1 = int(rng.integers(y0, height)) + 1, int(rng.integers(x0, width)) + 1
    side = int(rng.integers(8, 128))
    halo = int(rng.integers(0, (side + 1) // 2))
    area, plane = Box(y0, x0, y1, x1), Box(0, 0, height, width)
    return WindowGrid(area, plane, side, halo, even=seed % 2 == 1)


@pytest.mark.parametrize("seed", range(60))
def test_cores_tile_the_area_and_windows_show_them_with_their_halos(seed: int) -> None:
    grid = random_grid(seed)
    seen = np.zeros(grid.bounds.shape, dtype=int)
    needed = grid.area.grow(grid.halo).clip(grid.bounds)
    for cell in np.ndindex(grid.rows, grid.columns):
        core, window = grid.core(*cell), grid.window(*cell)
        seen[core.slices] += 1
        assert window.shape == tuple(min(grid.side, n) for n in grid.bounds.shape)
        assert grid.bounds.contains(window)
        assert window.contains(core.grow(grid.halo).clip(needed))
    assert (seen[grid.area.slices] == 1).all()
    assert seen.sum() == grid.area.area


@pytest.mark.parametrize("seed", range(60))
def test_the_cores_over_a_box_are_those_that_share_a_pixel(seed: int) -> None:
    grid = random_grid(seed)
    cores = {cell: grid.core(*cell) for cell in np.ndindex(grid.rows, grid.columns)}
    for cell, core in list(cores.items())[:: 1 + len(cores) // 30]:
        assert grid.cell_of(core.y0, core.x0) == cell
        assert grid.cell_of(core.y1 - 1, core.x1 - 1) == cell
        box = core.grow(3).clip(grid.area)
        assert grid.cores_over(box) == [c for c in cores if cores[c].intersects(box)]


@pytest.mark.parametrize("seed", range(1, 60, 2))
def test_cores_of_an_even_grid_have_one_size_but_the_last(seed: int) -> None:
    grid = random_grid(seed)
    for row, column in np.ndindex(grid.rows, grid.columns):
        core = grid.core(row, column)
        assert core.shape[0] == grid.step or row == grid.rows - 1
        assert core.shape[1] == grid.step or column == grid.columns - 1
        assert max(core.shape) <= grid.step


@pytest.mark.parametrize("side", [20, 33, 64, 129])
@pytest.mark.parametrize("shape", [(1, 700), (64, 65), (333, 500)])
def test_a_core_of_quarters_lies_a_quarter_window_inside_its_window(
    shape: tuple[int, int], side: int
) -> None:
    grid = WindowGrid.of_quarters(shape, side)
    for cell in np.ndindex(grid.rows, grid.columns):
        assert has_margin(grid.window(*cell), grid.core(*cell), side // 4, shape)


def test_a_core_in_the_corner_has_three_neighbours() -> None:
    grid = WindowGrid.of_quarters((1000, 1000), 512)
    assert grid.neighbours(0, 0) == [(0, 1), (1, 0), (1, 1)]
    assert len(grid.neighbours(1, 1)) == 8


@pytest.mark.parametrize("seed", range(60))
def test_the_windows_over_a_box_are_those_that_share_a_pixel(seed: int) -> None:
    grid = random_grid(seed)
    windows = {cell: grid.window(*cell) for cell in np.ndindex(grid.rows, grid.columns)}
    for cell in list(windows)[:: 1 + len(windows) // 30]:
        window = windows[cell]
        beside = [other for other, box in windows.items() if box.intersects(window)]
        assert grid.windows_over(window) == beside
        assert grid.neighbours_after(*cell) == [x for x in beside if x > cell]


def test_a_plane_smaller_than_a_window_is_seen_at_once() -> None:
    plane = Box(0, 0, 30, 200)
    grid = WindowGrid(plane, plane, 64, 16)
    assert (grid.rows, grid.window(0, 0)) == (1, Box(0, 0, 30, 64))


@pytest.mark.parametrize(
    ("area", "side", "halo"),
    [
        (Box(0, 0, 50, 50), 16, 8),
        (Box(0, 0, 50, 50), 0, 0),
        (Box(0, 0, 50, 101), 16, 4),
    ],
)
def test_grids_that_cannot_be_are_refused(area: Box, side: int, halo: int) -> None:
    with pytest.raises(GeometryError):
        WindowGrid(area, Box(0, 0, 100, 100), side, halo)
