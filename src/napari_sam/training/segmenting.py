"""SAM's task: answer prompts about the objects of crops.

"Segment Anything" (2023), section 5 and appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam.errors import TrainingError
from napari_sam.model.sam import Sam
from napari_sam.training.config import Phase, TrainingConfig
from napari_sam.training.crops import Crop, CropSampler
from napari_sam.training.dense import DenseHead, dense_loss, dense_targets
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.prompting import Lesson
from napari_sam.training.start import choose_learners
from napari_sam.training.validation import Examiner, examination_crops
from napari_sam.training.windows import draw_place, normalised

ASKING_STREAM = 1
"""Keeps what is drawn for questions apart from what is drawn for crops."""


class Segmenting:
    """Learning to answer prompts.

    Parameters
    ----------
    sam
        The network, as it begins.
    config
        The run.
    planes, left_out
        What to learn from, and what to be examined on.
    """

    def __init__(
        self,
        sam: Sam,
        config: TrainingConfig,
        planes: Sequence[TrainingPlane],
        left_out: Sequence[TrainingPlane] = (),
    ) -> None:
        if config.scenes_share < 1 and not any(x.object_count for x in planes):
            raise TrainingError(
                f"Crops need planes with objects, got {len(planes)} with none. Are "
                "the labels those of objects?"
            )
        self.sam = sam
        self.config = config
        everything = config.network.start is None or config.network.encoder
        choose_learners(sam, everything=everything)
        self.modules = nn.ModuleDict({"sam": sam})
        self.has_maps = everything and config.optimisation.dense_weight > 0
        if self.has_maps:
            channels = sam.mask_decoder.iou_token.weight.shape[1]
            self.modules["dense"] = DenseHead(channels)
        self.encodes_with_gradient = everything
        self.sampler = CropSampler.of(config, planes)
        self.examiner = None
        if left_out:
            largest = sam.image_encoder.img_size
            self.examiner = Examiner(examination_crops(left_out, config, largest))

    def draw(self, step: int, phase: Phase) -> list[Crop]:
        """A step's batch."""
        return [self.sampler.draw(step, index, phase) for index in range(phase.batch)]

    def loss(
        self, batch: Sequence[Crop], step: int, progress: float
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What to lower in this step, and what to report."""
        rng = np.random.default_rng((self.config.seed, step, 0, ASKING_STREAM))
        device = self.sam.device
        with torch.autocast(device.type, torch.bfloat16):
            images = normalised(self.sam, [crop.image_chw for crop in batch])
            with torch.set_grad_enabled(self.encodes_with_gradient):
                embedding = self.sam.image_encoder(images)
        corrections = self._corrections(progress, rng)
        places = [draw_place(self.sam, crop.image_chw.shape[-1], rng) for crop in batch]
        losses, ious = [], []
        for asks_boxes in (False, True):
            of_kind = [i for i, x in enumerate(batch) if x.asks_boxes is asks_boxes]
            if not of_kind:
                continue
            lesson = Lesson(
                self.sam,
                embedding[of_kind],
                [batch[index] for index in of_kind],
                [places[index] for index in of_kind],
                self.config.optimisation.loss_stride,
            )
            loss, iou = lesson.loss(corrections, rng)
            losses.append(loss * len(of_kind) / len(batch))
            ious.append(iou)
        prompted = torch.stack(losses).sum()
        told = {"loss": prompted.detach(), "iou": torch.cat(ious).mean()}
        if not self.has_maps:
            return prompted, told
        dense = self._dense_loss(batch, embedding)
        weight = self.config.optimisation.dense_weight
        return prompted + weight * dense, {**told, "dense": dense.detach()}

    def examine(self, sam: Sam) -> Mapping[str, float]:
        """How good a network is on the planes that were left out."""
        return self.examiner.examine(sam) if self.examiner is not None else {}

    def _corrections(self, progress: float, rng: np.random.Generator) -> int:
        prompting = self.config.prompting
        wanted = rng.random() < prompting.correction_share
        count = int(rng.integers(1, prompting.corrections + 1))
        return count if wanted and progress >= prompting.correction_from else 0

    def _dense_loss(self, batch: Sequence[Crop], embedding: Tensor) -> Tensor:
        device = self.sam.device
        with torch.autocast(device.type, torch.bfloat16):
            maps = self.modules["dense"](embedding)
        targets = torch.from_numpy(np.stack([dense_targets(crop) for crop in batch]))
        side = targets.shape[-1]
        return dense_loss(maps.float()[..., :side, :side], targets.to(device))
