"""What is prompted about the objects of a crop: clicks, boxes, masks, and mixtures.

All prompts of a crop have one form (how many points, a box or not, a mask or not), as
the network answers prompts of one form at a time.

| kind      | points                              | box | mask              |
|-----------|-------------------------------------|-----|-------------------|
| click     | one on the object, or on background | no  | no                |
| box       | none                                | yes | no                |
| point_box | one on it, up to six on neighbours  | yes | no                |
| mask      | none, one on it, one on a neighbour | may | see `mask_prompts`|
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.masks import deepest_point
from napari_sam.model.prompt_encoder import NOT_A_POINT
from napari_sam.training.config import Prompting
from napari_sam.training.mask_prompts import MaskForm, draw_mask_prompts

CENTRE_SHARE = 0.5
"""Of the clicks: at the object's centre rather than anywhere on it."""

NEIGHBOURS = 6
NEIGHBOUR_SHARE = 0.7
"""Of the crops with a point and a box: those that have neighbours' points too."""

NEIGHBOUR_DISTANCE = 2.0  # sides of an object (square root of its area)


class PromptKind(StrEnum):
    """What a crop's prompts are."""

    CLICK = "click"
    BOX = "box"
    POINT_BOX = "point_box"
    MASK = "mask"


@dataclass(frozen=True, slots=True)
class CropPrompts:
    """Prompts of one form about n objects, in pixels of the crop.

    Parameters
    ----------
    masks_nhw
        The right answers; empty where a click is on background.
    points_nk2, labels_nk
        (x, y), and 1 on the object, 0 off it, -1 not a point; k may be 0.
    boxes_n4
        x0, y0, x1, y1.
    logits_nhw
        Mask prompts of the decoder's size, a quarter of the crop's.
    """

    masks_nhw: NDArray[np.bool_]
    points_nk2: NDArray[np.float32]
    labels_nk: NDArray[np.int32]
    boxes_n4: NDArray[np.float32] | None = None
    logits_nhw: NDArray[np.float32] | None = None

    @classmethod
    def of_clicks(
        cls, masks_nhw: NDArray[np.bool_], points_n2: NDArray[np.float32]
    ) -> CropPrompts:
        """One click about each object."""
        labels = np.ones((len(masks_nhw), 1), dtype=np.int32)
        return cls(masks_nhw, points_n2[:, None], labels)

    @classmethod
    def of_boxes(
        cls, masks_nhw: NDArray[np.bool_], boxes_n4: NDArray[np.float32]
    ) -> CropPrompts:
        """A box about each object."""
        count = len(masks_nhw)
        points = np.zeros((count, 0, 2), dtype=np.float32)
        labels = np.zeros((count, 0), dtype=np.int32)
        return cls(masks_nhw, points, labels, boxes_n4)

    @property
    def form(self) -> tuple[int, bool, bool]:
        """Points, whether there is a box, whether there is a mask."""
        return (
            self.points_nk2.shape[1],
            self.boxes_n4 is not None,
            self.logits_nhw is not None,
        )

    @property
    def is_ambiguous(self) -> bool:
        """Whether they are single clicks, which may mean several things."""
        return self.form == (1, False, False)


def draw_prompts(
    labels_hw: NDArray[np.int32],
    chosen_n: NDArray[np.int32],
    prompting: Prompting,
    rng: np.random.Generator,
) -> CropPrompts:
    """Prompts about some of a crop's objects.

    Parameters
    ----------
    labels_hw
        Ids of the crop's objects.
    chosen_n
        Ids of those that the prompts are about.
    prompting
        How likely each kind is.
    rng
        Draws the kind and the prompts.
    """
    masks = labels_hw[None] == chosen_n[:, None, None]
    kind = _draw_kind(prompting, rng)
    if kind is PromptKind.BOX:
        return CropPrompts.of_boxes(masks, _jittered_boxes(masks, rng))
    if kind is PromptKind.POINT_BOX:
        return _points_and_boxes(labels_hw, chosen_n, masks, rng)
    if kind is PromptKind.MASK:
        return _masks(labels_hw, chosen_n, rng)
    points = np.stack([draw_click(mask, rng) for mask in masks])
    misses = rng.random(len(masks)) < prompting.background_share
    _miss(labels_hw, masks, points, np.flatnonzero(misses), rng)
    return CropPrompts.of_clicks(masks, points)


