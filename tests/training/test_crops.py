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
    rotated,
)
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.simulated_prompts import tight_box

PHASE = Phase(size=64, prompts=5, object_size=(10, 20))
STILL = Augmentation()
ASKED = Prompting(0.5, point_box_share=0.0, mask_share=0.0, background_share=0.0)
BOXES = Prompting(1.0, point_box_share=0.0, mask_share=0.0, background_share=1.0)


def sampler(prompting: Prompting = ASKED, seed: int = 1) -> CropSampler:
    return CropSampler([discs()], prompting, Augmentation(), seed)


def crops(count: int, prompting: Prompting = ASKED) -> list[Crop]:
    return [sampler(prompting).draw(3, index, PHASE) for index in range(count)]


def test_a_crop_depends_on_seed_step_and_index_alone() -> None:
    busy = sampler()
    for index in range(4):
        busy.draw(2, index, PHASE)
    a, b = busy.draw(3, 1, PHASE), sampler().draw(3, 1, PHASE)
    for name in ("image_chw", "labels_hw"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("masks_nhw", "points_nk2", "labels_nk"):
        np.testing.assert_array_equal(
            getattr(a.prompts, name), getattr(b.prompts, name)
        )
    assert a.prompts.form == b.prompts.form


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
    assert crop.prompts.masks_nhw.shape == (4, size, size)
    assert crop.prompts.masks_nhw.dtype == np.bool_
    assert len(crop.prompts.points_nk2) == len(crop.prompts.labels_nk) == 4


def test_prompts_point_at_their_masks() -> None:
    for crop in crops(8, replace(ASKED, box_share=0.0)):
        prompts = crop.prompts
        for mask, point in zip(
            prompts.masks_nhw, prompts.points_nk2[:, 0], strict=True
        ):
            column, row = point.astype(int)
            assert mask[row, column]
            assert mask.sum() >= SMALLEST_OBJECT
            assert len(np.unique(crop.labels_hw[mask])) == 1


def test_a_box_is_off_by_a_fraction_of_its_object() -> None:
    for crop in crops(8, BOXES):
        prompts = crop.prompts
        for mask, box in zip(prompts.masks_nhw, prompts.boxes_n4, strict=True):
            assert 0 <= box.min() <= box.max() <= PHASE.size - 1
            rows, columns = np.nonzero(mask)
            assert np.abs(box - tight_box(mask)).max() <= 20
            assert box[0] < columns.mean() < box[2]
            assert box[1] < rows.mean() < box[3]


def test_some_crops_ask_with_boxes_and_some_with_clicks() -> None:
    forms = {(1, False, False), (0, True, False)}
    assert {crop.prompts.form for crop in crops(12)} == forms
    clicks = replace(ASKED, box_share=0.0)
    assert all(crop.prompts.is_ambiguous for crop in crops(4, clicks))


def test_clicks_on_background_have_empty_masks() -> None:
    misses = replace(ASKED, box_share=0.0, background_share=0.5)
    found = {True: 0, False: 0}
    for crop in crops(8, misses):
        prompts = crop.prompts
        for mask, point in zip(
            prompts.masks_nhw, prompts.points_nk2[:, 0], strict=True
        ):
            column, row = point.astype(int)
            is_background = crop.labels_hw[row, column] == 0
            assert is_background == (not mask.any())
            found[bool(is_background)] += 1
    assert min(found.values()) >= 10


def test_boxes_never_miss() -> None:
    assert all(x.prompts.masks_nhw.any(axis=(1, 2)).all() for x in crops(4, BOXES))


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
    bounded = Augmentation(zoom=(1.0, 1.0), rotation=0.0)
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
    assert a.prompts.masks_nhw.any(axis=(1, 2)).all()
    mixed = CropSampler([discs()], ASKED, STILL, 5, scenes_share=0.5, changes=False)
    of_discs = [
        set(np.unique(mixed.draw(0, i, PHASE).image_chw)) <= set(range(40, 191)) | {0}
        for i in range(12)
    ]
    assert {True, False} == set(of_discs)


def test_without_shares_only_gamma_and_contrast_change_an_image() -> None:
    still = Augmentation(
        inversion=0, grey=0, swap=0, blur=0, noise=0, dark=0, stretch=0
    )
    ramp = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    changed = recolour(ramp, still, np.random.default_rng(0))
    assert (np.diff(changed[:, 0, 0].astype(int)) >= 0).all()
    assert (changed == changed[..., :1]).all()
    inverted = recolour(ramp, replace(still, inversion=1.0), np.random.default_rng(0))
    assert (np.diff(inverted[:, 0, 0].astype(int)) <= 0).all()


def test_a_stretched_image_is_darkest_and_brightest_at_its_percentiles() -> None:
    only = Augmentation((1, 1), 0, *[0.0] * 6, stretch=1.0)
    ramp = np.arange(100, 151, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    changed = recolour(ramp, only, np.random.default_rng(1)).astype(int)
    same = recolour(ramp, replace(only, stretch=0.0), np.random.default_rng(1))
    assert np.ptp(changed) > 2 * np.ptp(same.astype(int))


def test_a_turned_crop_shows_the_same_objects_without_corners() -> None:
    pixels, labels = discs().image, discs().labels
    turned, ids = rotated(pixels, labels, 90.0, 60)
    np.testing.assert_array_equal(ids, np.rot90(labels)[15:75, 15:75])
    np.testing.assert_array_equal(turned, np.rot90(pixels)[15:75, 15:75])
    askew, ids = rotated(pixels, labels, 45.0, 60)
    assert ((askew[..., 0] > 100) == (ids > 0)).mean() > 0.97
    assert askew.min() == 40  # no black corner


def test_turning_crops_any_angle_costs_no_object_its_size() -> None:
    exact = Phase(size=64, prompts=1, object_size=(17.7, 17.7))
    turned = Augmentation(rotation=1.0, crowding=0.0)
    crop = CropSampler([discs()], ASKED, turned, 3).draw(0, 0, exact)
    assert max(np.bincount(crop.labels_hw.ravel())[1:]) == pytest.approx(314, abs=12)


def test_crowded_places_are_preferred() -> None:
    labels = np.zeros((60, 240), np.int32)
    labels[10:50:10, 10:50:10] = np.arange(1, 17).reshape(4, 4)
    labels = np.repeat(np.repeat(labels, 2, axis=0), 2, axis=1)
    image = np.zeros((*labels.shape, 3), np.uint8)
    plane = TrainingPlane.of_arrays("corner", image, labels)
    found = []
    for share in (0.0, 1.0):
        picked = Augmentation(rotation=0.0, crowding=share)
        sampler = CropSampler([plane], ASKED, picked, 1)
        rng = np.random.default_rng(4)
        boxes = [sampler._draw_box(rng, plane, 60) for _ in range(60)]
        found.append(sum(plane.objects_in(box) for box in boxes))
    assert found[1] > 1.5 * found[0]
