"""A model that knows objects by their gray, and how other processes load it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from napari_sam.evaluation import ModelSource
from napari_sam.geometry import Box
from napari_sam.model.window_model import WindowMask
from napari_sam.prompts import BoxPrompt, Click, Prompt


@dataclass
class Colourist:
    """Shows what has the gray that is pointed at, but only from some click on."""

    needs: int = 1
    window_size: int = 512
    fingerprint: str = "colourist"
    encodes: int = 0
    asked: list[Sequence[Prompt]] = field(default_factory=list)

    def encode(self, pixels_hwc: np.ndarray) -> np.ndarray:
        self.encodes += 1
        return pixels_hwc[..., 0]

    def predict(
        self, gray_hw: np.ndarray, prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        self.asked.append(prompts)
        clicks = [p for p in prompts if isinstance(p, Click)]
        boxes = [p.box for p in prompts if isinstance(p, BoxPrompt)]
        if boxes:
            box = boxes[0].clip(Box.of_shape(gray_hw.shape))
            inside = gray_hw[box.slices]
            gray = int(np.bincount(inside[inside > 0]).argmax())
            clicked = gray_hw == gray
        else:
            (row, column) = next(c.pixel for c in clicks if c.positive)
            islands, _ = ndimage.label(gray_hw == gray_hw[row, column])
            clicked = islands == islands[row, column]
            if gray_hw[row, column] == 0:
                clicked = np.zeros_like(clicked)
        whole = bool(boxes) or len(clicks) >= self.needs
        if not whole:
            # Down to the lowest click.
            clicked = clicked.copy()
            clicked[max(c.pixel[0] for c in clicks) + 1 :] = False
        # Logits are small, as SAM's own are: what refines a mask is a quarter in size.
        logits = np.where(clicked, 8.0, -8.0).astype(np.float32)
        return [WindowMask(clicked, 0.9 if whole else 0.5, logits)]


@dataclass(frozen=True, slots=True)
class ColouristSource(ModelSource):
    """Loads without torch; a process that is not the first may be made to die."""

    dies: bool = False

    def load(self, threads: int | None = None) -> Colourist:
        if self.dies and threads is not None:
            os._exit(9)
        return Colourist(needs=2)
