"""SAM's task: answer prompts about the objects of crops.

"Segment Anything" (2023), section 5 and appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam.errors import TrainingError
from napari_sam.model import Sam
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.training.config import Phase, TrainingConfig
from napari_sam.training.crops import Crop, CropSampler
from napari_sam.training.maps import map_loss, map_targets
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.prompting import Lesson
from napari_sam.training.start import choose_learners, prepare_instance_head
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
        frozen = config.network.frozen_stages
        choose_learners(sam, everything=everything, frozen_stages=frozen)
        self.encodes_with_gradient = everything
        self.has_maps = everything and config.optimisation.map_weight > 0
        if everything:
            prepare_instance_head(sam, learns=self.has_maps)
        self.has_maps = self.has_maps and sam.instance_decoder is not None
        self.modules = nn.ModuleDict({"sam": sam})
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
                embedding, maps = self._encode(images)
        prompted, told = self._prompt_loss(batch, embedding, progress, rng)
        if maps is None:
            return prompted, told
        targets = torch.from_numpy(np.stack([map_targets(x.labels_hw) for x in batch]))
        off = map_loss(maps.float(), targets.to(device))
        weight = self.config.optimisation.map_weight
        return prompted + weight * off, {**told, "maps": off.detach()}

    def examine(self, sam: Sam) -> Mapping[str, float]:
        """How good a network is on the planes that were left out."""
        return self.examiner.examine(sam) if self.examiner is not None else {}

    def _corrections(self, progress: float, rng: np.random.Generator) -> int:
        prompting = self.config.prompting
        wanted = rng.random() < prompting.correction_share
        count = int(rng.integers(1, prompting.corrections + 1))
        return count if wanted and progress >= prompting.correction_from else 0

    def _encode(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The crops' embeddings, and their maps where those are learned."""
        encoder, decoder = self.sam.image_encoder, self.sam.instance_decoder
        if not self.has_maps or decoder is None or not isinstance(encoder, TinyViT):
            embedding: Tensor = encoder(images)
            return embedding, None
        stages = encoder.stages(images)
        return stages[-1], decoder(stages)

    def _prompt_loss(
        self,
        batch: Sequence[Crop],
        embedding: Tensor,
        progress: float,
        rng: np.random.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of all prompts, those of one form at a time, and what to report."""
        corrections = self._corrections(progress, rng)
        places = [draw_place(self.sam, crop.image_chw.shape[-1], rng) for crop in batch]
        losses: list[Tensor] = []
        told: dict[str, list[Tensor]] = {}
        for form in sorted({crop.prompts.form for crop in batch}):
            of_form = [i for i, crop in enumerate(batch) if crop.prompts.form == form]
            lesson = Lesson(
                self.sam,
                embedding[of_form],
                [batch[index] for index in of_form],
                [places[index] for index in of_form],
                self.config.optimisation.loss_stride,
            )
            loss, iou = lesson.loss(corrections, rng)
            losses.append(loss * len(of_form) / len(batch))
            told.setdefault(_form_name(form), []).append(iou)
        loss = torch.stack(losses).sum()
        ious = {name: torch.cat(of).mean() for name, of in told.items()}
        return loss, {"loss": loss.detach(), **ious}


def _form_name(form: tuple[int, bool, bool]) -> str:
    """How a log calls the IoU of prompts of this form."""
    points, has_box, has_mask = form
    if has_mask:
        return "mask_iou"
    kinds = ["box"] * has_box + ["point"] * (points > 0)
    return "_".join([*kinds, "iou"])
