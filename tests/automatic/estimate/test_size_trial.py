"""Tests of the object size that a model finds by trial."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
import pytest
import run_scene
from numpy.typing import NDArray
from run_scene import Regions

from napari_sam.automatic.estimate import planning, samples
from napari_sam.automatic.estimate.blob_size import estimate_object_size
from napari_sam.automatic.estimate.planning import plan_run
from napari_sam.automatic.estimate.samples import BeforeRead, Sample
from napari_sam.automatic.estimate.size_trial import (
    TrialSize,
    agreed_size,
    spread_samples,
    trial_sides,
    trial_size,
    trial_windows,
)
from napari_sam.automatic.plan import RunPlan, RunRequest
from napari_sam.automatic.window.options import AutomaticOptions
from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image

RADIUS = 9
SIZE = sqrt(pi) * RADIUS
SHARE = 0.125


@dataclass
class ScaledRegions(Regions):
    """The same, best with objects of an eighth of its windows."""

    window_sizes: tuple[int, ...] = (48, run_scene.SIDE, 192)
    object_share: float | None = SHARE
    error: Exception | None = None

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> Any:
        embedding = super().encode(pixels_hwc)
        if self.error is not None:
            raise self.error
        return embedding


class Counted:
    """A plane whose chunks that are read are counted."""

    chunks = (64, 64)

    def __init__(self, pixels_hw: NDArray[np.uint8]) -> None:
        self.pixels_hw = pixels_hw
        self.shape, self.dtype, self.ndim = pixels_hw.shape, pixels_hw.dtype, 2
        self.pixels_read = 0

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[np.uint8]:
        part = self.pixels_hw[index]
        self.pixels_read += part.size
        return part


def planned(
    image: Image,
    model: Regions,
    size: float | None = None,
    level: int | None = None,
    before: BeforeRead = lambda *_: None,
) -> RunPlan:
    options = AutomaticOptions(object_size=size)
    request = RunRequest(
        image.fingerprint,
        "",
        ((),),
        Box.of_shape(image.shape),
        level,
        options,
        skip_empty=False,
    )
    return plan_run(image, model, request, before)


def shells(shape: tuple[int, int] = run_scene.SHAPE) -> NDArray[np.uint8]:
    """Discs that are a little brighter than the plane, with dots that stand out."""
    pixels = np.where(run_scene.truth(shape) > 0, 40, run_scene.BACKGROUND)
    for y, x in run_scene.disc_centres(shape):
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 250
    return pixels.astype(np.uint8)


def opened(pixels: Any) -> Image:
    return open_image(pixels, axes="yx", contrast_limits=(0, 255))


def trials(*pairs: tuple[float, float]) -> list[TrialSize | None]:
    return [TrialSize(window, found) for window, found in pairs]


def test_the_size_is_that_on_which_neighbouring_windows_agree() -> None:
    # Texture below, objects from windows of 256 on, as in phase contrast.
    found = trials((64, 6), (128, 15), (256, 40), (512, 58), (1024, 60))
    assert agreed_size(found, 7.5, SHARE) == pytest.approx(sqrt(58 * 60))


def test_of_two_sizes_that_are_as_likely_the_one_near_the_blobs_is_taken() -> None:
    found = trials((64, 10), (128, 10), (256, 40), (512, 40))
    assert agreed_size(found, 9, SHARE) == pytest.approx(10)
    assert agreed_size(found, 50, SHARE) == pytest.approx(40)


def test_windows_in_which_nothing_is_found_do_not_count() -> None:
    found = [None, *trials((128, 12)), None, *trials((512, 13))]
    assert agreed_size(found, 30, SHARE) == pytest.approx(sqrt(12 * 13))


@pytest.mark.parametrize("found", [[], [None, None], [None, TrialSize(128, 20)]])
def test_without_two_windows_to_compare_the_blobs_size_stays(
    found: list[TrialSize | None],
) -> None:
    assert agreed_size(found, 17.5, SHARE) == 17.5


def test_what_is_found_in_windows_is_in_pixels_of_the_finest_level() -> None:
    pixels = np.repeat(run_scene.scene((96, 96))[..., None], 3, axis=2)
    found = trial_size(Regions(), [pixels], 96, pixel_side=4)
    assert found is not None
    assert found.window == 4 * 96
    assert found.found == pytest.approx(4 * SIZE, rel=0.1)


def test_a_window_that_fails_is_left_out_and_one_given_up_is_not() -> None:
    pixels = np.repeat(run_scene.scene((96, 96))[..., None], 3, axis=2)
    assert trial_size(Regions(failing={1}), [pixels, pixels], 96) is not None
    assert trial_size(Regions(failing={1, 2}), [pixels, pixels], 96) is None
    with pytest.raises(Cancelled):
        trial_size(ScaledRegions(error=Cancelled("enough")), [pixels], 96)


def noise(scale: float) -> NDArray[np.uint8]:
    unit = np.random.default_rng(0).normal(size=(64, 64, 1))
    return np.clip(128 + scale * unit, 0, 255).astype(np.uint8)


def test_the_window_that_shows_most_and_a_usual_one_are_taken() -> None:
    sample = np.zeros((128, 192, 3), dtype=np.uint8)
    for index, scale in enumerate((20, 3, 40, 25, 2, 30)):
        y, x = divmod(index, 3)
        sample[64 * y :, 64 * x :][:64, :64] = noise(scale)
    most, usual = trial_windows(sample, 64)
    np.testing.assert_array_equal(most, sample[:64, 128:])
    # The middle one of 40, 30, 25 and 20; the others show little.
    np.testing.assert_array_equal(usual, sample[64:, :64])


def test_of_a_sample_that_is_no_larger_than_a_window_there_is_one() -> None:
    sample = np.repeat(noise(20), 3, axis=2)
    assert len(list(trial_windows(sample, 64))) == 1


def test_samples_are_taken_from_the_one_that_shows_most_to_that_of_least() -> None:
    drawn = [
        Sample((index,), 0, Box(0, 0, 64, 64), np.repeat(noise(index + 1), 3, axis=2))
        for index in range(9)
    ]
    assert [each.plane for each in spread_samples(drawn)] == [
        (8,),
        (6,),
        (4,),
        (2,),
        (0,),
    ]
    assert [each.plane for each in spread_samples(drawn[:3])] == [(2,), (1,), (0,)]


def test_a_model_of_one_window_size_has_none_to_try() -> None:
    assert trial_sides(Regions()) == ()
    assert trial_sides(ScaledRegions()) == (24, 48, 96, 192)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_objects_whose_parts_stand_out_are_measured_whole(dtype: Any) -> None:
    pixels = shells()
    blobs = estimate_object_size(pixels)
    assert blobs is not None
    assert max(blobs / SIZE, SIZE / blobs) > 1.5
    model = ScaledRegions()
    plan = planned(opened(pixels.astype(dtype)), model, level=0)
    assert plan.options.object_size == pytest.approx(SIZE, rel=0.2)
    assert 0 < model.encodes <= 12


def test_a_size_that_is_given_is_not_tried() -> None:
    model = ScaledRegions()
    plan = planned(opened(shells()), model, size=11, level=0)
    assert plan.options.object_size == 11
    assert model.encodes == 0


def test_where_the_model_finds_nothing_the_blobs_size_stays() -> None:
    model = ScaledRegions(error=RuntimeError("the device is gone"))
    image = opened(shells())
    plan = planned(image, model, level=0)
    assert model.encodes > 0
    alone = planned(image, Regions(), level=0)
    assert plan.options.object_size == alone.options.object_size


def test_nothing_is_tried_where_nothing_stands_out() -> None:
    model = ScaledRegions()
    planned(opened(np.full((200, 300), 7, dtype=np.uint8)), model)
    assert model.encodes == 0


def test_a_trial_reads_few_pixels_besides_those_that_blobs_are_found_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (samples, planning):
        monkeypatch.setattr(module, "SAMPLE_SIDE", 256)
    pixels = np.tile(shells((300, 300)), (2, 2))
    reads = []
    for model in (Regions(), ScaledRegions()):
        array = Counted(pixels)
        planned(opened(array), model, level=0)
        reads.append(array.pixels_read)
    blobs_alone, with_trial = reads
    # A window at level 1, with room for whole chunks, and all there is at level 2.
    assert with_trial > blobs_alone
    assert with_trial - blobs_alone <= (2 * 192 + 128) ** 2 + 600**2


def test_a_trial_can_be_given_up_before_any_of_its_windows() -> None:
    called: list[int] = []
    model = ScaledRegions()
    planned(opened(shells()), model, level=0, before=lambda *_: called.append(1))
    reads = len(called) - model.encodes
    assert 0 < reads < len(called)
    for last in range(len(called)):
        model = ScaledRegions()
        with pytest.raises(Cancelled):
            planned(opened(shells()), model, level=0, before=cancelling(after=last))
        assert last - reads <= model.encodes <= last


def cancelling(after: int) -> BeforeRead:
    calls = iter(range(after + 1))

    def before(level: int, box: Box) -> None:
        if next(calls) == after:
            raise Cancelled("enough")

    return before


def test_the_same_image_has_the_same_size_every_time() -> None:
    sizes = Counter(
        planned(opened(shells()), ScaledRegions()).options.object_size for _ in range(3)
    )
    assert len(sizes) == 1
