"""Learning an instance decoder alone: all that the network is stays as it is.

Prompts are answered to the bit as before, so that weights which answer them well can
be given a decoder afterwards, or a better one. It costs a third of learning both: the
encoder is run but not changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from napari_sam.errors import TrainingError
from napari_sam.model import Sam
from napari_sam.model.instance_decoder import InstanceHead
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.training.config import Phase, TrainingConfig
from napari_sam.training.crops import Crop, CropSampler
from napari_sam.training.maps import map_loss, map_targets
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.start import prepare_instance_head
from napari_sam.training.windows import normalised


class InstanceMapping:
    """Learning to say where objects are; only the instance decoder learns.

    Parameters
    ----------
    sam
        The network, as it begins.
    config
        The run; of the phases, size, batch and object size matter.
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
        if not isinstance(sam.image_encoder, TinyViT):
            raise TrainingError(
                "An instance decoder learns on the encoder of vit_t, which "
                f"{sam.metadata.name!r} does not have."
            )
        self.sam = sam
        self.config = config
        sam.requires_grad_(requires_grad=False).eval()
        prepare_instance_head(sam, learns=True)
        self.modules = nn.ModuleDict({"sam": sam})
        self.sampler = CropSampler.of(config, planes)
        self.examination: list[Crop] = []
        if left_out:
            unchanged = replace(
                self.sampler, planes=left_out, scenes_share=0.0, changes=False
            )
            phase = config.phase[-1]
            count = config.validation.crops
            self.examination = [unchanged.draw(0, i, phase) for i in range(count)]

    def draw(self, step: int, phase: Phase) -> list[Crop]:
        """A step's batch."""
        return [self.sampler.draw(step, index, phase) for index in range(phase.batch)]

    def loss(
        self, batch: Sequence[Crop], step: int, progress: float
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What to lower, and what to report; alike in every step."""
        off = self._off(self.sam, batch)
        return off, {"maps": off.detach()}

    def examine(self, sam: Sam) -> Mapping[str, float]:
        """The loss on crops that were left out."""
        if not self.examination:
            return {}
        with torch.no_grad():
            return {"left_out_maps": float(self._off(sam, self.examination))}

    def _off(self, sam: Sam, batch: Sequence[Crop]) -> Tensor:
        encoder, head = sam.image_encoder, sam.instance_decoder
        if not isinstance(encoder, TinyViT) or not isinstance(head, InstanceHead):
            raise TrainingError("The network lost its instance decoder on the way.")
        with torch.autocast(sam.device.type, torch.bfloat16):
            with torch.no_grad():
                stages = encoder.stages(normalised(sam, [x.image_chw for x in batch]))
            maps = head(stages)
        targets = torch.from_numpy(np.stack([map_targets(x.labels_hw) for x in batch]))
        return map_loss(maps.float(), targets.to(sam.device))
