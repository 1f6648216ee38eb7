"""Objects that windows have found come out whole, once, and apart from each other."""

import random

import numpy as np
import pytest
from scipy.ndimage import minimum_filter
from stitching_scene import (
    Labels,
    assigned,
    disc,
    grid_over,
    results_of,
    same_objects,
    stitched,
)

from napari_sam.automatic.seams.write_labels import paint
from napari_sam.geometry import Box
from napari_sam.predictor.window_grid import Cell


def empty(height: int = 128, width: int = 128) -> Labels:
    return np.zeros((height, width), dtype=np.uint32)


def test_an_object_on_the_corner_of_four_cores_is_one_and_whole() -> None:
    truth, grid = empty(), grid_over((128, 128))
    core = grid.core(0, 0)
    disc(truth, core.y1, core.x1, 9, 1)
    labels, assignment = stitched(truth, grid)
    assert assignment.count == 1
    assert not assignment.is_shared_n[0]
    assert (labels == truth).all()


def test_an_object_larger_than_several_windows_is_one_and_whole() -> None:
    truth, grid = empty(256, 256), grid_over((256, 256))
    disc(truth, 120, 130, 95, 1)
    labels, assignment = stitched(truth, grid)
    assert grid.rows * grid.columns > 16
    assert assignment.count == 1
    assert assignment.is_shared_n[0]
    assert (labels == truth).all()


def test_a_thin_snake_through_many_windows_is_one() -> None:
    truth, grid = empty(200, 200), grid_over((200, 200))
    columns = np.arange(200)
    rows = (100 + 60 * np.sin(columns / 25)).astype(int)
    for thickness in range(6):
        truth[rows + thickness, columns] = 1
    labels, assignment = stitched(truth, grid)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_touching_neighbours_on_a_seam_stay_apart() -> None:
    truth, grid = empty(), grid_over((128, 128))
    seam = grid.core(0, 0).x1
    for number, y in enumerate(range(10, 120, 16), start=1):
        truth[y : y + 16, seam - 12 : seam + 12] = number
    labels, assignment = stitched(truth, grid)
    assert assignment.count == 7
    assert same_objects(labels, truth)


def test_a_chain_of_large_touching_objects_does_not_become_one() -> None:
    truth, grid = empty(192, 320), grid_over((192, 320))
    truth[20:170, 10:110], truth[20:170, 110:210] = 1, 2
    truth[20:170, 210:310] = 3

    def apart(cell: Cell, seen: Labels) -> Labels:
        # Labels of one window are islands here: a line keeps them apart.
        edges = np.pad(np.diff(seen.astype(int), axis=1) != 0, ((0, 0), (1, 0)))
        seen[edges & (seen > 0)] = 0
        return seen

    labels, assignment = stitched(truth, grid, apart)
    assert assignment.count == 3
    for number in (1, 2, 3):
        ids = np.unique(labels[(truth == number) & (labels > 0)])
        assert len(ids) == 1


def test_a_neighbour_that_misses_an_object_does_not_cut_it() -> None:
    truth, grid = empty(), grid_over((128, 128))
    core = grid.core(0, 0)
    disc(truth, 20, core.x1 - 2, 10, 1)

    def blind(cell: Cell, seen: Labels) -> Labels:
        return seen if cell == (0, 0) else np.zeros_like(seen)

    labels, assignment = stitched(truth, grid, blind)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_a_neighbour_that_sees_an_object_worse_leaves_no_step_in_it() -> None:
    truth, grid = empty(), grid_over((128, 128))
    core = grid.core(0, 0)
    disc(truth, 20, core.x1 - 3, 11, 1)

    def worse(cell: Cell, seen: Labels) -> Labels:
        if cell != (0, 0):
            seen = minimum_filter(seen, 5)
            seen[:-3] = seen[3:]
        return seen

    labels, assignment = stitched(truth, grid, worse)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_what_only_a_halo_shows_does_not_count_against_the_better_view() -> None:
    truth, grid = empty(), grid_over((128, 128))
    inside = grid.core(0, 1)
    disc(truth, 20, inside.x0 + 7, 4, 1)  # in the halo of window (0, 0) too

    def ghost(cell: Cell, seen: Labels) -> Labels:
        return seen if cell == (0, 0) else np.zeros_like(seen)

    _, assignment = stitched(truth, grid, ghost)
    assert assignment.count == 0


def test_an_object_that_all_neighbours_see_does_not_need_its_own_window() -> None:
    truth, grid = empty(256, 256), grid_over((256, 256), 128, 40)
    inside = grid.core(1, 1)
    disc(truth, *inside.center, 8, 1)

    def blind(cell: Cell, seen: Labels) -> Labels:
        return np.zeros_like(seen) if cell == (1, 1) else seen

    labels, assignment = stitched(truth, grid, blind)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_a_window_that_misses_a_part_of_a_large_object_leaves_no_straight_edge() -> (
    None
):
    truth, grid = empty(256, 256), grid_over((256, 256), 96, 30)
    disc(truth, 128, 128, 75, 1)
    dim = grid.core(2, 2)

    def dull(cell: Cell, seen: Labels) -> Labels:
        if cell == (2, 2):  # sees only what is left of the middle of its core
            seen[:, int(dim.center[1]) - grid.window(*cell).x0 :] = 0
        return seen

    labels, assignment = stitched(truth, grid, dull)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_of_two_that_claim_the_same_pixels_the_better_one_stays() -> None:
    truth, grid = empty(), grid_over((128, 128))
    seam = grid.core(0, 0).x1
    truth[10:30, seam - 14 : seam + 10] = 1

    def merged(cell: Cell, seen: Labels) -> Labels:
        if cell == (0, 1):  # takes what is below for a part of it
            window = grid.window(*cell)
            seen[10:44, seam - 14 - window.x0 : seam + 10 - window.x0] = 1
        return seen

    labels, assignment = stitched(truth, grid, merged)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_of_two_views_the_one_that_other_windows_share_stays() -> None:
    truth, grid = empty(), grid_over((128, 128))
    corner = grid.core(0, 0)
    disc(truth, corner.y1, corner.x1, 9, 1)

    def odd(cell: Cell, seen: Labels) -> Labels:
        if cell == (1, 1):
            window = grid.window(*cell)
            seen[corner.y1 - 9 - window.y0 :, corner.x1 - 9 - window.x0 :][:18, :18] = 1
        return seen

    labels, assignment = stitched(truth, grid, odd)
    assert assignment.count == 1
    assert (labels == truth).all()


