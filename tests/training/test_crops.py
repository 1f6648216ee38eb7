"""Crops to train on: reproducible, consistent, and refused where nothing can be."""

from dataclasses import replace

import numpy as np
import pytest
from training_scene import discs

from napari_sam.errors import TrainingError
from napari_sam.training.colours import recolour
from napari_sam.training.config import Augmentation, Phase, Prompting
from napari_sam.training.crops import (
    SMALLEST_OBJECT,
    Crop,
    CropSampler,
    magnified,
    tight_box,
)
from napari_sam.training.planes import TrainingPlane

PHASE = Phase(size=64, prompts=5, object_size=(10, 20))
STILL = Augmentation()
ASKED = Prompting(box_share=0.5, background_share=0.0)


def sampler(prompting: Prompting = ASKED, seed: int = 1) -> CropSampler:
    return CropSampler([discs()], prompting, Augmentation(), seed)


def crops(count: int, prompting: Prompting = ASKED) -> list[Crop]:
    return [sampler(prompting).draw(3, index, PHASE) for index in range(count)]


def test_a_crop_depends_on_seed_step_and_index_alone() -> None:
    busy = sampler()
    for index in range(4):
        busy.draw(2, index, PHASE)
    a, b = busy.draw(3, 1, PHASE), sampler().draw(3, 1, PHASE)
    for name in ("image_chw", "labels_hw", "masks_nhw", "points_n2", "boxes_n4"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.asks_boxes == b.asks_boxes


@pytest.mark.parametrize(("seed", "step", "index"), [(2, 3, 1), (1, 4, 1), (1, 3, 2)])
def test_another_seed_step_or_index_is_another_crop(
    seed: int, step: int, index: int
) -> None:
    one = sampler().draw(3, 1, PHASE)
    other = sampler(seed=seed).draw(step, index, PHASE)
    assert (one.image_chw != other.image_chw).any()


@pytest.mark.parametrize("size", [64, 256])
def test_a_crop_has_the_shapes_that_were_asked_for(size: int) -> None:
    crop = sampler().draw(0, 0, Phase(size=size, prompts=4))
    assert (crop.image_chw.shape, crop.image_chw.dtype) == ((3, size, size), np.uint8)
    assert crop.labels_hw.shape == (size, size)
    assert (crop.masks_nhw.shape, crop.masks_nhw.dtype) == ((4, size, size), np.bool_)
    assert crop.points_n2.shape == (4, 2)
    assert crop.boxes_n4.shape == (4, 4)


def test_prompts_point_at_their_masks() -> None:
    for crop in crops(8):
        for mask, point in zip(crop.masks_nhw, crop.points_n2, strict=True):
            column, row = point.astype(int)
            assert mask[row, column]
            assert mask.sum() >= SMALLEST_OBJECT
            assert len(np.unique(crop.labels_hw[mask])) == 1
        assert (crop.boxes_n4 >= 0).all()
        assert (crop.boxes_n4 <= PHASE.size - 1).all()


def test_a_box_is_off_by_a_fraction_of_its_object() -> None:
    for crop in crops(8):
        for mask, box in zip(crop.masks_nhw, crop.boxes_n4, strict=True):
            rows, columns = np.nonzero(mask)
            assert np.abs(box - tight_box(mask)).max() <= 20
            assert box[0] < columns.mean() < box[2]
            assert box[1] < rows.mean() < box[3]


def test_some_crops_ask_with_boxes_and_some_with_clicks() -> None:
    assert {crop.asks_boxes for crop in crops(12)} == {True, False}
    clicks = replace(ASKED, box_share=0.0)
    assert not any(crop.asks_boxes for crop in crops(4, clicks))


def test_clicks_on_background_have_empty_masks() -> None:
    misses = Prompting(box_share=0.0, background_share=0.5)
    found = {True: 0, False: 0}
    for crop in crops(8, misses):
        for mask, point in zip(crop.masks_nhw, crop.points_n2, strict=True):
            column, row = point.astype(int)
            is_background = crop.labels_hw[row, column] == 0
            assert is_background == (not mask.any())
            found[bool(is_background)] += 1
    assert min(found.values()) >= 10


def test_boxes_never_miss() -> None:
    boxes = Prompting(box_share=1.0, background_share=1.0)
    assert all(crop.masks_nhw.any(axis=(1, 2)).all() for crop in crops(4, boxes))


def test_a_plane_of_twice_the_weight_gives_twice_the_crops() -> None:
    dark = TrainingPlane.of_arrays("dark", discs().image // 8, discs().labels)
    planes = [discs(), replace(dark, weight=2 * discs().weight)]
    drawn = CropSampler(planes, ASKED, STILL, 0, changes=False)
    phase = replace(PHASE, prompts=1)
    count = sum(drawn.draw(0, i, phase).image_chw.max() < 100 for i in range(300))
    assert count == pytest.approx(200, abs=30)


def test_objects_are_magnified_to_the_wanted_size() -> None:
    exact = Phase(size=128, prompts=1, object_size=(35.4, 35.4))  # sqrt(pi * 10**2) * 2
    crop = CropSampler([discs()], ASKED, STILL, 0, changes=False).draw(0, 0, exact)
    largest = max(np.bincount(crop.labels_hw.ravel())[1:])
    assert np.sqrt(largest) == pytest.approx(35.4, abs=1.5)


def test_the_zoom_has_bounds() -> None:
    bounded = Augmentation(zoom=(1.0, 1.0))
    huge = Phase(size=64, prompts=1, object_size=(500, 500))
    crop = CropSampler([discs()], ASKED, bounded, 0).draw(0, 0, huge)
    assert max(np.bincount(crop.labels_hw.ravel())[1:]) <= 320  # a disc has 317


def test_what_leaves_the_plane_is_black() -> None:
    pixels, labels = magnified(
        np.full((10, 20, 3), 9, np.uint8), np.ones((10, 20), np.int32), 2.0, 48
    )
    assert (pixels.shape, labels.shape) == ((48, 48, 3), (48, 48))
    assert (pixels[:20, :40] == 9).all()
    assert labels[:20, :40].all()
    assert not pixels[20:].any()
    assert not labels[:, 40:].any()


def test_planes_without_objects_give_up() -> None:
    empty = TrainingPlane.of_arrays(
        "empty", np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.uint16)
    )
    drawn = CropSampler(
        [replace(empty, weight=1.0)], ASKED, Augmentation(), 0, changes=False
    )
    with pytest.raises(TrainingError, match="found none in 500 crops"):
        drawn.draw(0, 0, Phase(size=32, batch=1, prompts=1))


def test_scenes_are_mixed_in_and_depend_on_the_seed_alone() -> None:
    only = [
        CropSampler([], ASKED, STILL, 5, scenes_share=1.0, changes=False)
        for _ in range(2)
    ]
    a, b = (drawn.draw(1, 0, PHASE) for drawn in only)
    np.testing.assert_array_equal(a.image_chw, b.image_chw)
    assert a.masks_nhw.any(axis=(1, 2)).all()
    mixed = CropSampler([discs()], ASKED, STILL, 5, scenes_share=0.5, changes=False)
    of_discs = [
        set(np.unique(mixed.draw(0, i, PHASE).image_chw)) <= set(range(40, 191)) | {0}
        for i in range(12)
    ]
    assert {True, False} == set(of_discs)


def test_without_shares_only_gamma_and_contrast_change_an_image() -> None:
    still = Augmentation(inversion=0, grey=0, swap=0, blur=0, noise=0, dark=0)
    ramp = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    changed = recolour(ramp, still, np.random.default_rng(0))
    assert (np.diff(changed[:, 0, 0].astype(int)) >= 0).all()
    assert (changed == changed[..., :1]).all()
    inverted = recolour(ramp, replace(still, inversion=1.0), np.random.default_rng(0))
    assert (np.diff(inverted[:, 0, 0].astype(int)) <= 0).all()
