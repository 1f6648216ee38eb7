"""Where an automatic run clicks, and which crops it segments."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam.automatic.window.point_grid import crop_boxes, layer_grids, point_grid
from napari_sam.geometry import Box


def test_points_are_the_centres_of_equal_cells_row_by_row() -> None:
    wanted = [[0.25, 0.125], [0.75, 0.125], [0.25, 0.375], [0.75, 0.375]]
    assert point_grid(4, 2)[:4].tolist() == wanted
    assert len(point_grid(4, 2)) == 8


def test_a_layer_s_crops_get_fewer_points_where_that_is_asked_for() -> None:
    sides = [len(grid) ** 0.5 for grid in layer_grids(32, 2, 2)]
    assert sides == [32, 16, 8]


def test_without_layers_the_whole_image_is_the_only_crop() -> None:
    assert crop_boxes((30, 40), 0, 0.3) == [(Box(0, 0, 30, 40), 0)]


def test_crops_of_a_layer_by_hand() -> None:
    # Overlap int(0.25 * 80) = 20; sides (20 + 80) / 2 = 50 and (20 + 120) / 2 = 70.
    assert crop_boxes((80, 120), 1, 0.25)[1:] == [
        (Box(0, 0, 50, 70), 1),
        (Box(30, 0, 80, 70), 1),
        (Box(0, 50, 50, 120), 1),
        (Box(30, 50, 80, 120), 1),
    ]


@pytest.mark.parametrize("shape", [(64, 64), (31, 97), (500, 333)])
def test_the_crops_of_every_layer_cover_the_image(shape: tuple[int, int]) -> None:
    for layer in (1, 2):
        covered = np.zeros(shape, dtype=bool)
        boxes = [box for box, of in crop_boxes(shape, 2, 512 / 1500) if of == layer]
        assert len(boxes) == 4**layer
        for box in boxes:
            assert Box.of_shape(shape).contains(box)
            covered[box.slices] = True
        assert covered.all()
