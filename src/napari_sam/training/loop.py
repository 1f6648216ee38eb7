"""Train a `vit_t` SAM from scratch, on a CPU or a GPU, for a given time.

The learning rate follows the share of the time that is used up, so that a run on a
busy machine still ends well: it just takes fewer steps. Dense auxiliary maps are
predicted from the embedding during training and dropped afterwards; they teach the
encoder faster than prompts alone.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_sam.errors import GeometryError
from napari_sam.model.build import (
    DEFAULT_IMAGE_SIZE,
    EMBEDDING_STRIDE,
    new_tiny_sam,
)
from napari_sam.model.facts import ModelFacts
from napari_sam.model.sam import Sam
from napari_sam.training.dataset import AnnotatedImage, Crop, CropOptions, CropSampler
from napari_sam.training.dense import DenseHead, dense_loss, dense_targets
from napari_sam.training.prompting import CropLesson

LOG = logging.getLogger(__name__)

REPORT_EVERY = 50
SAVE_EVERY = 200


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training, from small crops to the whole window.

    A crop that is smaller than the window may lie anywhere in it. Small ones teach
    several times faster: an object is a larger part of what the loss looks at, and
    each of its pixels costs less.
    """

    share: float  # of the time, 0..1
    size: int  # side of a crop, in pixels
    batch: int  # crops in a step
    prompts: int  # asked for in a crop


