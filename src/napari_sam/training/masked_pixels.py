"""Pre-training without labels: most of an image is hidden, and has to be guessed.

"Masked Autoencoders Are Scalable Vision Learners" (2022), which SAM's encoder starts
from. There hidden patches are left out; an encoder with convolutions sees whole images
only, so here they are painted with one learned colour. They are twice as large as an
embedding's pixel, so that a neighbour's convolution does not give them away:

    +--+--+--+--+
    |  |##|##|##|     # hidden, 3 of 4; the loss looks at these alone
    +--+--+--+--+
    |##|##|  |##|
    +--+--+--+--+
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.errors import TrainingError
from napari_sam.model import EMBEDDING_STRIDE, Sam
from napari_sam.training.config import Phase, TrainingConfig
from napari_sam.training.crops import CropSampler
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.start import prepare_instance_head
from napari_sam.training.windows import normalised

PATCH = 32  # pixels
HIDDEN_SHARE = 0.75
SMALLEST_SPREAD = 0.05
"""Of a patch's pixels, in standard deviations of the data: below it, what makes a
patch differ from flat is noise, and is not blown up to be learned."""

DECODER_CHANNELS = 128
HIDING_STREAM = 2


@dataclass(frozen=True, slots=True)
class HiddenPictures:
    """A batch: images, and which patches of them are hidden."""

    images_bchw: NDArray[np.uint8]
    hidden_bhw: NDArray[np.bool_]  # patches


class PixelDecoder(nn.Module):
    """From the embedding to normalised pixels; thrown away after the training."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden_colour = nn.Parameter(torch.zeros(3, 1, 1))
        self.layers = nn.Sequential(
            nn.Conv2d(channels, DECODER_CHANNELS, kernel_size=1),
            nn.GELU(),
            nn.Conv2d(DECODER_CHANNELS, DECODER_CHANNELS, kernel_size=3, padding=1),
            nn.GELU(),
            nn.Conv2d(DECODER_CHANNELS, 3 * EMBEDDING_STRIDE**2, kernel_size=1),
            nn.PixelShuffle(EMBEDDING_STRIDE),
        )

    def forward(self, embedding_bchw: Tensor) -> Tensor:
        """Return (b, 3, 16 h, 16 w)."""
        out: Tensor = self.layers(embedding_bchw)
        return out


class MaskedPixels:
    """Learning to guess hidden pixels; only the image encoder learns.

    Parameters
    ----------
    sam
        The network, as it begins.
    config
        The run; of the phases, size and batch matter.
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
        odd = [phase.size for phase in config.phase if phase.size % PATCH]
        if odd:
            raise TrainingError(
                f"Hidden patches need crops of a multiple of {PATCH} pixels, got {odd}."
            )
        self.sam = sam
        self.config = config
        prepare_instance_head(sam, learns=False)
        sam.requires_grad_(requires_grad=False).eval()
        sam.image_encoder.requires_grad_(requires_grad=True).train()
        self.decoder = PixelDecoder(sam.mask_decoder.iou_token.weight.shape[1])
        self.modules = nn.ModuleDict({"sam": sam, "pixels": self.decoder})
        self.sampler = CropSampler.of(config, planes)
        self.examination = None
        if left_out:
            unchanged = replace(
                self.sampler, planes=left_out, scenes_share=0.0, changes=False
            )
            phase = config.phase[-1]
            self.examination = self._hide(unchanged, 0, phase, config.validation.crops)

    def draw(self, step: int, phase: Phase) -> HiddenPictures:
        """A step's batch."""
        return self._hide(self.sampler, step, phase, phase.batch)

    def loss(
        self,
        batch: HiddenPictures,
        step: int,
        progress: float,
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """What to lower, and what to report; alike in every step."""
        loss = self._guess(self.sam, batch)
        return loss, {"loss": loss.detach()}

    def examine(self, sam: Sam) -> Mapping[str, float]:
        """The loss on pictures that were left out."""
        if self.examination is None:
            return {}
        with torch.no_grad():
            return {"left_out_loss": float(self._guess(sam, self.examination))}

    def _hide(
        self, sampler: CropSampler, step: int, phase: Phase, count: int
    ) -> HiddenPictures:
        images, hidden = [], []
        side = phase.size // PATCH
        for index in range(count):
            rng = np.random.default_rng((self.config.seed, step, index, HIDING_STREAM))
            pixels_hwc, _ = sampler.picture(rng, phase)
            images.append(np.ascontiguousarray(pixels_hwc.transpose(2, 0, 1)))
            order = rng.permutation(side * side)
            hidden.append((order < HIDDEN_SHARE * side * side).reshape(side, side))
        return HiddenPictures(np.stack(images), np.stack(hidden))

    def _guess(self, sam: Sam, batch: HiddenPictures) -> Tensor:
        """Mean squared error of the hidden patches."""
        side = batch.images_bchw.shape[-1]
        images = normalised(sam, list(batch.images_bchw))
        hidden = torch.from_numpy(batch.hidden_bhw).to(sam.device)[:, None]
        covered = F.interpolate(hidden.float(), scale_factor=PATCH)
        padding = images.shape[-1] - side
        covered = F.pad(covered, (0, padding, 0, padding))
        painted = torch.lerp(
            images, self.decoder.hidden_colour.expand_as(images), covered
        )
        with torch.autocast(sam.device.type, torch.bfloat16):
            guess = self.decoder(sam.image_encoder(painted))
        wrong = (guess.float() - _flattened(images, PATCH)).square() * covered
        loss: Tensor = wrong.sum() / (3 * covered.sum())
        return loss


def _flattened(images_bchw: Tensor, patch: int) -> Tensor:
    """Each patch with mean 0 and spread 1, each colour by itself."""
    mean = F.avg_pool2d(images_bchw, patch)
    variance = (F.avg_pool2d(images_bchw**2, patch) - mean**2).clamp(min=0)
    spread = variance.sqrt().clamp(min=SMALLEST_SPREAD)
    bigger = [F.interpolate(x, scale_factor=patch) for x in (mean, spread)]
    return (images_bchw - bigger[0]) / bigger[1]
