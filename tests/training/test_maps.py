"""What an instance decoder's maps should be, and the loss of being off."""

import numpy as np
import pytest
import torch
from training_scene import disc_arrays

from napari_sam.training.maps import DIRECTION_WEIGHT, map_loss, map_targets

SURE = 20.0


def square() -> np.ndarray:
    labels = np.zeros((32, 32), dtype=np.int32)
    labels[8:18, 12:22] = 7  # rows 4 to 8 and columns 6 to 10 of the maps
    return labels


def test_targets_are_half_the_size_and_lead_inward() -> None:
    maps = map_targets(square())
    assert (maps.shape, maps.dtype) == ((3, 16, 16), np.float32)
    inside = np.zeros((16, 16), dtype=bool)
    inside[4:9, 6:11] = True
    np.testing.assert_array_equal(maps[0], inside)
    assert not maps[1:, ~inside].any()
    np.testing.assert_allclose(maps[1:, 4, 8], [1, 0], atol=1e-6)  # down, from the top
    np.testing.assert_allclose(maps[1:, 6, 10], [0, -1], atol=1e-6)  # to the left
    lengths = np.hypot(*maps[1:])[inside]
    assert np.sort(lengths)[1:].min() > 0.999  # all but the middle itself


def test_touching_objects_lead_away_from_each_other() -> None:
    labels = square()
    labels[8:18, 22:32] = 3
    maps = map_targets(labels)
    assert maps[2, 6, 10] < -0.9 < 0.9 < maps[2, 6, 11]
    np.testing.assert_allclose(maps[:, :, :11], map_targets(square())[:, :, :11])


def test_a_bent_object_is_led_along_itself() -> None:
    labels = np.zeros((64, 64), dtype=np.int32)
    labels[10:54, 10:18] = 1
    labels[46:54, 10:54] = 1  # an L: its centre of mass lies nearer the corner
    maps = map_targets(labels)
    assert maps[1, 8, 6] > 0.9  # at the far end of one arm: down, not across
    assert maps[2, 24, 24] < -0.9  # at the other's: to the left


def test_without_objects_targets_are_empty() -> None:
    assert not map_targets(np.zeros((16, 16), dtype=np.int32)).any()


def test_every_object_of_a_crop_has_targets() -> None:
    labels = disc_arrays()[1].astype(np.int32)
    maps = map_targets(labels)
    assert (np.hypot(*maps[1:]) > 0.9).sum() >= 0.98 * maps[0].sum()


def test_directions_only_count_on_objects() -> None:
    target = torch.zeros(1, 3, 1, 2)
    target[0, :, 0, 0] = torch.tensor([1.0, 0.6, 0.8])
    maps = torch.tensor([[[[SURE, -SURE]], [[-0.6, 9]], [[0.8, 9]]]])
    expected = DIRECTION_WEIGHT * 1.2**2 / 2
    assert map_loss(maps, target).item() == pytest.approx(expected, rel=1e-5)
    nothing = torch.zeros(1, 3, 1, 1)
    empty = torch.tensor([[[[-SURE]], [[5.0]], [[5.0]]]])
    assert map_loss(empty, nothing).item() == pytest.approx(0, abs=1e-6)