CURRICULUM = (
    Phase(0.6, size=128, batch=12, prompts=8),
    Phase(0.2, size=256, batch=4, prompts=12),
    Phase(0.2, size=512, batch=1, prompts=24),
)


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Everything a run depends on besides the images.

    Parameters
    ----------
    minutes
        How long to train, earlier parts of a resumed run included.
    phases
        From small crops to large ones.
    learning_rate, weight_decay
        Of AdamW; the rate is the highest one, after the warm-up.
    warmup
        Share of the time in which the rate rises, 0..1.
    correction_share
        Share of the steps that add a correcting click with the answer before as
        mask prompt.
    correction_from
        Share of the time before the first of them: an answer has to be worth
        correcting.
    loss_stride
        Losses are computed on maps this many times smaller than the crop.
    average_decay
        Of the exponential moving average of the weights, which is the result.
    seed
        Of weights, crops and prompts.
    crops
        How crops are drawn; each phase has its own size and number of prompts.
    """

    minutes: float
    phases: tuple[Phase, ...] = CURRICULUM
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warmup: float = 0.03
    correction_share: float = 0.35
    correction_from: float = 0.25
    loss_stride: int = 2
    average_decay: float = 0.998
    seed: int = 1
    crops: CropOptions = field(default_factory=CropOptions)


class Trainer:
    """One run: network, optimiser, time used, steps taken.

    Parameters
    ----------
    images
        What to learn from.
    options
        How.
    facts
        Name, window and normalisation of the network to be.
    device
        Where to train.
    """

    def __init__(
        self,
        images: Sequence[AnnotatedImage],
        options: TrainingOptions,
        facts: ModelFacts,
        device: str = "cpu",
    ) -> None:
        window = facts.image_size or DEFAULT_IMAGE_SIZE
        for phase in options.phases:
            if phase.size > window or phase.size % EMBEDDING_STRIDE:
                raise GeometryError(
                    f"Crops need a multiple of {EMBEDDING_STRIDE} pixels, at most the "
                    f"window's {window}, got a phase with {phase.size}."
                )
        torch.manual_seed(options.seed)
        self.options = options
        self.device = torch.device(device)
        self.rng = np.random.default_rng(options.seed)
        self.sam = new_tiny_sam(facts).to(self.device).train()
        self.sam.image_encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.dense = DenseHead(self.sam.mask_decoder.iou_token.weight.shape[1])
        self.dense.to(self.device)
        self.modules = nn.ModuleDict({"sam": self.sam, "dense": self.dense})
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(self.modules, options.weight_decay),
            lr=options.learning_rate,
            betas=(0.9, 0.98),
        )
        self.average = AveragedModel(
            self.sam, multi_avg_fn=get_ema_multi_avg_fn(options.average_decay)
        )
        self.images = images
        self.step = 0
        self.used_s = 0.0

    def run(self, checkpoint: Path) -> Sam:
        """Train until the time is used up, saving the state to `checkpoint`."""
        if checkpoint.exists():
            self._load(checkpoint)
        sums: dict[str, float] = {}
        for crops in self._batches():
            start_s = time.monotonic()
            for name, value in self._train_step(crops).items():
                sums[name] = sums.get(name, 0.0) + value
            self.step += 1
            self.used_s += time.monotonic() - start_s
            if self.step % REPORT_EVERY == 0:
                self._report(sums)
                sums = {}
            if self.step % SAVE_EVERY == 0:
                self._save(checkpoint)
        self._save(checkpoint)
        averaged: Sam = self.average.module
        return averaged.eval()

    def _batches(self) -> Iterator[list[Crop]]:
        """Batches of each phase's crops, for its share of the time."""
        end = 0.0
        for phase in self.options.phases:
            end += phase.share
            if self.progress >= end:
                continue
            crops = replace(self.options.crops, size=phase.size, prompts=phase.prompts)
            sampler = CropSampler(self.images, crops, self.options.seed + self.step)
            with closing(_prefetched(sampler, phase.batch)) as batches:
                while self.progress < min(end, 1.0):
                    yield next(batches)

    @property
    def progress(self) -> float:
        """Share of the time that is used up, 0..1."""
        return min(self.used_s / (60 * self.options.minutes), 1.0)

    def facts(self) -> dict[str, Any]:
        """What the model card says about the run."""
        return {
            "options": asdict(self.options),
            "steps": self.step,
            "minutes": round(self.used_s / 60, 1),
            "device": str(self.device),
            "torch": torch.__version__,
            "images": len(self.images),
        }

    def _train_step(self, crops: Sequence[Crop]) -> Mapping[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * self._rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            image = torch.from_numpy(np.stack([crop.image_chw for crop in crops]))
            image = image.to(self.device, torch.float32)
            image = (image - self.sam.pixel_mean) / self.sam.pixel_std
            image = image.contiguous(memory_format=torch.channels_last)
            embedding = self.sam.image_encoder(image)
            maps = self.dense(embedding)
        targets = torch.from_numpy(np.stack([dense_targets(crop) for crop in crops]))
        dense = dense_loss(maps.float(), targets.to(self.device))
        correct = (
            self.progress > self.options.correction_from
            and self.rng.random() < self.options.correction_share
        )
        losses, ious = [], []
        for crop, embedding_chw in zip(crops, embedding, strict=True):
            place = self._place(crop.image_chw.shape[-1])
            lesson = CropLesson(
                self.sam, embedding_chw[None], crop, place, self.options.loss_stride
            )
            loss, iou = lesson.loss(correct=correct)
            losses.append(loss)
            ious.append(iou)
        prompted = torch.stack(losses).mean()
        self.optimizer.zero_grad(set_to_none=True)
        (prompted + dense).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.sam)
        return {
            "loss": prompted.item(),
            "dense": dense.item(),
            "iou": torch.cat(ious).mean().item(),
        }

    def _place(self, size: int) -> tuple[int, int]:
        """Where in the window a crop lies, (row, column) in embedding pixels.

        A crop smaller than the window is given a random place, so that the decoder
        learns positions of the whole window from crops of a part of it.
        """
        room = (self.sam.image_encoder.img_size - size) // EMBEDDING_STRIDE
        row, column = self.rng.integers(0, room + 1, 2).tolist()
        return row, column

    def _rate(self) -> float:
        warmup = self.options.warmup
        # A step count as well: the first steps must be small however slow they are.
        rise = min(max(self.progress / warmup, 0.02), (self.step + 1) / 50, 1.0)
        fall = max(self.progress - warmup, 0.0) / (1 - warmup)
        return rise * (0.5 + 0.5 * math.cos(math.pi * fall))

    def _report(self, sums: Mapping[str, float]) -> None:
        means = {name: value / REPORT_EVERY for name, value in sums.items()}
        LOG.info(
            "step %d, %.1f min (%.0f %%): %s",
            self.step,
            self.used_s / 60,
            100 * self.progress,
            ", ".join(f"{name} {value:.4f}" for name, value in means.items()),
        )

    def _save(self, checkpoint: Path) -> None:
        part = checkpoint.with_suffix(".part")
        state = {
            "modules": self.modules.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "used_s": self.used_s,
        }
        torch.save(state, part)
        part.replace(checkpoint)

    def _load(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True, map_location=self.device)
        self.modules.load_state_dict(state["modules"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.used_s = state["step"], state["used_s"]
        LOG.info("going on from step %d of %s", self.step, checkpoint)


def _parameter_groups(modules: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, everything else does not."""
    parameters = list(modules.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _prefetched(sampler: CropSampler, batch: int) -> Generator[list[Crop], None, None]:
    """Batches drawn in another thread, two ahead, until the generator is closed."""
    crops = iter(sampler)

    def draw() -> list[Crop]:
        return [next(crops) for _ in range(batch)]

    with ThreadPoolExecutor(1, thread_name_prefix="crops") as pool:
        ahead = deque([pool.submit(draw), pool.submit(draw)])
        while True:
            ready = ahead.popleft().result()
            ahead.append(pool.submit(draw))
            yield ready
