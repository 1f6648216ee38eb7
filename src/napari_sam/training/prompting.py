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

from napari_sam.evaluation.clicks import correcting_click
from napari_sam.model.build import EMBEDDING_STRIDE
from napari_sam.model.sam import Sam
from napari_sam.training.crops import Crop
from napari_sam.training.losses import mask_loss

LOW_RES_STRIDE = 4  # pixels of the crop in one of the decoder's logits
CENTRE_SHARE = 0.5
"""Of the correcting clicks: at the centre of the largest wrong region, as evaluation
and careful users click; the others are anywhere where the answer is wrong."""


@dataclass(frozen=True, slots=True)
class Question:
    """Prompts about n objects on one embedding, in pixels of the window."""

    points_nk2: Tensor | None  # (x, y)
    labels_nk: Tensor | None  # 1 on the object, 0 off it
    boxes_n4: Tensor | None
    masks_n1hw: Tensor | None = None  # low-resolution logits of the answer before


@dataclass(frozen=True, slots=True)
class Answer:
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
class CropLesson:
    """One crop's embedding, what is asked about it, and the right answers.

    Parameters
    ----------
    sam
        The network.
    embedding
        (1, c, h, w), of the crop, or of a window whose first corner it fills.
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
        masks = torch.from_numpy(self.crop.masks_nhw).to(self.embedding.device)
        target = F.avg_pool2d(masks.float()[:, None], self.stride)[:, 0]
        question = self.first_question()
        ambiguous = question.boxes_n4 is None
        answer = self.ask(question)
        loss, shown = mask_loss(
            answer.logits_nmhw, answer.iou_nm, target, ambiguous=ambiguous
        )
        for _ in range(corrections):
            question = self._corrected(question, answer, target, ambiguous, rng)
            ambiguous = False
            answer = self.ask(question)
            again, _ = mask_loss(
                answer.logits_nmhw, answer.iou_nm, target, ambiguous=False
            )
            loss = loss + again
        return loss / (1 + corrections), shown

    def first_question(self) -> Question:
        """The crop's boxes, or its points."""
        if self.crop.asks_boxes:
            return self.box_question(self.crop.boxes_n4)
        return self.point_question(self.crop.points_n2)

    def box_question(self, boxes_n4: NDArray[np.float32]) -> Question:
        """Boxes, in pixels of the crop."""
        boxes = torch.from_numpy(boxes_n4).to(self.embedding.device)
        return Question(None, None, boxes + self._corner().repeat(2))

    def point_question(self, points_n2: NDArray[np.float32]) -> Question:
        """A click on each object, (x, y) in pixels of the crop."""
        points = torch.from_numpy(points_n2).to(self.embedding.device)[:, None]
        labels = torch.ones(points.shape[:2], dtype=torch.int, device=points.device)
        return Question(points + self._corner(), labels, None)

    def ask(self, question: Question) -> Answer:
        """The decoder's answers, without the part of the window around the crop."""
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
        side = self.crop.image_chw.shape[-1] // LOW_RES_STRIDE
        logits = F.interpolate(
            low_res[..., :side, :side],
            scale_factor=LOW_RES_STRIDE / self.stride,
            mode="bilinear",
        )
        return Answer(low_res, logits, iou.float())

    def _corrected(
        self,
        question: Question,
        answer: Answer,
        target: Tensor,
        ambiguous: bool,
        rng: np.random.Generator,
    ) -> Question:
        """The question with one more click, about what a user would see."""
        device = self.embedding.device
        index = answer.shown(ambiguous=ambiguous)
        answered = (answer.logits_nmhw[index].detach() > 0).cpu().numpy()
        wanted = (target > 0.5).cpu().numpy()
        clicks, positive = correcting_clicks(answered, wanted, self.stride, rng)
        points = torch.from_numpy(clicks).to(device)[:, None] + self._corner()
        labels = torch.from_numpy(positive).to(device).int()[:, None]
        if question.points_nk2 is not None and question.labels_nk is not None:
            points = torch.cat([question.points_nk2, points], dim=1)
            labels = torch.cat([question.labels_nk, labels], dim=1)
        before = answer.low_res_nmhw[index].detach()[:, None]
        return Question(points, labels, question.boxes_n4, before)

    def _corner(self) -> Tensor:
        """Where the crop's first pixel lies in the window, (x, y)."""
        row, column = self.place
        corner = torch.tensor([column, row], device=self.embedding.device)
        return corner * float(EMBEDDING_STRIDE)


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
