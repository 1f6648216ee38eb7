"""Ask the network about the objects of crops, and tell how good its answers are.

The prompts have the very tokens that they will have in use: a click comes with the
padding that SAM adds to points, a box without.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam.evaluation import correcting_click
from napari_sam.model import EMBEDDING_STRIDE, Sam
from napari_sam.prompts import MASK_PROMPT_LOGIT
from napari_sam.training.crops import Crop
from napari_sam.training.losses import mask_loss
from napari_sam.training.mask_prompts import LOW_RES_STRIDE

CENTRE_SHARE = 0.5
"""Of the correcting clicks: at the centre of the largest wrong region, as evaluation
and careful users click; the others are anywhere where the answer is wrong."""


@dataclass(frozen=True, slots=True)
class PromptBatch:
    """Prompts about n objects on one embedding, in pixels of the window."""

    points_nk2: Tensor | None  # (x, y)
    labels_nk: Tensor | None  # 1 on the object, 0 off it
    boxes_n4: Tensor | None
    masks_n1hw: Tensor | None = None  # low-resolution logits of the answer before


@dataclass(frozen=True, slots=True)
class PromptedMasks:
    """What the network says to a question; m mask tokens, the first one is single."""

    low_res_nmhw: Tensor
    logits_nmhw: Tensor  # of the crop, at the loss's size
    iou_nm: Tensor

    def shown(self, *, ambiguous: bool) -> tuple[Tensor, Tensor]:
        """What a user would see: the best-scored of several, or the single mask.

        Returns
        -------
        Index of each prompt, and of the mask that it shows.
        """
        count = len(self.iou_nm)
        first = torch.zeros(count, dtype=torch.long, device=self.iou_nm.device)
        chosen = self.iou_nm[:, 1:].argmax(dim=1) + 1 if ambiguous else first
        return torch.arange(count, device=chosen.device), chosen


@dataclass(frozen=True, slots=True)
class Lesson:
    """Embeddings of k crops, what is asked about them, and the right answers.

    All prompts are asked at once, each on its own crop's embedding: many small
    questions one after the other take several times as long.

    Parameters
    ----------
    sam
        The network.
    embedding_kchw
        Of the crops, or of windows whose first corner each of them fills.
    crops
        Of one size, with prompts of one form.
    places
        Where in the window each crop lies, (row, column) in embedding pixels.
    stride
        Losses are computed on maps this many times smaller than the crop.
    """

    sam: Sam
    embedding_kchw: Tensor
    crops: Sequence[Crop]
    places: Sequence[tuple[int, int]]
    stride: int

    def loss(self, corrections: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Loss of the answers, and the IoU of each prompt's best-scored mask.

        Parameters
        ----------
        corrections
            How often to ask again with one more correcting click, and the answer
            before as mask prompt.
        rng
            Draws the clicks.
        """
        masks_nhw = np.concatenate([crop.prompts.masks_nhw for crop in self.crops])
        masks = torch.from_numpy(masks_nhw).to(self.embedding_kchw.device)
        target = F.avg_pool2d(masks.float()[:, None], self.stride)[:, 0]
        question = self.first_prompts()
        ambiguous = self.crops[0].prompts.is_ambiguous
        answer = self.predict(question)
        loss, shown = mask_loss(
            answer.logits_nmhw, answer.iou_nm, target, ambiguous=ambiguous
        )
        for _ in range(corrections):
            question = self._corrected(question, answer, target, ambiguous, rng)
            ambiguous = False
            answer = self.predict(question)
            again, _ = mask_loss(
                answer.logits_nmhw, answer.iou_nm, target, ambiguous=False
            )
            loss = loss + again
        return loss / (1 + corrections), shown

    def first_prompts(self) -> PromptBatch:
        """The crops' prompts."""
        prompts = [crop.prompts for crop in self.crops]
        points_nk2 = labels_nk = boxes_n4 = masks_n1hw = None
        count, has_box, has_mask = prompts[0].form
        if count:
            corners = self._corners()[:, None]
            points_nk2 = self._on_device([x.points_nk2 for x in prompts]) + corners
            labels_nk = self._on_device([x.labels_nk for x in prompts])
        if has_box:
            boxes_n4 = self._on_device([x.boxes_n4 for x in prompts])
            boxes_n4 = boxes_n4 + self._corners().repeat(1, 2)
        if has_mask:
            masks_n1hw = self._filled_up([x.logits_nhw for x in prompts])
        return PromptBatch(points_nk2, labels_nk, boxes_n4, masks_n1hw)

    def predict(self, question: PromptBatch) -> PromptedMasks:
        """The decoder's answers, without the part of the window around a crop."""
        encoder = self.sam.prompt_encoder
        points = None
        if question.points_nk2 is not None and question.labels_nk is not None:
            points = (question.points_nk2, question.labels_nk)
        sparse, dense = encoder(points, question.boxes_n4, question.masks_n1hw)
        crop_n = self._crop_of_each()
        device = self.embedding_kchw.device
        h, w = self.embedding_kchw.shape[-2:]
        with torch.autocast(device.type, torch.bfloat16), _attention_for(device):
            if question.masks_n1hw is None:
                dense = encoder.no_mask_embed.weight[:, :, None, None]
            low_res, iou = self.sam.mask_decoder.all_masks(
                self.embedding_kchw[crop_n],
                self._positions()[crop_n],
                sparse,
                dense.expand(len(sparse), -1, h, w),
            )
        low_res = low_res.float()
        side = self.crops[0].image_chw.shape[-1] // LOW_RES_STRIDE
        logits = F.interpolate(
            low_res[..., :side, :side],
            scale_factor=LOW_RES_STRIDE / self.stride,
            mode="bilinear",
        )
        return PromptedMasks(low_res, logits, iou.float())

    def _corrected(
        self,
        question: PromptBatch,
        answer: PromptedMasks,
        target: Tensor,
        ambiguous: bool,
        rng: np.random.Generator,
    ) -> PromptBatch:
        """The question with one more click, about what a user would see."""
        device = self.embedding_kchw.device
        index = answer.shown(ambiguous=ambiguous)
        answered = (answer.logits_nmhw[index].detach() > 0).cpu().numpy()
        wanted = (target > 0.5).cpu().numpy()
        clicks, positive = correcting_clicks(answered, wanted, self.stride, rng)
        points = (torch.from_numpy(clicks).to(device) + self._corners())[:, None]
        labels = torch.from_numpy(positive).to(device).int()[:, None]
        if question.points_nk2 is not None and question.labels_nk is not None:
            points = torch.cat([question.points_nk2, points], dim=1)
            labels = torch.cat([question.labels_nk, labels], dim=1)
        before = answer.low_res_nmhw[index].detach()[:, None]
        return PromptBatch(points, labels, question.boxes_n4, before)

    def _on_device(self, parts: Sequence[NDArray[Any] | None]) -> Tensor:
        given = [part for part in parts if part is not None]
        return torch.from_numpy(np.concatenate(given)).to(self.embedding_kchw.device)

    def _filled_up(self, parts: Sequence[NDArray[np.float32] | None]) -> Tensor:
        """Mask prompts over all that was encoded, (n, 1, 4h, 4w)."""
        logits = self._on_device(parts)[:, None]
        h, w = (LOW_RES_STRIDE * n for n in self.embedding_kchw.shape[-2:])
        room = (0, w - logits.shape[-1], 0, h - logits.shape[-2])
        return F.pad(logits, room, value=-MASK_PROMPT_LOGIT)

    def _crop_of_each(self) -> Tensor:
        """Which crop each prompt is about, (n,)."""
        counts = torch.tensor([len(crop.prompts.masks_nhw) for crop in self.crops])
        device = self.embedding_kchw.device
        return torch.arange(len(counts)).repeat_interleave(counts).to(device)

    def _positions(self) -> Tensor:
        """Position encodings of the embeddings' pixels, (k, c, h, w)."""
        window = self.sam.prompt_encoder.get_dense_pe()[0]
        h, w = self.embedding_kchw.shape[-2:]
        return torch.stack(
            [
                window[:, row : row + h, column : column + w]
                for row, column in self.places
            ]
        )

    def _corners(self) -> Tensor:
        """Where in the window the first pixel of each prompt's crop lies, (n, 2)."""
        places = torch.tensor(self.places, device=self.embedding_kchw.device)
        return places.flip(1)[self._crop_of_each()] * float(EMBEDDING_STRIDE)


