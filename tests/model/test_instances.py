"""Objects from maps: followed directions, flooded distances."""

import numpy as np
import pytest
from scipy import ndimage
from torch.nn import functional

from napari_sam.errors import MapError
from napari_sam.model import instances
from napari_sam.model.instances import (
    InstanceMaps,
    InstanceOptions,
    MapKind,
    find_instances,
    follow_directions,
    tidied,
)

CENTRES = ((16, 16), (16, 36), (40, 20), (44, 44))  # the first two touch


def discs(side: int = 64, radius: int = 10) -> np.ndarray:
    """Ids of four discs, each pixel its nearest one's."""
    rows, columns = np.mgrid[:side, :side]
    away = np.stack([np.hypot(rows - y, columns - x) for y, x in CENTRES])
    return np.where(away.min(axis=0) <= radius, away.argmin(axis=0) + 1, 0)


def direction_maps(labels: np.ndarray) -> np.ndarray:
    """Perfect ones: the way to each object's centre."""
    maps = np.zeros((3, *labels.shape), np.float16)
    maps[0] = labels > 0
    rows, columns = np.indices(labels.shape)
    for number, (y, x) in enumerate(CENTRES, start=1):
        own = labels == number
        way = np.stack([y - rows, x - columns]).astype(float)
        maps[1:, own] = (way / np.maximum(np.hypot(*way), 1))[:, own]
    return maps


def distance_maps(labels: np.ndarray) -> np.ndarray:
    """Perfect ones: 1 outside, 0 in each object's middle."""
    maps = np.ones((3, *labels.shape), np.float16)
    maps[0] = labels > 0
    rows, columns = np.indices(labels.shape)
    for number, (y, x) in enumerate(CENTRES, start=1):
        own = labels == number
        inner = ndimage.distance_transform_edt(own)
        away = np.hypot(rows - y, columns - x)
        maps[1, own] = (away / away[own].max())[own]
        maps[2, own] = (1 - inner / inner.max())[own]
    return maps


def agreement(found: np.ndarray, wanted: np.ndarray) -> float:
    """The worst IoU of a wanted object with its best partner."""
    ious = []
    for number in range(1, int(wanted.max()) + 1):
        own = wanted == number
        best = np.bincount(found[own]).argmax()
        assert best > 0
        ious.append((own & (found == best)).sum() / (own | (found == best)).sum())
    return min(ious)


@pytest.mark.parametrize("kind", MapKind)
def test_objects_are_found_and_touching_ones_are_two(kind: MapKind) -> None:
    labels = discs()
    make = direction_maps if kind is MapKind.DIRECTIONS else distance_maps
    found = find_instances(InstanceMaps(make(labels), kind, labels.shape))
    assert found.max() == len(CENTRES)
    assert found.dtype == np.int32
    assert agreement(found, labels) > 0.95


def test_ids_cover_the_window_where_the_maps_are_smaller() -> None:
    maps = InstanceMaps(direction_maps(discs()), MapKind.DIRECTIONS, (128, 127))
    found = find_instances(maps)
    assert found.shape == (128, 127)
    wanted = np.repeat(np.repeat(discs(), 2, axis=0), 2, axis=1)[:, :127]
    assert agreement(found, wanted) > 0.93


def test_maps_without_objects_have_none() -> None:
    for kind in MapKind:
        empty = InstanceMaps(np.zeros((3, 8, 9), np.float16), kind, (16, 18))
        assert not find_instances(empty).any()


def test_pixels_are_followed_a_bounded_number_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    maps = direction_maps(discs()).astype(np.float32)
    whole = follow_directions(maps[1:], maps[0] > 0)
    counts = []
    sample = functional.grid_sample

    def counted(field: object, places: object, **options: object) -> object:
        counts.append(places.shape[2])
        return sample(field, places, **options)

    monkeypatch.setattr(functional, "grid_sample", counted)
    monkeypatch.setattr(instances, "POINTS_AT_ONCE", 100)
    parts = follow_directions(maps[1:], maps[0] > 0)
    np.testing.assert_array_equal(parts, whole)
    assert max(counts) == 100


def test_ids_are_one_piece_each_without_holes() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[1:8, 1:8] = 5
    labels[4, 4] = 0  # a hole
    labels[12:14, 12:14] = 5  # another piece of the same id
    labels[10:19, 1:9] = 2
    tidy = tidied(labels, smallest=5)
    assert tidy.max() == 2
    assert tidy[4, 4] == tidy[1, 1] > 0
    assert not tidy[12:14, 12:14].any()
    assert not tidied(labels, smallest=100).any()


@pytest.mark.parametrize(
    "change",
    [{"foreground": 1.0}, {"steps": 0}, {"distance_blur": -1.0}, {"gathering": 0.0}],
)
def test_options_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(MapError, match=next(iter(change))):
        InstanceOptions(**change)
