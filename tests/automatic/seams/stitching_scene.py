"""Known labels, as the windows of a grid would see them."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from napari_sam.automatic.seams.stitching import Assignment, Stitcher
from napari_sam.automatic.seams.write_labels import paint
from napari_sam.automatic.window.window_labels import WindowObjects
from napari_sam.automatic.window.window_objects import WindowResult, overlaps
from napari_sam.geometry import Box
from napari_sam.predictor.window_grid import Cell, WindowGrid

Labels = NDArray[np.uint32]
Sight = Callable[[Cell, Labels], Labels]


def grid_over(shape: tuple[int, int], side: int = 64, halo: int = 16) -> WindowGrid:
    whole = Box.of_shape(shape)
    return WindowGrid(whole, whole, side, halo)


def as_it_is(cell: Cell, truth_hw: Labels) -> Labels:
    return truth_hw


def results_of(
    truth_hw: Labels, grid: WindowGrid, sight: Sight = as_it_is
) -> dict[Cell, WindowResult]:
    """What each window sees of known labels, islands of an object by themselves.

    Objects that touch have different labels, so they stay apart in a window.
    """
    results = {}
    for cell in np.ndindex(grid.rows, grid.columns):
        window = grid.window(*cell)
        seen = sight(cell, truth_hw[window.slices].copy())
        numbered = label(seen, background=0, connectivity=2).astype(np.uint32)
        scores = np.full(int(numbered.max()), 0.9, dtype=np.float32)
        found = WindowObjects(numbered, scores)
        results[cell] = WindowResult.of(window, grid.core(*cell), grid.bounds, found)
    return results


def assigned(
    results: Mapping[Cell, WindowResult],
    grid: WindowGrid,
    order: Iterable[Cell] | None = None,
    max_shared: float = 0.3,
    *,
    turned: bool = False,
) -> Assignment:
    """Stitch, in an order of windows, perhaps each pair the other way round."""
    stitcher = Stitcher(max_shared)
    for cell in results if order is None else order:
        stitcher.add(cell, results[cell].table)
        for other in grid.neighbours_after(*cell):
            first, second = (other, cell) if turned else (cell, other)
            stitcher.join(first, second, overlaps(results[first], results[second]))
    return stitcher.solve()


def stitched(
    truth_hw: Labels, grid: WindowGrid, sight: Sight = as_it_is
) -> tuple[Labels, Assignment]:
    results = results_of(truth_hw, grid, sight)
    assignment = assigned(results, grid)
    return paint(grid.area, results, assignment), assignment


def disc(labels_hw: Labels, y: float, x: float, radius: float, number: int) -> None:
    """Draw a disc where nothing is drawn yet."""
    rows, columns = np.ogrid[: labels_hw.shape[0], : labels_hw.shape[1]]
    inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    labels_hw[inside & (labels_hw == 0)] = number


def same_objects(first: Labels, second: Labels) -> bool:
    """Whether two label images differ in their ids alone."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return (
        len(np.unique(pairs[0])) == pairs.shape[1] == len(np.unique(pairs[1]))
        and (first == 0).sum() == ((first == 0) & (second == 0)).sum()
    )
