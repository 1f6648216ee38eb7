"""Cells tile a level without gaps, each well inside its window."""

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam.geometry import Box
from napari_sam.predictor.cells import CellGrid
from napari_sam.predictor.windows import has_margin

quick = settings(deadline=None, max_examples=40)
sides = st.integers(1, 700)
shapes = st.tuples(sides, sides)


@quick
@given(shapes, st.integers(20, 200))
def test_cells_cover_every_pixel_exactly_once(
    shape: tuple[int, int], size: int
) -> None:
    grid = CellGrid(shape, size)
    cells = grid.meeting(Box.of_shape(shape))
    assert sum(grid.cell(cell).area for cell in cells) == shape[0] * shape[1]
    assert Box.around(grid.cell(cell) for cell in cells) == Box.of_shape(shape)


@quick
@given(shapes, st.integers(20, 200))
def test_a_cell_lies_a_quarter_window_inside_the_window_it_is_drawn_from(
    shape: tuple[int, int], size: int
) -> None:
    grid = CellGrid(shape, size)
    for cell in grid.meeting(Box.of_shape(shape)):
        assert has_margin(grid.window(cell), grid.cell(cell), size // 4, shape)


def test_a_cell_in_the_corner_has_three_neighbours() -> None:
    grid = CellGrid((1000, 1000), 512)
    assert grid.neighbours((0, 0)) == [(0, 1), (1, 0), (1, 1)]
    assert len(grid.neighbours((1, 1))) == 8
