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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.build import EMBEDDING_STRIDE, new_tiny_sam
from napari_sam.model.facts import ModelFacts
from napari_sam.model.sam import Sam
from napari_sam.training.dataset import AnnotatedImage, Crop, CropOptions, CropSampler
from napari_sam.training.losses import dense_loss, mask_loss

LOG = logging.getLogger(__name__)

DENSE_CHANNELS = 4
OFFSET_UNITS = 8.0
REPORT_EVERY = 50
SAVE_EVERY = 200


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """Everything a run depends on besides the images.

    Parameters
    ----------
    minutes
        How long to train, earlier parts of a resumed run included.
    batch
        Crops in a step.
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
    full_share
        Share of the time, at the end, in which a step sees one crop as large as the
        window. Before, crops are smaller and lie anywhere in the window, which is
        as instructive and several times cheaper.
    loss_stride
        Losses are computed on maps this many times smaller than the crop.
    seed
        Of weights, crops and prompts.
    """

    minutes: float
    batch: int = 4
    learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warmup: float = 0.03
    correction_share: float = 0.35
    correction_from: float = 0.25
    full_share: float = 0.3
    loss_stride: int = 2
    seed: int = 1
    crops: CropOptions = field(default_factory=CropOptions)


class DenseHead(nn.Module):
    """Auxiliary maps from the embedding, four times its size; for training only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
            nn.GELU(),
            nn.Conv2d(channels // 8, DENSE_CHANNELS, kernel_size=3, padding=1),
        )

    def forward(self, embedding_bchw: Tensor) -> Tensor:
        """Return (b, DENSE_CHANNELS, 4h, 4w)."""
        out: Tensor = self.layers(embedding_bchw)
        return out


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
        return self.sam.eval()

    def _batches(self) -> Iterator[list[Crop]]:
        """Batches of small crops, then, for the last part of the time, full ones."""
        window = self.sam.window_size
        full = replace(self.options.crops, size=window, prompts=24)
        seed = self.options.seed + self.step
        small = _prefetched(
            CropSampler(self.images, self.options.crops, seed), self.options.batch
        )
        while self.progress < 1 - self.options.full_share:
            yield next(small)
        large = _prefetched(CropSampler(self.images, full, seed), 1)
        while self.progress < 1:
            yield next(large)

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
            loss, iou = self._prompt_losses(crop, embedding_chw[None], correct=correct)
            losses.append(loss)
            ious.append(iou)
        prompted = torch.stack(losses).mean()
        self.optimizer.zero_grad(set_to_none=True)
        (prompted + dense).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.modules.parameters(), 1.0)
        self.optimizer.step()
        return {
            "loss": prompted.item(),
            "dense": dense.item(),
            "iou": torch.cat(ious).mean().item(),
        }

    def _prompt_losses(
        self, crop: Crop, embedding: Tensor, *, correct: bool
    ) -> tuple[Tensor, Tensor]:
        """Loss of a first answer and, if `correct`, of one to a correcting click."""
        masks = torch.from_numpy(crop.masks_nhw).to(self.device, torch.float32)
        target = F.avg_pool2d(masks[:, None], self.options.loss_stride)[:, 0]
        is_box = torch.from_numpy(crop.is_box_n).to(self.device)
        place = self._place(crop.image_chw.shape[-1])
        corner = torch.tensor(place[::-1], device=self.device) * EMBEDDING_STRIDE
        points = torch.from_numpy(crop.points_n2).to(self.device)[:, None] + corner
        boxes = torch.from_numpy(crop.boxes_n4).to(self.device) + corner.repeat(2)
        tokens = self._tokens(points, torch.ones_like(is_box)[:, None], boxes, is_box)
        nothing = self.sam.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        low_res, logits, iou = self._decode(embedding, tokens, nothing, place)
        loss, shown = mask_loss(logits, iou, target, ~is_box)
        if not correct:
            return loss, shown
        chosen = torch.where(is_box, 0, iou[:, 1:].argmax(dim=1) + 1)
        index = torch.arange(len(chosen), device=self.device)
        before = low_res[index, chosen].detach()
        clicks, labels = _correcting_clicks(
            logits[index, chosen].detach().cpu().numpy() > 0,
            target.cpu().numpy() > 0.5,
            self.options.loss_stride,
        )
        clicked = torch.from_numpy(clicks).to(points)[:, None] + corner
        points = torch.cat([points, clicked], 1)
        positive = torch.ones_like(is_box)[:, None]
        answers = torch.from_numpy(labels).to(self.device)[:, None]
        tokens = self._tokens(points, torch.cat([positive, answers], 1), boxes, is_box)
        dense = self.sam.prompt_encoder.mask_downscaling(before[:, None].float())
        _, logits, iou = self._decode(embedding, tokens, dense, place)
        again, _ = mask_loss(logits, iou, target, torch.zeros_like(is_box))
        return (loss + again) / 2, shown

    def _tokens(
        self, points: Tensor, positive: Tensor, boxes: Tensor, is_box: Tensor
    ) -> Tensor:
        """Prompt tokens of equal number: the first is a click or a box's corners.

        A box's first click is not told; it is marked as not a point, as SAM marks
        its padding.
        """
        labels = positive.int()
        labels[:, 0] = torch.where(is_box, -1, labels[:, 0])
        encoder = self.sam.prompt_encoder
        with_pad, _ = encoder((points, labels), None, None)
        with_box, _ = encoder((points, labels), boxes, None)
        padded = F.pad(with_pad, (0, 0, 0, 1))
        padded = padded.clone()
        padded[:, -1] = with_pad[:, -1]
        return torch.where(is_box[:, None, None], with_box, padded)

    def _place(self, size: int) -> tuple[int, int]:
        """Where in the window a crop lies, (row, column) in embedding pixels.

        A crop smaller than the window is given a random place, so that the decoder
        learns positions of the whole window from crops of a part of it.
        """
        room = (self.sam.window_size - size) // EMBEDDING_STRIDE
        row, column = self.rng.integers(0, room + 1, 2).tolist()
        return row, column

    def _decode(
        self,
        embedding: Tensor,
        tokens: Tensor,
        dense: Tensor,
        place: tuple[int, int],
    ) -> tuple[Tensor, Tensor, Tensor]:
        row, column = place
        h, w = embedding.shape[-2:]
        positions = self.sam.prompt_encoder.get_dense_pe()
        positions = positions[..., row : row + h, column : column + w]
        with torch.autocast(self.device.type, torch.bfloat16):
            low_res, iou = self.sam.mask_decoder.all_masks(
                embedding,
                positions,
                tokens,
                dense.expand(len(tokens), -1, h, w),
            )
        low_res = low_res.float()
        logits = F.interpolate(
            low_res,
            scale_factor=EMBEDDING_STRIDE / 4 / self.options.loss_stride,
            mode="bilinear",
        )
        return low_res, logits, iou.float()

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
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "used_s": self.used_s,
        }
        torch.save(state, part)
        part.replace(checkpoint)

    def _load(self, checkpoint: Path) -> None:
        state = torch.load(checkpoint, weights_only=True, map_location=self.device)
        self.modules.load_state_dict(state["modules"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.used_s = state["step"], state["used_s"]
        LOG.info("going on from step %d of %s", self.step, checkpoint)


def dense_targets(crop: Crop) -> NDArray[np.float32]:
    """What the auxiliary maps should be: (DENSE_CHANNELS, size / 4, size / 4)."""
    labels = crop.labels_hw[2::4, 2::4]
    foreground = labels > 0
    edge = find_boundaries(crop.labels_hw, mode="inner")  # type: ignore[no-untyped-call]
    side = labels.shape[0]
    edge_share = edge.reshape(side, 4, side, 4).any(axis=(1, 3))
    y, x = np.mgrid[:side, :side]
    ids = np.unique(labels[foreground])
    offsets = np.zeros((2, side, side), dtype=np.float32)
    for axis, positions in enumerate((y, x)):
        means = np.zeros(int(labels.max()) + 1)
        if ids.size:
            means[ids] = ndimage.mean(positions, labels, ids)
        offsets[axis] = (means[labels] - positions) * OFFSET_UNITS / side
    maps = np.concatenate([np.stack([foreground, edge_share]), offsets * foreground])
    return maps.astype(np.float32)


def _correcting_clicks(
    masks: NDArray[np.bool_], targets: NDArray[np.bool_], stride: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A random wrong pixel of each answer, (x, y), and whether it is object."""
    rng = np.random.default_rng(int(masks.sum()))
    clicks, labels = [], []
    for mask, target in zip(masks, targets, strict=True):
        wrong = np.argwhere(mask != target)
        if not len(wrong):
            wrong = np.argwhere(target)
        row, column = wrong[rng.integers(len(wrong))] if len(wrong) else (0, 0)
        clicks.append((column * stride + stride // 2, row * stride + stride // 2))
        labels.append(target[row, column])
    return np.array(clicks, dtype=np.float32), np.array(labels)


def _parameter_groups(modules: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay, everything else does not."""
    parameters = list(modules.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _prefetched(sampler: CropSampler, batch: int) -> Iterator[list[Crop]]:
    """Batches drawn in another thread, two ahead."""
    queue: Queue[list[Crop]] = Queue(maxsize=2)

    def draw() -> None:
        crops = iter(sampler)
        while True:
            queue.put([next(crops) for _ in range(batch)])

    Thread(target=draw, daemon=True, name="crops").start()
    while True:
        yield queue.get()
