"""Prompts in the pixels of a window -> the tensors that the prompt encoder takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.errors import PromptError
from napari_sam.model.transforms import WindowFrame
from napari_sam.prompts import (
    MASK_PROMPT_LOGIT,
    BoxPrompt,
    Click,
    MaskPrompt,
    Prompt,
    sam_box,
    sam_points,
)


@dataclass(frozen=True, slots=True, eq=False)
class PromptTensors:
    """All prompts about one object; None where there are none of a kind.

    Parameters
    ----------
    points
        (1, n, 2) x, y in pixels of the padded image, and (1, n) labels.
    boxes
        (1, 4) x0, y0, x1, y1 in the same pixels.
    masks
        (1, 1, side, side) logits.
    """

    points: tuple[Tensor, Tensor] | None
    boxes: Tensor | None
    masks: Tensor | None

    @classmethod
    def of(
        cls,
        prompts: Sequence[Prompt],
        frame: WindowFrame,
        mask_side: int,
        device: torch.device,
    ) -> Self:
        """Turn prompts in a window's pixels; `mask_side` is that of mask prompts."""
        if not prompts:
            raise PromptError("A model needs at least one prompt, got none.")
        clicks = [prompt for prompt in prompts if isinstance(prompt, Click)]
        boxes = [prompt for prompt in prompts if isinstance(prompt, BoxPrompt)]
        masks = [prompt for prompt in prompts if isinstance(prompt, MaskPrompt)]
        points_tensor = box_tensor = mask_tensor = None
        if clicks:
            xy, labels = _points(clicks, frame)
            points_tensor = (xy.to(device), labels.to(device))
        if boxes:
            box_tensor = _box(boxes, frame).to(device)
        if masks:
            mask_tensor = _mask(masks, frame, mask_side).to(device)
        return cls(points_tensor, box_tensor, mask_tensor)


def _points(clicks: list[Click], frame: WindowFrame) -> tuple[Tensor, Tensor]:
    points_xy, labels = sam_points(clicks)
    centres = frame.centres(points_xy).astype(np.float32)
    return torch.from_numpy(centres)[None], torch.from_numpy(labels)[None]


def _box(boxes: list[BoxPrompt], frame: WindowFrame) -> Tensor:
    """The one box, (1, 4), of an object that lies in all that the boxes cover."""
    corners = np.stack([sam_box(box) for box in boxes]).reshape(-1, 2, 2)
    corners = np.stack([corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)])
    # The far corner is a pixel too: of an enlarged window, the last it fills.
    far = (corners[1] + 1) * frame.scale_xy - 1
    box = np.concatenate([corners[0] * frame.scale_xy, far]).astype(np.float32)
    return torch.from_numpy(box)[None]


def _mask(masks: list[MaskPrompt], frame: WindowFrame, mask_side: int) -> Tensor:
    """One mask of all, (1, 1, mask_side, mask_side) logits."""
    window_hw = np.full(frame.shape, -MASK_PROMPT_LOGIT, dtype=np.float32)
    for mask in masks:
        part = window_hw[mask.box.slices]
        np.maximum(part, mask.logits_hw, out=part)
    height, width = frame.resized
    filled = F.interpolate(
        torch.from_numpy(window_hw)[None, None],
        (height, width),
        mode="bilinear",
        align_corners=False,
    )
    padding = (0, frame.side - width, 0, frame.side - height)
    square = F.pad(filled, padding, value=-MASK_PROMPT_LOGIT)
    return F.interpolate(square, (mask_side,) * 2, mode="bilinear", antialias=True)