def _attention_for(device: torch.device) -> AbstractContextManager[None]:
    """How to attend: on a CPU, with a few tokens a prompt, fused kernels are slow."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def correcting_clicks(
    masks_nhw: NDArray[np.bool_],
    targets_nhw: NDArray[np.bool_],
    stride: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A wrong pixel of each answer, and whether it is object.

    Parameters
    ----------
    masks_nhw, targets_nhw
        Answers and right answers; where they agree, an object pixel is taken.
    stride
        Pixels of the crop in one of theirs.
    rng
        Draws the pixels.

    Returns
    -------
    (n, 2) points (x, y) in pixels of the crop, and (n,) labels.
    """
    clicks, labels = [], []
    for mask, target in zip(masks_nhw, targets_nhw, strict=True):
        at_centre = rng.random() < CENTRE_SHARE
        centre = correcting_click(mask, target) if at_centre else None
        if centre is not None:
            row, column, _ = centre
        else:
            wrong = np.argwhere(mask != target)
            if not len(wrong):
                wrong = np.argwhere(target)
            row, column = wrong[rng.integers(len(wrong))] if len(wrong) else (0, 0)
        clicks.append((column * stride + stride // 2, row * stride + stride // 2))
        labels.append(bool(target[row, column]))
    return np.array(clicks, dtype=np.float32), np.array(labels)
