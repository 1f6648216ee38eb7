"""What a mask decoder would answer to a grid of clicks on a window full of cells.

Low-resolution logits of round cells, made without a network: a click on a cell gets a
part of it, the cell and a blurred neighbourhood, one beside all cells gets what lies
between them. Post-processing is then measured alone, on masks of the sizes and scores
that a window of everything has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

LOW = 256  # pixels along a side of the logits
WINDOW = 1024
CELLS = 300
RADII = (4.0, 12.0)  # of a cell, in low-resolution pixels: 16 to 48 of the window
STEEPNESS = 18.0  # logits a pixel that an outline rises by
SCALES = (0.6, 1.0, 1.8)  # a part, the cell, its neighbourhood
SURE = ((0.75, 0.95), (0.85, 1.0), (0.70, 0.95))  # scores of these, from and to


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Ellipses in a window: centres, half axes and turns."""

    centres_n2: Tensor
    radii_n2: Tensor
    turns_n: Tensor

    @classmethod
    def spread(cls, random: torch.Generator) -> Cells:
        """Cells at random places, also one on another."""
        low, high = RADII
        return cls(
            torch.rand(CELLS, 2, generator=random) * LOW,
            low + torch.rand(CELLS, 2, generator=random) * (high - low),
            torch.rand(CELLS, generator=random) * np.pi,
        )

    def under(self, points_yx: Tensor) -> Tensor:
        """Index of the cell that each point lies on, -1 where it lies beside all."""
        apart = torch.cdist(points_yx, self.centres_n2) / self.radii_n2.amax(dim=1)
        nearest = apart.min(dim=1)
        return torch.where(nearest.values < 1, nearest.indices, -1)

    def logits(self, index: int, scale: float) -> Tensor:
        """Of one cell, drawn that much larger."""
        steps = torch.arange(LOW, dtype=torch.float32)
        centre, radii = self.centres_n2[index], self.radii_n2[index] * scale
        dy, dx = (steps - centre[0])[:, None], (steps - centre[1])[None]
        cos, sin = self.turns_n[index].cos(), self.turns_n[index].sin()
        distance = torch.hypot(
            (cos * dx + sin * dy) / radii[0], (cos * dy - sin * dx) / radii[1]
        )
        return (1 - distance) * radii.min() * STEEPNESS


@dataclass(frozen=True, slots=True, eq=False)
class DecoderAnswers:
    """Of p clicks: logits (p, 3, h, w) at low resolution, scores (p, 3)."""

    logits_pmhw: Tensor
    scores_pm: Tensor


def decoder_answers(clicks_along: int, seed: int = 0) -> DecoderAnswers:
    """Answers to a square grid of clicks."""
    random = torch.Generator().manual_seed(seed)
    cells = Cells.spread(random)
    noise = torch.randn(1, 1, 32, 32, generator=random)
    texture = 1.5 * F.interpolate(noise, (LOW, LOW), mode="bicubic")[0, 0]
    steps = (torch.arange(clicks_along) + 0.5) * LOW / clicks_along
    points = torch.cartesian_prod(steps, steps)
    logits = torch.empty(len(points), 3, LOW, LOW)
    ranges = torch.tensor(SURE)
    unsure = 0.4 + 0.53 * torch.rand(len(points), 3, generator=random)
    sure = ranges[:, 0] + ranges.diff(dim=1)[:, 0] * torch.rand(
        len(points), 3, generator=random
    )
    between = (6 * texture - 3).clamp(-25, 25)
    found = cells.under(points)
    for place, index in enumerate(found.tolist()):
        if index < 0:
            logits[place] = torch.stack([between, -between, 0.5 * between + 2])
            continue
        drawn = torch.stack([cells.logits(index, scale) for scale in SCALES])
        logits[place] = (drawn + 2 * texture).clamp(-25, 25)
    scores = torch.where((found >= 0)[:, None], sure, unsure)
    return DecoderAnswers(logits, scores)
