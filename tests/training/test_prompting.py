"""Correcting clicks, and the examination on what was left out."""

import numpy as np
import pytest
import torch
from training_scene import CONFIG, discs, trainer

from napari_sam.training import prompting
from napari_sam.training.prompting import PromptedMasks, correcting_clicks
from napari_sam.training.validation import Examiner, examination_crops

RNG = np.random.default_rng


@pytest.mark.parametrize("centre_share", [0.0, 1.0])
def test_a_correcting_click_is_on_a_wrong_pixel(
    monkeypatch: pytest.MonkeyPatch, centre_share: float
) -> None:
    monkeypatch.setattr(prompting, "CENTRE_SHARE", centre_share)
    target = np.zeros((2, 8, 8), dtype=bool)
    target[:, 2:6, 2:6] = True
    answer = target.copy()
    answer[0, 5, 3] = False
    answer[1, 0, 7] = True
    clicks, labels = correcting_clicks(answer, target, stride=2, rng=RNG(0))
    np.testing.assert_array_equal(clicks, [[7, 11], [15, 1]])
    np.testing.assert_array_equal(labels, [True, False])


def test_clicks_at_the_centre_are_in_the_largest_wrong_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prompting, "CENTRE_SHARE", 1.0)
    target = np.zeros((1, 9, 9), dtype=bool)
    target[0, 1:6, 1:6] = True
    answer = np.zeros_like(target)
    answer[0, 8, 8] = True
    clicks, labels = correcting_clicks(answer, target, stride=1, rng=RNG(0))
    np.testing.assert_array_equal(clicks, [[3, 3]])
    assert labels.tolist() == [True]


def test_where_nothing_is_wrong_the_object_is_clicked() -> None:
    target = np.zeros((1, 4, 4), dtype=bool)
    target[0, 1, 2] = True
    clicks, labels = correcting_clicks(target, target, stride=1, rng=RNG(0))
    np.testing.assert_array_equal(clicks, [[2, 1]])
    assert labels.tolist() == [True]


def test_an_ambiguous_answer_shows_its_best_scored_mask() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.8, 0.2], [0.9, 0.1, 0.2, 0.8]])
    answer = PromptedMasks(torch.zeros(2, 4, 1, 1), torch.zeros(2, 4, 1, 1), scores)
    assert answer.shown(ambiguous=True)[1].tolist() == [2, 3]
    assert answer.shown(ambiguous=False)[1].tolist() == [0, 0]


def test_the_examination_is_about_the_same_crops_each_time() -> None:
    once, again = (examination_crops([discs()], CONFIG, 64) for _ in range(2))
    assert [crop.image_chw.shape for crop in once] == [(3, 48, 48)] * 2
    for a, b in zip(once, again, strict=True):
        np.testing.assert_array_equal(a.image_chw, b.image_chw)
        assert set(np.unique(a.image_chw)) <= {0, *range(40, 191)}  # not recoloured


@pytest.mark.usefixtures("small_network")
def test_the_examination_gives_one_answer_for_one_network() -> None:
    sam = trainer().averaged
    examiner = Examiner(examination_crops([discs()], CONFIG, 64))
    marks = examiner.examine(sam)
    assert marks == examiner.examine(sam)
    assert set(marks) == {"click_iou", "box_iou", "score_error"}


@pytest.mark.usefixtures("small_network")
def test_perfect_answers_get_full_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    crops = examination_crops([discs()], CONFIG, 64)
    examiner = Examiner(crops[:1])
    masks = np.unique(crops[0].prompts.masks_nhw, axis=0)
    logits = torch.from_numpy(masks).float()[:, None].expand(-1, 4, -1, -1) * 2 - 1
    right = PromptedMasks(logits, logits, torch.ones(len(masks), 4))
    monkeypatch.setattr(prompting.Lesson, "predict", lambda *_: right)
    marks = examiner.examine(trainer().averaged)
    assert marks == {"click_iou": 1.0, "box_iou": 1.0, "score_error": 0.0}
