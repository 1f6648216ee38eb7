from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from skimage.measure import label, regionprops

from napari_sam.errors import SamError, SceneError
from napari_sam.scenes import (
    Scene,
    SceneKind,
    SceneOptions,
    make_scene,
    random_options,
    scene_stream,
)

KINDS = list(SceneKind)


def scene(kind: SceneKind, size: float = 24.0, seed: int = 5, **others) -> Scene:
    return make_scene(SceneOptions(kind, (128, 144), size, seed=seed, **others))


def touching_pairs(labels: np.ndarray) -> int:
    pairs = set()
    for first, second in (
        (labels[1:], labels[:-1]),
        (labels[:, 1:], labels[:, :-1]),
    ):
        met = (first != second) & (first > 0) & (second > 0)
        pairs |= {frozenset(p) for p in zip(first[met], second[met], strict=True)}
    return len(pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_options_draw_the_same_bytes(kind):
    first, second = scene(kind), scene(kind)
    assert first.pixels.tobytes() == second.pixels.tobytes()
    assert first.labels_hw.tobytes() == second.labels_hw.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_another_seed_draws_other_pixels_and_other_objects(kind):
    first, second = scene(kind, seed=5), scene(kind, seed=6)
    assert (first.pixels != second.pixels).any()
    assert (first.labels_hw != second.labels_hw).any()


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_grey_counts_or_colours(kind):
    drawn = scene(kind)
    is_colour = kind == SceneKind.STAIN
    assert drawn.pixels.shape == ((128, 144, 3) if is_colour else (128, 144))
    assert drawn.pixels.dtype == (np.uint8 if is_colour else np.uint16)
    assert drawn.labels_hw.shape == (128, 144)
    assert drawn.labels_hw.dtype == np.uint16
    assert drawn.tracks_n4 is None


@pytest.mark.parametrize("size", [8.0, 24.0, 90.0])
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_compact_and_each_is_one_piece(kind, size):
    labels = scene(kind, size).labels_hw
    ids = np.unique(labels)
    ids = ids[ids > 0]
    assert ids.size > 0
    assert ids.tolist() == list(range(1, ids.size + 1))
    assert label(labels, background=0, connectivity=1).max() == ids.size


@pytest.mark.parametrize("size", [16.0, 48.0])
@pytest.mark.parametrize("kind", KINDS)
def test_objects_are_as_large_as_asked(kind, size):
    """Extent: the diameter of the circle that holds as much, or the longer axis."""
    is_long = kind in {SceneKind.RODS, SceneKind.FILAMENTS, SceneKind.COLONY}
    extents: list[float] = []
    for seed in range(2):
        options = SceneOptions(kind, (224, 224), size, density=0.7, seed=seed)
        labels = make_scene(options).labels_hw
        border = np.concatenate([labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()])
        regions = [r for r in regionprops(labels) if r.label not in set(border)]
        extents += [
            r.axis_major_length if is_long else r.equivalent_diameter_area
            for r in regions
        ]
    # Most objects of an electron micrograph are fibres without myelin, half as large.
    typical = np.percentile(extents, 97 if kind == SceneKind.ELECTRON else 50)
    assert 0.6 * size < typical < 1.5 * size


@pytest.mark.parametrize(
    "kind", [SceneKind.NUCLEI, SceneKind.PHASE, SceneKind.STAIN, SceneKind.RODS]
)
def test_in_a_crowd_some_objects_touch(kind):
    assert touching_pairs(scene(kind, 20.0, density=1.0).labels_hw) > 2


@pytest.mark.parametrize("kind", [k for k in KINDS if k != SceneKind.MEMBRANES])
def test_there_is_background(kind):
    assert (scene(kind).labels_hw == 0).mean() > 0.1


def test_membranes_tile_the_plane():
    assert scene(SceneKind.MEMBRANES, density=0.8).labels_hw.min() > 0


def test_sparse_membranes_have_holes_without_a_label():
    holes = [
        (scene(SceneKind.MEMBRANES, seed=seed, density=0.0).labels_hw == 0).any()
        for seed in range(4)
    ]
    assert any(holes)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_can_be_seen(kind):
    """Their outlines lie where the picture changes more than elsewhere."""
    drawn = scene(kind, 40.0, noise=0.1, blur=0.8)
    grey = drawn.pixels.astype(float)
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    labels = drawn.labels_hw
    near_edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        for shift in (-2, -1, 1, 2):
            near_edge |= np.roll(labels, shift, axis) != labels
    slope = np.hypot(*np.gradient(grey))
    assert slope[near_edge].mean() > 1.3 * slope[~near_edge].mean()


@pytest.mark.parametrize("kind", [SceneKind.NUCLEI, SceneKind.PHASE, SceneKind.STAIN])
def test_noise_adds_grain_and_moves_no_object(kind):
    quiet, loud = scene(kind, noise=0.0), scene(kind, noise=0.9)
    assert (quiet.labels_hw == loud.labels_hw).all()

    def grain(drawn: Scene) -> float:
        return float(np.abs(np.diff(drawn.pixels.astype(float), axis=1)).mean())

    assert grain(loud) > 2 * grain(quiet)


def test_a_fuller_scene_has_more_objects():
    few = scene(SceneKind.NUCLEI, 16.0, density=0.1).labels_hw.max()
    many = scene(SceneKind.NUCLEI, 16.0, density=0.9).labels_hw.max()
    assert many > 3 * few


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_larger_than_the_scene_is_drawn(kind):
    drawn = make_scene(SceneOptions(kind, (40, 56), 300.0, density=0.0, seed=1))
    assert drawn.labels_hw.shape == (40, 56)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "aliens"},
        {"shape_hw": (8, 256)},
        {"object_size": 2.0},
        {"object_size": float("nan")},
        {"density": 1.5},
        {"noise": -0.1},
        {"blur": 99.0},
        {"seed": -1},
    ],
)
def test_options_that_no_scene_can_have_are_refused_with_what_came(change):
    (came,) = change.values()
    with pytest.raises(SceneError) as caught:
        SceneOptions(**{"kind": SceneKind.NUCLEI} | change)
    assert str(came) in str(caught.value)
    assert isinstance(caught.value, SamError)
    assert isinstance(caught.value, ValueError)


def test_a_stream_draws_the_same_scenes_again():
    first = [s.pixels.tobytes() for s in islice(scene_stream(3, 64), 5)]
    second = [s.pixels.tobytes() for s in islice(scene_stream(3, 64), 5)]
    other = [s.pixels.tobytes() for s in islice(scene_stream(4, 64), 5)]
    assert first == second
    assert first != other
    assert len(set(first)) == 5


def test_a_stream_is_square_and_every_scene_has_an_object():
    for drawn in islice(scene_stream(0, 96), 40):
        assert drawn.labels_hw.shape == (96, 96)
        assert drawn.labels_hw.max() > 0


def test_a_stream_visits_every_kind_and_sizes_evenly_on_a_log_scale():
    rng = np.random.default_rng(0)
    options = [random_options(rng, 512) for _ in range(600)]
    assert {each.kind for each in options} == set(SceneKind)
    logs = np.log([each.object_size for each in options])
    assert logs.min() >= np.log(8)
    assert logs.max() <= np.log(300)
    assert abs(np.median(logs) - (np.log(8) + np.log(300)) / 2) < 0.2


def test_a_stream_of_specks_is_refused_at_once():
    with pytest.raises(SceneError, match="got size 4"):
        scene_stream(0, 4)
