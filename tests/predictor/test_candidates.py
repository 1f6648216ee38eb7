"""What comes back for prompts: alternatives, refinement, unmet prompts, specks."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from stand_ins import ArrayImage, Distorted, a_disc, agreement, scene, with_specks

from napari_sam.model.window_model import WindowMask
from napari_sam.predictor.candidates import PredictorOptions
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import Click, MaskPrompt

Mask = NDArray[np.bool_]


def three_answers(mask: Mask) -> list[WindowMask]:
    """In no order: what is meant, a part of it, and more than it."""
    logits = np.where(mask, 5, -5).astype(np.float32)
    return [
        WindowMask(ndimage.binary_erosion(mask, iterations=6), 0.6, None),
        WindowMask(mask, 0.9, logits),
        WindowMask(ndimage.binary_dilation(mask, iterations=9), 0.7, None),
    ]


def test_an_ambiguous_click_gives_three_candidates_best_first() -> None:
    truth = a_disc(1000, 1000, 60)
    oracle = Distorted(distort=three_answers)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)))
    found = predictor.predict([Click(1000, 1000)])
    assert [candidate.score for candidate in found] == [0.9, 0.7, 0.6]
    assert all(candidate.complete for candidate in found)
    assert agreement(found[0], truth) == 1


def test_an_alternative_is_followed_when_it_is_chosen() -> None:
    truth = a_disc(1000, 1000, 300)
    oracle = Distorted(distort=three_answers)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)))
    prompts = [Click(1000, 1000)]
    best, other, _ = predictor.predict(prompts)
    assert best.complete
    assert agreement(best, truth) == 1
    assert not other.complete
    followed = predictor.complete(other, prompts)
    assert followed.complete
    assert followed.level == 0
    assert agreement(followed, truth) >= 0.9


def test_the_previous_logits_refine_the_next_answer_in_the_same_window() -> None:
    truth = a_disc(1000, 1000, 60)
    oracle = Distorted(distort=three_answers)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)))
    best = predictor.predict([Click(1000, 1000)])[0]
    more = [Click(1000, 1000), Click(1020, 1000)]
    predictor.predict(more, previous=best)
    (hint,) = [
        prompt for prompt in oracle.prompts[-1] if isinstance(prompt, MaskPrompt)
    ]
    np.testing.assert_array_equal(hint.logits_hw, best.logits_hw)
    predictor.predict(more)
    assert not any(isinstance(prompt, MaskPrompt) for prompt in oracle.prompts[-1])


def test_previous_logits_are_not_used_in_another_window() -> None:
    truth = a_disc(1000, 1000, 60) | a_disc(300, 300, 60)
    oracle = Distorted(distort=three_answers)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)))
    best = predictor.predict([Click(1000, 1000)])[0]
    predictor.predict([Click(300, 300)], previous=best)
    assert not any(isinstance(prompt, MaskPrompt) for prompt in oracle.prompts[-1])


def test_prompts_that_the_mask_does_not_honour_are_named() -> None:
    def first_only(mask: Mask) -> list[WindowMask]:
        islands, _ = ndimage.label(mask)
        return [WindowMask(islands == 1, 0.9, None)]

    truth = a_disc(1000, 1000, 40) | a_disc(1100, 1100, 40)
    oracle = Distorted(distort=first_only)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)))
    missed, denied = Click(1100, 1100), Click(1000, 1010, False)
    (candidate,) = predictor.predict([Click(1000, 1000), missed, denied])
    assert set(candidate.unmet) == {missed, denied}


@pytest.mark.parametrize("radius", [60, 300])
def test_specks_are_removed_unless_they_are_to_be_kept(radius: int) -> None:
    truth = a_disc(1000, 1000, radius)
    image, click = ArrayImage(scene(truth)), Click(1000, 1000 - radius // 2)
    oracle = Distorted(distort=with_specks)
    (clean,) = ImagePredictor(oracle, image).predict([click])
    assert agreement(clean, truth) == 1
    keep = PredictorOptions(keep_specks=True)
    (kept,) = ImagePredictor(oracle, image, options=keep).predict([click])
    assert agreement(kept, truth) < 1
