"""Losses, on cases that can be worked out by hand."""

import math

import pytest
import torch

from napari_sam.training.losses import (
    FOCAL_PIXELS,
    FOCAL_WEIGHT,
    RUNNER_UP_WEIGHT,
    SCORE_WEIGHT,
    dice,
    focal,
    mask_loss,
    measured_iou,
)

SURE = 30.0  # a logit whose probability is 1 in float32


def flat(*values: float) -> torch.Tensor:
    """One mask of one row, (1, 1, 1, n)."""
    return torch.tensor(values, dtype=torch.float)[None, None, None]


def test_focal_loss_of_an_even_guess_is_a_quarter_of_ln_2_a_pixel() -> None:
    loss = focal(flat(0, 0, 0), flat(0, 1, 1))
    assert loss.item() == pytest.approx(3 * math.log(2) / 4 / FOCAL_PIXELS)


def test_surroundings_that_are_right_change_nothing() -> None:
    alone = focal(flat(0), flat(1))
    among = focal(flat(0, -SURE, -SURE, -SURE), flat(1, 0, 0, 0))
    assert among.item() == pytest.approx(alone.item())


def test_focal_loss_counts_the_hard_pixels() -> None:
    # One of the pixels is as sure as wrong: cross entropy 30, weight 1.
    loss = focal(flat(SURE, SURE), flat(1, 0))
    assert loss.item() == pytest.approx(SURE / FOCAL_PIXELS, rel=1e-4)
    assert focal(flat(SURE, -SURE), flat(1, 0)).item() == pytest.approx(0, abs=1e-6)


def test_dice_loss_of_half_an_overlap() -> None:
    # 2 pixels each, 1 shared, smoothed by 1: 1 - (2 + 1) / (4 + 1).
    loss = dice(flat(SURE, SURE, -SURE), flat(0, 1, 1))
    assert loss.item() == pytest.approx(0.4)
    assert dice(flat(SURE, -SURE), flat(1, 0)).item() == pytest.approx(0, abs=1e-6)


def test_the_measured_iou_is_that_of_the_masks() -> None:
    assert measured_iou(flat(1, 1, -1), flat(0, 1, 1)).item() == pytest.approx(1 / 3)
    assert measured_iou(flat(-1, -1), flat(0, 0)).item() == 0


def answers() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Four masks of one prompt, of which the third is right; scores 0 to 0.3."""
    target = torch.tensor([[[1.0, 0.0]]])
    right, wrong = [SURE, -SURE], [-SURE, SURE]
    logits = torch.tensor([wrong, wrong, right, wrong])[None, :, None]
    return logits, torch.tensor([[0.0, 0.1, 0.2, 0.3]]), target


WRONG = (
    FOCAL_WEIGHT * 2 * SURE / FOCAL_PIXELS + 1 - 1 / 3
)  # focal and dice loss of a sure wrong mask


def test_one_mask_is_taught_by_a_prompt_that_is_not_ambiguous() -> None:
    logits, scores, target = answers()
    loss, shown = mask_loss(logits, scores, target, ambiguous=False)
    score_error = SCORE_WEIGHT * (0.0**2 + 0.1**2 + 0.8**2 + 0.3**2) / 4
    assert loss.item() == pytest.approx(WRONG + score_error, rel=1e-4)
    assert shown.tolist() == [0]


def test_the_best_of_three_is_taught_by_an_ambiguous_prompt() -> None:
    logits, scores, target = answers()
    loss, shown = mask_loss(logits, scores, target, ambiguous=True)
    score_error = SCORE_WEIGHT * (0.0**2 + 0.1**2 + 0.8**2 + 0.3**2) / 4
    runners_up = RUNNER_UP_WEIGHT * 2 / 3 * WRONG
    assert loss.item() == pytest.approx(WRONG + runners_up + score_error, rel=1e-4)
    assert shown.tolist() == [0]  # the best scored is a wrong one
    _, shown = mask_loss(logits, scores.flip(1), target, ambiguous=True)
    assert shown.tolist() == [0]
    better = torch.tensor([[0.0, 0.1, 0.9, 0.3]])
    assert mask_loss(logits, better, target, ambiguous=True)[1].tolist() == [1]


def test_a_click_on_background_teaches_the_score_and_no_mask() -> None:
    logits, scores, target = answers()
    loss, _ = mask_loss(logits, scores, target * 0, ambiguous=True)
    score_error = SCORE_WEIGHT * (0.0**2 + 0.1**2 + 0.2**2 + 0.3**2) / 4
    assert loss.item() == pytest.approx(score_error, rel=1e-4)
