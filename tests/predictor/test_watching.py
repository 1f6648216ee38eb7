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
    """Gives up when as many encodes are done, and keeps what it was told."""

    def __init__(self, encodes: int) -> None:
        self.encodes = encodes
        self.looks: list[WindowProgress] = []

    def __call__(self, look: WindowProgress) -> None:
        self.looks.append(look)
        if look.encodes == self.encodes:
            raise Cancelled(f"{look.encodes} encodes are enough.")


def test_every_window_is_announced_before_it_is_looked_at() -> None:
    image, model = large(), oracle()
    looks: list[WindowProgress] = []
    encodes_then: list[int] = []

    def watch(look: WindowProgress) -> None:
        looks.append(look)
        encodes_then.append(model.encodes)

    ImagePredictor(model, image).predict(CLICKS, watch=watch)
    assert [look.encodes for look in looks] == encodes_then
    assert encodes_then[0] == 0
    assert encodes_then == sorted(encodes_then)
    assert model.encodes == len({(look.level, look.window) for look in looks})
    for look in looks:
        assert Box.of_shape(image.levels[look.level].shape).contains(look.window)
        assert look.windows < look.most_windows == 200


def test_windows_of_the_cache_are_announced_too_and_cost_no_encode() -> None:
    predictor = ImagePredictor(oracle(), large())
    first, second = Stop(-1), Stop(-1)
    predictor.predict(CLICKS, watch=first)
    predictor.predict(CLICKS, watch=second)
    windows = [(look.level, look.window) for look in first.looks]
    assert {(look.level, look.window) for look in second.looks} <= set(windows)
    assert {look.encodes for look in second.looks} == {0}


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


def test_a_preview_of_a_large_object_looks_at_few_windows_and_encodes_none() -> None:
    image, model = large(), oracle()
    predictor = ImagePredictor(model, image)
    assert predictor.preview(CLICKS) == ()
    assert (model.encodes, image.reads, model.asked) == (0, [], [])
    predictor.predict(CLICKS)
    encodes, answers = model.encodes, len(model.asked)
    (seen,) = predictor.preview([Click(190, 200)])
    assert seen.mask.any()
    assert model.encodes == encodes
    assert len(model.asked) - answers < 10
    assert predictor.preview([Click(5, 395)]) == ()


def test_a_window_that_leaves_the_cache_meanwhile_is_not_made_for_a_preview() -> None:
    image, model = large(), oracle()
    budget = WindowBudget(4, only_encoded=True)
    asker = PlanePredictor(model, image, EmbeddingCache(), (), budget, size=128)
    assert asker.ask(0, Box(0, 0, 128, 128), CLICKS) == []
    assert (model.encodes, image.reads) == (0, [])
