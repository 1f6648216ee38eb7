from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from stand_ins import ArrayImage, Gray, RegionOracle

from napari_sam.geometry import Box
from napari_sam.masks import iou
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.window_sizes import SizeEstimate, WindowSizes
from napari_sam.prompts import BoxPrompt, Click

SIDES = (128, 256, 512)
CENTRE = (700, 900)


@dataclass
class ScaledOracle(RegionOracle):
    """An oracle that wants an object to fill an eighth of its window's side."""

    window_size: int = 256
    window_sizes: tuple[int, ...] = SIDES
    object_share: float | None = 0.125

    def encode(self, pixels_hwc: np.ndarray) -> Gray:
        assert max(pixels_hwc.shape[:2]) <= max(SIDES)
        self.encodes += 1
        return pixels_hwc[..., 0].copy()


def disc(radius: int) -> Gray:
    rows, columns = np.mgrid[:1500, :1500]
    inside = np.hypot(rows - CENTRE[0], columns - CENTRE[1]) <= radius
    return np.where(inside, 200, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("radius", "size", "encodes"), [(8, 128, 2), (18, 256, 1), (60, 512, 2)]
)
def test_an_object_is_predicted_in_a_window_that_suits_it(
    radius: int, size: int, encodes: int
) -> None:
    gray, model = disc(radius), ScaledOracle()
    (best,) = ImagePredictor(model, ArrayImage(gray)).predict([Click(*CENTRE)])
    assert best.window_size == size
    assert model.encodes == encodes
    assert iou(best.mask, gray[best.box.slices] > 0) == 1.0
    assert best.mask.sum() == (gray > 0).sum()


def test_an_object_larger_than_every_window_is_still_whole() -> None:
    gray, model = disc(600), ScaledOracle()
    (best,) = ImagePredictor(model, ArrayImage(gray)).predict([Click(*CENTRE)])
    assert best.mask.sum() == pytest.approx((gray > 0).sum(), rel=0.01)


def test_a_box_says_itself_how_large_its_object_is() -> None:
    gray, model = disc(8), ScaledOracle()
    box = Box(CENTRE[0] - 8, CENTRE[1] - 8, CENTRE[0] + 9, CENTRE[1] + 9)
    predictor = ImagePredictor(model, ArrayImage(gray))
    (best,) = predictor.predict([BoxPrompt.from_box(box)])
    assert (best.window_size, model.encodes) == (128, 1)


def test_a_correcting_click_uses_the_same_window_again() -> None:
    gray, model = disc(8), ScaledOracle()
    predictor = ImagePredictor(model, ArrayImage(gray))
    clicks = [Click(*CENTRE)]
    (best,) = predictor.predict(clicks)
    before = model.encodes, len(model.prompts)
    more = [*clicks, Click(CENTRE[0] + 3, CENTRE[1])]
    (again,) = predictor.predict(more, previous=best)
    assert again.window == best.window
    assert (model.encodes, len(model.prompts)) == (before[0], before[1] + 1)


def test_an_alternative_is_completed_through_windows_of_its_own_size() -> None:
    model = ScaledOracle()
    predictor = ImagePredictor(model, ArrayImage(disc(60)))
    (best,) = predictor.predict([Click(*CENTRE)])
    assert predictor.complete(best, [Click(*CENTRE)]) == best


def test_a_preview_needs_nothing_but_what_is_encoded() -> None:
    model = ScaledOracle()
    predictor = ImagePredictor(model, ArrayImage(disc(8)))
    assert predictor.preview([Click(*CENTRE)]) == ()
    predictor.predict([Click(*CENTRE)])
    encodes = model.encodes
    (shown,) = predictor.preview([Click(CENTRE[0] + 2, CENTRE[1])])
    assert (shown.window_size, model.encodes) == (128, encodes)


def test_a_model_of_one_window_size_predicts_once() -> None:
    model = RegionOracle()
    ImagePredictor(model, ArrayImage(disc(8))).predict([Click(*CENTRE)])
    assert len(model.prompts) == 1


def test_of_two_sizes_that_point_at_each_other_the_surer_one_is_taken() -> None:
    sizes = WindowSizes(SIDES, start=256, share=0.125)
    shown = {
        256: SizeEstimate(12.0, 0.8),
        128: SizeEstimate(60.0, 0.6),
        512: SizeEstimate(30.0, 0.7),
    }
    tried: list[int] = []

    def estimate(size: int) -> SizeEstimate:
        tried.append(size)
        return shown[size]

    assert sizes.settle(estimate) == 256
    assert tried == [256, 128, 512]


def test_where_nothing_is_seen_the_first_size_stays() -> None:
    sizes = WindowSizes(SIDES, start=256, share=0.125)
    assert sizes.settle(lambda size: SizeEstimate(0.0, 0.0)) == 256
