from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from skimage.measure import label

from napari_sam.errors import SceneError
from napari_sam.scenes import (
    Scene,
    SceneKind,
    SceneOptions,
    make_movie,
    make_stack,
)

FRAMES = 24


def stack(kind: SceneKind, seed: int = 2) -> Scene:
    return make_stack(SceneOptions(kind, (80, 96), 24.0, density=0.7, seed=seed), 12)


@cache
def movie(kind: SceneKind) -> Scene:
    options = SceneOptions(kind, (112, 128), 24.0, density=0.5, seed=7)
    return make_movie(options, FRAMES)


STACKED = [SceneKind.NUCLEI, SceneKind.MEMBRANES]
FILMED = [SceneKind.NUCLEI, SceneKind.PHASE]


@pytest.mark.parametrize("kind", STACKED)
def test_a_stack_is_z_y_x_and_the_same_again(kind):
    first, second = stack(kind), stack(kind)
    assert first.pixels.shape == first.labels_hw.shape == (12, 80, 96)
    assert first.pixels.dtype == first.labels_hw.dtype == np.uint16
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.labels_hw.tobytes() == second.labels_hw.tobytes()
    assert (stack(kind, seed=3).pixels != first.pixels).any()


@pytest.mark.parametrize("kind", STACKED)
def test_an_id_in_a_stack_is_one_piece_of_space(kind):
    labels = stack(kind).labels_hw
    ids = np.setdiff1d(labels, [0])
    assert ids.tolist() == list(range(1, ids.size + 1))
    assert label(labels, background=0, connectivity=1).max() == ids.size


@pytest.mark.parametrize("kind", STACKED)
def test_objects_go_through_planes(kind):
    labels = stack(kind).labels_hw
    planes = [(labels == each).any(axis=(1, 2)).sum() for each in np.unique(labels)[1:]]
    assert np.median(planes) >= 4


def test_nuclei_in_a_stack_glow_on_a_dark_ground():
    drawn = stack(SceneKind.NUCLEI)
    inside = drawn.labels_hw > 0
    assert 0.02 < inside.mean() < 0.9
    assert drawn.pixels[inside].mean() > 2 * drawn.pixels[~inside].mean()


@pytest.mark.parametrize("kind", FILMED)
def test_a_movie_is_t_y_x_and_the_same_again(kind):
    first = movie(kind)
    options = SceneOptions(kind, (112, 128), 24.0, density=0.5, seed=7)
    second = make_movie(options, FRAMES)
    assert first.pixels.shape == first.labels_hw.shape == (FRAMES, 112, 128)
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.labels_hw.tobytes() == second.labels_hw.tobytes()
    assert first.tracks_n4.tobytes() == second.tracks_n4.tobytes()


@pytest.mark.parametrize("kind", FILMED)
def test_tracks_say_in_which_frames_an_id_is_and_have_no_gaps(kind):
    drawn = movie(kind)
    ids = np.setdiff1d(drawn.labels_hw, [0])
    assert drawn.tracks_n4[:, 0].tolist() == ids.tolist()
    for track, begin, end, _ in drawn.tracks_n4:
        shown = np.flatnonzero((drawn.labels_hw == track).any(axis=(1, 2)))
        assert shown.tolist() == list(range(begin, end + 1))


@pytest.mark.parametrize("kind", FILMED)
def test_both_daughters_get_new_ids_in_the_frame_after_their_mother(kind):
    tracks = {row[0]: row for row in movie(kind).tracks_n4.tolist()}
    daughters = [row for row in tracks.values() if row[3]]
    whole = 0
    for track, begin, _, parent in daughters:
        assert parent < track
        assert tracks[parent][2] == begin - 1
        born = [row for row in daughters if row[3] == parent]
        assert 1 <= len(born) <= 2
        whole += len(born) == 2
    assert whole >= 4


@pytest.mark.parametrize("kind", FILMED)
def test_daughters_lie_where_their_mother_was(kind):
    drawn = movie(kind)

    def centre(frame: int, track: int) -> np.ndarray:
        return np.argwhere(drawn.labels_hw[frame] == track).mean(axis=0)

    for track, begin, _, parent in drawn.tracks_n4:
        if parent:
            way = centre(begin, track) - centre(begin - 1, parent)
            assert np.hypot(*way) < 1.5 * 24


@pytest.mark.parametrize("kind", FILMED)
def test_cells_move_but_not_far_in_a_frame(kind):
    drawn = movie(kind)
    ways = []
    for track, begin, end, _ in drawn.tracks_n4:
        places = [
            np.argwhere(drawn.labels_hw[frame] == track).mean(axis=0)
            for frame in range(begin, end + 1)
        ]
        if len(places) > 1:
            ways += np.hypot(*np.diff(places, axis=0).T).tolist()
    assert 0.2 < np.median(ways) < 0.25 * 24


@pytest.mark.parametrize("kind", FILMED)
def test_an_id_in_a_frame_is_one_piece(kind):
    for labels in movie(kind).labels_hw:
        components = label(labels, background=0, connectivity=1).max()
        assert components == np.setdiff1d(labels, [0]).size


def test_kinds_without_a_third_dimension_are_refused():
    rods = SceneOptions(SceneKind.RODS)
    with pytest.raises(SceneError, match="nuclei or membranes"):
        make_stack(rods, 4)
    with pytest.raises(SceneError, match="nuclei or phase"):
        make_movie(rods, 4)


def test_no_plane_and_no_frame_are_refused():
    nuclei = SceneOptions(SceneKind.NUCLEI)
    with pytest.raises(SceneError, match="depth 0"):
        make_stack(nuclei, 0)
    with pytest.raises(SceneError, match="0 frames"):
        make_movie(nuclei, 0)
