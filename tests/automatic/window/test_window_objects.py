"""What stitching needs to know of the objects of a window."""

import numpy as np

from napari_sam.automatic.window.window_labels import WindowObjects
from napari_sam.automatic.window.window_objects import WindowResult, overlaps
from napari_sam.geometry import Box

PLANE = Box(0, 0, 100, 100)


def result(window: Box, core: Box, *boxes: Box) -> WindowResult:
    labels = np.zeros(window.shape, dtype=np.uint32)
    for number, box in enumerate(boxes, start=1):
        labels[box.relative_to(window).slices] = number
    scores = np.linspace(0.9, 0.8, len(boxes), dtype=np.float32)
    return WindowResult.of(window, core, PLANE, WindowObjects(labels, scores))


def test_areas_boxes_and_cuts_are_in_the_table() -> None:
    window, core = Box(0, 40, 40, 80), Box(0, 50, 30, 70)
    found = result(
        window,
        core,
        Box(0, 60, 5, 66),  # ends with the plane
        Box(20, 40, 24, 52),  # goes on to the left
        Box(35, 60, 40, 62),  # and below
    ).table
    assert len(found) == 3
    assert found.areas_n.tolist() == [30, 48, 10]
    assert found.core_areas_n.tolist() == [30, 8, 0]
    assert found.boxes_n4.tolist() == [
        [0, 60, 5, 66],
        [20, 40, 24, 52],
        [35, 60, 40, 62],
    ]
    assert found.is_cut_n.tolist() == [False, True, True]


def test_pairs_are_compared_where_both_windows_are() -> None:
    left = result(Box(0, 0, 50, 50), Box(0, 0, 50, 40), Box(10, 20, 20, 40))
    right = result(
        Box(0, 30, 50, 80),
        Box(0, 40, 50, 80),
        Box(12, 34, 20, 44),
        Box(30, 34, 32, 36),
    )
    shared = overlaps(left, right)
    assert shared.first_n.tolist() == shared.second_n.tolist() == [0]
    assert shared.shared_n.tolist() == [8 * 6]
    assert shared.first_common_n.tolist() == [10 * 10]
    assert shared.second_common_n.tolist() == [8 * 10]
