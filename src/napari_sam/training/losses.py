"""What a good answer is: SAM's losses.

"Segment Anything" (2023), appendix A: focal and dice loss at 20:1 on the best of the
three masks, mean squared error on the expected IoU.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

FOCAL_WEIGHT = 20.0
FOCAL_PIXELS = 64 * 64
RUNNER_UP_WEIGHT = 0.3
"""Of the two masks that were not best: enough that none of them is never taught."""

SCORE_WEIGHT = 3.0
"""Of the squared error of the expected IoU: users see the mask that it puts first."""


def focal(logits_bmhw: Tensor, target_bmhw: Tensor, gamma: float = 2.0) -> Tensor:
    """Focal loss, summed over pixels and divided by `FOCAL_PIXELS`: (b, m).

    Not by their number: an object would count for less the more surroundings it has.
    """
    cross = F.binary_cross_entropy_with_logits(
        logits_bmhw, target_bmhw, reduction="none"
    )
    probability = logits_bmhw.sigmoid()
    wrong = probability + target_bmhw - 2 * probability * target_bmhw
    return (cross * wrong**gamma).sum(dim=(-2, -1)) / FOCAL_PIXELS


def dice(logits_bmhw: Tensor, target_bmhw: Tensor) -> Tensor:
    """Dice loss: (b, m), 0..1."""
    probability = logits_bmhw.sigmoid()
    overlap = (probability * target_bmhw).sum(dim=(-2, -1))
    total = probability.sum(dim=(-2, -1)) + target_bmhw.sum(dim=(-2, -1))
    return 1 - (2 * overlap + 1) / (total + 1)


def measured_iou(logits_bmhw: Tensor, target_bmhw: Tensor) -> Tensor:
    """IoU of the masks that the logits mean: (b, m)."""
    inside, wanted = logits_bmhw > 0, target_bmhw > 0.5
    overlap = (inside & wanted).sum(dim=(-2, -1))
    union = (inside | wanted).sum(dim=(-2, -1))
    return overlap / union.clamp(min=1)


def mask_loss(
    logits_bmhw: Tensor, iou_bm: Tensor, target_bhw: Tensor, *, ambiguous: bool
) -> tuple[Tensor, Tensor]:
    """Loss of the answers to b prompts, and the IoU of each prompt's best-scored mask.

    Parameters
    ----------
    logits_bmhw, iou_bm
        Every mask token's logits and expected IoU; the first is the single mask.
    target_bhw
        Share of each pixel that is object, 0..1. An empty one (a click on background)
        teaches the score only: whatever is there may still be worth a mask.
    ambiguous
        Whether the prompts were single clicks: then the best of the other masks
        counts too.
    """
    target = target_bhw[:, None].expand_as(logits_bmhw)
    per_mask = FOCAL_WEIGHT * focal(logits_bmhw, target) + dice(logits_bmhw, target)
    asked = target_bhw.flatten(1).any(dim=1)
    masks = per_mask[:, 0]
    if ambiguous:
        several = per_mask[:, 1:]
        best = several.min(dim=1).values + RUNNER_UP_WEIGHT * several.mean(dim=1)
        masks = masks + best
    actual = measured_iou(logits_bmhw.detach(), target)
    score = SCORE_WEIGHT * (iou_bm - actual).square().mean(dim=1)
    shown = actual[:, 0]
    if ambiguous:
        chosen = iou_bm[:, 1:].argmax(dim=1, keepdim=True) + 1
        shown = actual.gather(1, chosen)[:, 0]
    return (masks * asked + score).mean(), shown
