"""A large object takes many windows: each is announced, and any may be the last."""

from dataclasses import replace

import numpy as np
import pytest
from stand_ins import ArrayImage, RegionOracle, agreement, disc, scene

from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.plane_predictor import PlanePredictor
from napari_sam.predictor.progress import WindowBudget, WindowProgress
from napari_sam.predictor.windows import Window
from napari_sam.prompts import Click

SHAPE = (400, 400)
CLICKS = [Click(200, 200)]
TRUTH = disc(SHAPE, 200, 200, 110)


def large() -> ArrayImage:
    return ArrayImage(scene(TRUTH))


def oracle() -> RegionOracle:
    """With windows so small that the disc needs a coarser level and many of them."""
    return RegionOracle(window_size=128)


class Stop:
    """Gives up when as many encodes are done, and keeps what was reported."""

    def __init__(self, encodes: int) -> None:
        self.encodes = encodes
        self.windows: list[WindowProgress] = []

    def __call__(self, progress: WindowProgress) -> None:
        self.windows.append(progress)
        if progress.encodes == self.encodes:
            raise Cancelled(f"{progress.encodes} encodes are enough.")


def test_every_window_is_announced_before_it_is_used() -> None:
    image, model = large(), oracle()
    reported: list[WindowProgress] = []
    encodes_then: list[int] = []

    def watch(progress: WindowProgress) -> None:
        reported.append(progress)
        encodes_then.append(model.encodes)

    ImagePredictor(model, image).predict(CLICKS, watch=watch)
    assert [each.encodes for each in reported] == encodes_then
    assert encodes_then[0] == 0
    assert encodes_then == sorted(encodes_then)
    assert model.encodes == len({(each.level, each.window) for each in reported})
    for each in reported:
        assert Box.of_shape(image.levels[each.level].shape).contains(each.window)
        assert each.windows < each.most_windows == 200


def test_windows_of_the_cache_are_announced_too_and_cost_no_encode() -> None:
    predictor = ImagePredictor(oracle(), large())
    first, second = Stop(-1), Stop(-1)
    predictor.predict(CLICKS, watch=first)
    predictor.predict(CLICKS, watch=second)
    windows = [(each.level, each.window) for each in first.windows]
    assert {(each.level, each.window) for each in second.windows} <= set(windows)
    assert {each.encodes for each in second.windows} == {0}


def test_given_up_after_any_encode_nothing_is_encoded_twice() -> None:
    model = oracle()
    whole = ImagePredictor(model, large()).predict(CLICKS)[0]
    needed = model.encodes
    assert needed > 8
    image, model = large(), oracle()
    predictor = ImagePredictor(model, image)
    for done in range(1, needed):
        # Each attempt gets one window further than those before it.
        with pytest.raises(Cancelled):
            predictor.predict(CLICKS, watch=Stop(1))
        assert model.encodes == done
    (again,) = predictor.predict(CLICKS)
    assert model.encodes == needed
    assert len(image.reads) == needed
    assert again.box == whole.box
    np.testing.assert_array_equal(again.mask, whole.mask)
    assert agreement(again, TRUTH) >= 0.98


def test_given_up_before_the_first_window_nothing_is_read() -> None:
    image, model = large(), oracle()
    with pytest.raises(Cancelled):
        ImagePredictor(model, image).predict(CLICKS, watch=Stop(0))
    assert (model.encodes, image.reads) == (0, [])


def test_following_an_alternative_can_be_given_up_too() -> None:
    image, model = large(), oracle()
    predictor = ImagePredictor(model, image)
    (shown,) = predictor.predict(CLICKS)
    part = replace(shown, complete=False)
    with pytest.raises(Cancelled):
        predictor.complete(part, CLICKS, watch=Stop(0))


def test_a_preview_of_a_large_object_uses_few_windows_and_encodes_none() -> None:
    image, model = large(), oracle()
    predictor = ImagePredictor(model, image)
    assert predictor.preview(CLICKS) == ()
    assert (model.encodes, image.reads, model.prompts) == (0, [], [])
    predictor.predict(CLICKS)
    encodes, predictions = model.encodes, len(model.prompts)
    (seen,) = predictor.preview([Click(190, 200)])
    assert seen.mask.any()
    assert model.encodes == encodes
    assert len(model.prompts) - predictions < 10
    assert predictor.preview([Click(5, 395)]) == ()


def test_a_window_that_leaves_the_cache_meanwhile_is_not_made_for_a_preview() -> None:
    image, model = large(), oracle()
    budget = WindowBudget(4, only_encoded=True)
    predictor = PlanePredictor(model, image, EmbeddingCache(), (), budget)
    window = Window(0, Box(0, 0, 128, 128), 128)
    assert predictor.predict(window, CLICKS) == []
    assert (model.encodes, image.reads) == (0, [])