def draw_click(
    mask: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(x, y) of a point on the object."""
    if rng.random() < CENTRE_SHARE:
        row, column = deepest_point(mask)
        return np.array([column, row], dtype=np.float32)
    rows, columns = np.nonzero(mask)
    i = rng.integers(rows.size)
    return np.array([columns[i], rows[i]], dtype=np.float32)


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """x0, y0, x1, y1 of the outermost pixels of an object."""
    rows, columns = np.nonzero(mask)
    corners = [columns.min(), rows.min(), columns.max(), rows.max()]
    return np.array(corners, dtype=np.float32)


def _draw_kind(prompting: Prompting, rng: np.random.Generator) -> PromptKind:
    shares = {
        PromptKind.BOX: prompting.box_share,
        PromptKind.POINT_BOX: prompting.point_box_share,
        PromptKind.MASK: prompting.mask_share,
    }
    place = rng.random()
    for kind, share in shares.items():
        if place < share:
            return kind
        place -= share
    return PromptKind.CLICK


def _points_and_boxes(
    labels: NDArray[np.int32],
    chosen: NDArray[np.int32],
    masks: NDArray[np.bool_],
    rng: np.random.Generator,
) -> CropPrompts:
    """As an automatic run prompts about what an instance decoder found."""
    points = np.stack([draw_click(mask, rng) for mask in masks])[:, None]
    answers = np.ones((len(masks), 1), dtype=np.int32)
    boxes = _jittered_boxes(masks, rng)
    if rng.random() < NEIGHBOUR_SHARE:
        off = [
            _neighbours(labels, number, mask, rng)
            for number, mask in zip(chosen, masks, strict=True)
        ]
        points = np.concatenate([points, np.stack([xy for xy, _ in off])], axis=1)
        answers = np.concatenate([answers, np.stack([x for _, x in off])], axis=1)
    return CropPrompts(masks, points, answers, boxes)


def _neighbours(
    labels: NDArray[np.int32],
    number: int,
    mask: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """(NEIGHBOURS, 2) points on objects around one, and (NEIGHBOURS,) labels."""
    points = np.zeros((NEIGHBOURS, 2), dtype=np.float32)
    answers = np.full(NEIGHBOURS, NOT_A_POINT, dtype=np.int32)
    margin = int(NEIGHBOUR_DISTANCE * np.sqrt(mask.sum()))
    x0, y0, x1, y1 = tight_box(mask).astype(int)
    top, left = max(y0 - margin, 0), max(x0 - margin, 0)
    around = labels[top : y1 + margin + 1, left : x1 + margin + 1]
    others = np.setdiff1d(around, [0, number])
    for i, other in enumerate(rng.permutation(others)[:NEIGHBOURS]):
        points[i] = draw_click(around == other, rng) + np.array([left, top])
        answers[i] = 0
    return points, answers


def _masks(
    labels: NDArray[np.int32], chosen: NDArray[np.int32], rng: np.random.Generator
) -> CropPrompts:
    form = MaskForm.draw(rng)
    drawn = [draw_mask_prompts(labels, int(x), form, rng) for x in chosen]
    count = len(drawn)
    points = np.zeros((count, form.on + form.off, 2), dtype=np.float32)
    answers = np.full(points.shape[:2], NOT_A_POINT, dtype=np.int32)
    for i, prompt in enumerate(drawn):
        if form.on:
            points[i, 0], answers[i, 0] = draw_click(prompt.inside, rng), 1
        if form.off and prompt.outside is not None:
            points[i, -1], answers[i, -1] = draw_click(prompt.outside, rng), 0
    boxes = np.stack([tight_box(x.shown) for x in drawn]) if form.box else None
    return CropPrompts(
        np.stack([x.wanted for x in drawn]),
        points,
        answers,
        boxes,
        np.stack([x.logits for x in drawn]),
    )


def _miss(
    labels: NDArray[np.int32],
    masks: NDArray[np.bool_],
    points: NDArray[np.float32],
    misses: NDArray[np.intp],
    rng: np.random.Generator,
) -> None:
    """Move some of the clicks off every object; their masks become empty."""
    if not misses.size:
        return
    near = ndimage.binary_dilation(labels > 0, iterations=2)
    rows, columns = np.nonzero(~near)
    if not rows.size:
        return
    for n in misses:
        i = rng.integers(rows.size)
        points[n] = columns[i], rows[i]
        masks[n] = False


def _jittered_boxes(
    masks: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Boxes around objects whose sides are off by a tenth of the object's size.

    "Segment Anything" (2023), appendix A: noise with a standard deviation of 10 %
    of the side, at most 20 pixels.
    """
    boxes = np.stack([tight_box(mask) for mask in masks])
    sides = np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)
    noise = np.clip(rng.normal(0, 0.1, boxes.shape) * sides, -20, 20)
    limit = masks.shape[-1] - 1
    jittered: NDArray[np.float32] = np.clip(boxes + noise, 0, limit).astype(np.float32)
    return jittered
