"""Ask the network about the objects of a crop, and tell how good its answers are.

The prompts have the very tokens that they will have in use: a click comes with the
padding that SAM adds to points, a box without.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.build import EMBEDDING_STRIDE
from napari_sam.model.sam import Sam
from napari_sam.training.dataset import Crop
from napari_sam.training.losses import mask_loss

LOW_RES_STRIDE = 4  # pixels of the crop in one of the decoder's logits


@dataclass(frozen=True, slots=True)
class Question:
    """Prompts about n objects on one embedding, in pixels of the window."""

    points_nk2: Tensor | None  # (x, y)
    labels_nk: Tensor | None  # 1 on the object, 0 off it
    boxes_n4: Tensor | None
    masks_n1hw: Tensor | None  # low-resolution logits of the answer before


@dataclass(frozen=True, slots=True)
class CropLesson:
    """One crop's embedding, what is asked about it, and the right answers.

    Parameters
    ----------
    sam
        The network.
    embedding
        (1, c, h, w), of the crop.
    crop
        The crop.
    place
        Where in the window the crop lies, (row, column) in embedding pixels.
    stride
        Losses are computed on maps this many times smaller than the crop.
    """

    sam: Sam
    embedding: Tensor
    crop: Crop
    place: tuple[int, int]
    stride: int

    def loss(self, *, correct: bool) -> tuple[Tensor, Tensor]:
        """Loss of the answers, and the IoU of each prompt's best-scored mask.

        Parameters
        ----------
        correct
            Whether to ask again with a correcting click and the answer as mask prompt.
        """
        device = self.embedding.device
        masks = torch.from_numpy(self.crop.masks_nhw).to(device, torch.float32)
        target = F.avg_pool2d(masks[:, None], self.stride)[:, 0]
        question = self._first_question()
        is_click = question.boxes_n4 is None
        low_res, logits, iou = self._ask(question)
        loss, shown = mask_loss(logits, iou, target, ambiguous=is_click)
        if not correct:
            return loss, shown
        # What a user would see: the best-scored of several, or the single mask.
        first = torch.zeros(len(iou), dtype=torch.long, device=device)
        chosen = iou[:, 1:].argmax(dim=1) + 1 if is_click else first
        index = (torch.arange(len(iou), device=device), chosen)
        answered = (logits[index].detach() > 0).cpu().numpy()
        clicks, labels = correcting_clicks(
            answered, (target > 0.5).cpu().numpy(), self.stride
        )
        again = self._corrected(question, clicks, labels, low_res[index].detach())
        _, logits, iou = self._ask(again)
        second, _ = mask_loss(logits, iou, target, ambiguous=False)
        return (loss + second) / 2, shown

    def _first_question(self) -> Question:
        device = self.embedding.device
        if self.crop.asks_boxes:
            boxes = torch.from_numpy(self.crop.boxes_n4).to(device)
            return Question(None, None, boxes + self._corner().repeat(2), None)
        points = torch.from_numpy(self.crop.points_n2).to(device)[:, None]
        labels = torch.ones(points.shape[:2], dtype=torch.int, device=device)
        return Question(points + self._corner(), labels, None, None)

    def _corrected(
        self,
        question: Question,
        clicks: NDArray[np.float32],
        labels: NDArray[np.bool_],
        answer_nhw: Tensor,
    ) -> Question:
        device = self.embedding.device
        points = torch.from_numpy(clicks).to(device)[:, None] + self._corner()
        answers = torch.from_numpy(labels).to(device).int()[:, None]
        if question.points_nk2 is not None and question.labels_nk is not None:
            points = torch.cat([question.points_nk2, points], dim=1)
            answers = torch.cat([question.labels_nk, answers], dim=1)
        return Question(points, answers, question.boxes_n4, answer_nhw[:, None])

    def _corner(self) -> Tensor:
        """Where the crop's first pixel lies in the window, (x, y)."""
        row, column = self.place
        corner = torch.tensor([column, row], device=self.embedding.device)
        return corner * float(EMBEDDING_STRIDE)

    def _ask(self, question: Question) -> tuple[Tensor, Tensor, Tensor]:
        """Low-resolution logits, logits at the loss's size, expected IoUs."""
        encoder = self.sam.prompt_encoder
        points = None
        if question.points_nk2 is not None and question.labels_nk is not None:
            points = (question.points_nk2, question.labels_nk)
        sparse, _ = encoder(points, question.boxes_n4, None)
        row, column = self.place
        h, w = self.embedding.shape[-2:]
        positions = encoder.get_dense_pe()[..., row : row + h, column : column + w]
        with torch.autocast(self.embedding.device.type, torch.bfloat16):
            if question.masks_n1hw is None:
                dense = encoder.no_mask_embed.weight[:, :, None, None]
            else:
                dense = encoder.mask_downscaling(question.masks_n1hw)
            low_res, iou = self.sam.mask_decoder.all_masks(
                self.embedding, positions, sparse, dense.expand(len(sparse), -1, h, w)
            )
        low_res = low_res.float()
        logits = F.interpolate(
            low_res, scale_factor=LOW_RES_STRIDE / self.stride, mode="bilinear"
        )
        return low_res, logits, iou.float()


def correcting_clicks(
    masks_nhw: NDArray[np.bool_], targets_nhw: NDArray[np.bool_], stride: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A random wrong pixel of each answer, and whether it is object.

    Parameters
    ----------
    masks_nhw, targets_nhw
        Answers and right answers; where they agree, an object pixel is taken.
    stride
        Pixels of the crop in one of theirs.

    Returns
    -------
    (n, 2) points (x, y) in pixels of the crop, and (n,) labels.
    """
    rng = np.random.default_rng(int(masks_nhw.sum()))
    clicks, labels = [], []
    for mask, target in zip(masks_nhw, targets_nhw, strict=True):
        wrong = np.argwhere(mask != target)
        if not len(wrong):
            wrong = np.argwhere(target)
        row, column = wrong[rng.integers(len(wrong))] if len(wrong) else (0, 0)
        clicks.append((column * stride + stride // 2, row * stride + stride // 2))
        labels.append(bool(target[row, column]))
    return np.array(clicks, dtype=np.float32), np.array(labels)