def test_the_end_of_a_cut_object_is_not_painted_on_a_whole_one() -> None:
    truth, grid = empty(), grid_over((128, 128))
    window, core = grid.window(0, 0), grid.core(0, 0)
    truth[16:48, window.x1 - 2 : window.x1 + 20] = 1
    truth[24:32, core.x0 : window.x1 - 2] = 2

    def leaking(cell: Cell, seen: Labels) -> Labels:
        if cell == (0, 0):  # what is left of the large one goes to the bar beside it
            seen[24:32, core.x0 : window.x1 - window.x0] = 2
        else:
            seen[seen == 2] = 0
        return seen

    labels, assignment = stitched(truth, grid, leaking)
    assert assignment.count == 2
    assert same_objects(labels, truth)


def test_an_unconfirmed_stump_at_the_end_of_a_window_is_dropped() -> None:
    truth, grid = empty(), grid_over((128, 128))
    end = grid.window(0, 0).x1
    truth[20:26, end - 12 : end] = 1

    def stump(cell: Cell, seen: Labels) -> Labels:
        return seen if cell == (0, 0) else np.zeros_like(seen)

    labels, assignment = stitched(truth, grid, stump)
    assert assignment.count == 0
    assert not labels.any()


def random_scene(seed: int) -> Labels:
    """Discs 5 to 60 px wide, many of which touch or hide each other."""
    rng = np.random.default_rng(seed)
    truth = empty(230, 270)
    largest = rng.uniform(8, 30)
    for number in range(1, 90):
        y, x = rng.uniform(0, 230), rng.uniform(0, 270)
        disc(truth, y, x, rng.uniform(2.5, largest), number)
    return truth


@pytest.mark.parametrize("seed", range(6))
def test_random_discs_come_out_as_they_were(seed: int) -> None:
    truth = random_scene(seed)
    side = (64, 96, 128)[seed % 3]
    halo = side // (3 + seed % 2)
    grid = grid_over((230, 270), side, halo)
    # A disc that others hide in part may be in several islands: objects by themselves.
    (whole,) = results_of(truth, grid_over((230, 270), 400, 0)).values()
    labels, assignment = stitched(truth, grid)
    assert same_objects(labels, whole.labels_hw.astype(np.uint32))
    assert sorted(np.unique(labels)) == list(range(assignment.count + 1))


@pytest.mark.parametrize("seed", range(3))
def test_order_and_grouping_change_nothing(seed: int) -> None:
    truth, grid = random_scene(seed), grid_over((230, 270))

    def noisy(cell: Cell, seen: Labels) -> Labels:
        rng = np.random.default_rng((seed, *cell))
        seen[rng.random(seen.shape) < 0.02] = 0
        return seen

    results = results_of(truth, grid, noisy)
    first = assigned(results, grid)
    labels = paint(grid.area, results, first)
    shuffled = list(results)
    random.Random(seed).shuffle(shuffled)
    second = assigned(results, grid, shuffled, turned=True)
    assert (paint(grid.area, dict(reversed(results.items())), second) == labels).all()
    np.testing.assert_array_equal(first.ids, second.ids)
    np.testing.assert_array_equal(first.scores_n, second.scores_n)


def test_any_box_is_painted_as_in_the_whole() -> None:
    truth, grid = random_scene(7), grid_over((230, 270))
    results = results_of(truth, grid)
    assignment = assigned(results, grid)
    whole = paint(grid.area, results, assignment)
    for box in (Box(0, 0, 50, 270), Box(33, 77, 34, 78), Box(100, 90, 230, 270)):
        over = {cell: results[cell] for cell in grid.windows_over(box)}
        np.testing.assert_array_equal(paint(box, over, assignment), whole[box.slices])


def test_ids_are_in_reading_order() -> None:
    truth, grid = empty(), grid_over((128, 128))
    for number, (y, x) in enumerate([(100, 20), (20, 100), (20, 30), (60, 60)], 1):
        disc(truth, y, x, 6, number)
    labels, _ = stitched(truth, grid)
    assert [labels[20, 30], labels[20, 100], labels[60, 60], labels[100, 20]] in (
        [1, 2, 3, 4],
        [2, 1, 3, 4],
    )


def test_nothing_found_is_an_empty_assignment() -> None:
    labels, assignment = stitched(empty(), grid_over((128, 128)))
    assert assignment.count == 0
    assert not labels.any()
