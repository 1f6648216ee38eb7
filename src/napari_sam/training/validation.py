"""The examination: prompts on planes that were never learned from.

Crops are drawn once, without augmentation, so that one examination can be compared
with the next. Each object gets one click at its centre, for which the top-scored mask
counts, and a tight box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from napari_sam.masks import deepest_point
from napari_sam.model import Sam
from napari_sam.training.config import Phase, Prompting, TrainingConfig
from napari_sam.training.crops import Crop, CropSampler
from napari_sam.training.losses import measured_iou
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.prompting import Lesson
from napari_sam.training.simulated_prompts import CropPrompts, tight_box
from napari_sam.training.windows import normalised


def examination_crops(
    planes: Sequence[TrainingPlane], config: TrainingConfig, largest: int
) -> list[Crop]:
    """The crops of an examination, at most `largest` pixels on a side."""
    wanted = config.validation
    sizes = [phase.object_size for phase in config.phase]
    phase = Phase(
        size=min(wanted.size, largest),
        prompts=wanted.prompts,
        object_size=(min(low for low, _ in sizes), max(high for _, high in sizes)),
    )
    boxes = Prompting(box_share=1.0, point_box_share=0.0, mask_share=0.0)
    sampler = CropSampler(
        planes, boxes, config.augmentation, config.seed, changes=False
    )
    return [sampler.draw(0, index, phase) for index in range(wanted.crops)]


@dataclass(frozen=True, slots=True)
class Examiner:
    """Asks a network, in evaluation mode, about fixed crops."""

    crops: Sequence[Crop]

    @torch.no_grad()
    def examine(self, sam: Sam) -> dict[str, float]:
        """Mean IoU of a click and of a box, and how far off the click's score is."""
        told = [self._examine(sam, crop) for crop in self.crops]
        click, box, score = (torch.cat(values) for values in zip(*told, strict=True))
        return {
            "click_iou": click.mean().item(),
            "box_iou": box.mean().item(),
            "score_error": (score - click).abs().mean().item(),
        }

    @staticmethod
    def _examine(sam: Sam, crop: Crop) -> tuple[Tensor, Tensor, Tensor]:
        masks = np.unique(crop.prompts.masks_nhw, axis=0)
        clicks = np.array([deepest_point(mask)[::-1] for mask in masks], np.float32)
        boxes = np.stack([tight_box(mask) for mask in masks])
        target = torch.from_numpy(masks).to(sam.device, torch.float32)[:, None]
        with torch.autocast(sam.device.type, torch.bfloat16):
            embedding = sam.image_encoder(normalised(sam, [crop.image_chw]))

        def iou(prompts: CropPrompts) -> tuple[Tensor, Tensor]:
            prompted = replace(crop, prompts=prompts)
            lesson = Lesson(sam, embedding.float(), [prompted], [(0, 0)], stride=1)
            answer = lesson.predict(lesson.first_prompts())
            index = answer.shown(ambiguous=prompts.is_ambiguous)
            found = measured_iou(answer.logits_nmhw[index][:, None], target)[:, 0]
            return found, answer.iou_nm[index]

        click_iou, score = iou(CropPrompts.of_clicks(masks, clicks))
        return click_iou, iou(CropPrompts.of_boxes(masks, boxes))[0], score
