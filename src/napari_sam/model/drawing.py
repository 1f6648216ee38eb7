"""Low-resolution logits -> masks, where they can be something.

Enlarging every answer to the whole window costs more than all else in a window of
everything. Bilinear enlarging mixes a pixel from at most a few low-resolution ones,
with weights that add up to 1, so that a pixel is above a threshold only where one of
those is. Hence only the part of a mask that touches logits above the looser of the
two cuts of the stability is ever enlarged, and nothing is lost:

    low resolution         window
    . . . . . .            +-----------+     rows and columns of the window that
    . . 3 5 . .     ->     |  [#####]  |     see one of the numbers: drawn; every
    . . 4 2 . .            |  [#####]  |     other pixel is outside
    . . . . . .            +-----------+

Enlarging twice (to the padded square, from there to the window) is one matrix for the
rows and one for the columns. Masks are grouped by the size of what is drawn, rounded
up to a power of 2, and each group is drawn at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.point_masks import PointMasks, PointQuery, boxes_of, pack

SMALLEST_GROUP = 32  # pixels of a side
NUMBERS_AT_ONCE = 2**23  # of one intermediate array; 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class AxisScaling:
    """How one axis of the window is mixed from low-resolution pixels.

    Parameters
    ----------
    matrix_ok
        (window's pixels, low-resolution pixels), rows add up to 1.
    first_o, last_o
        The first and the last low-resolution pixel that each pixel is mixed from.
    """

    matrix_ok: Tensor
    first_o: Tensor
    last_o: Tensor

    @classmethod
    def between(cls, low: int, padded: int, resized: int, size: int) -> AxisScaling:
        """The axis that `postprocess_masks` enlarges: low -> padded, cut, -> size."""
        unit = torch.eye(low).view(low, 1, 1, low).expand(low, 1, 2, low)
        wide = F.interpolate(unit, (2, padded), mode="bilinear")[..., :resized]
        matrix_ko = F.interpolate(wide, (2, size), mode="bilinear")[:, 0, 0]
        used = (matrix_ko > 0).to(torch.uint8).T
        last_o = low - 1 - used.flip(1).argmax(dim=1)
        return cls(matrix_ko.T.contiguous(), used.argmax(dim=1), last_o)

    def to(self, device: torch.device) -> AxisScaling:
        """The same on a device."""
        return AxisScaling(
            self.matrix_ok.to(device), self.first_o.to(device), self.last_o.to(device)
        )

    def span(self, wanted_nk: Tensor) -> tuple[Tensor, Tensor]:
        """Start and length of the pixels that see a wanted low-resolution one.

        The length is rounded up to a power of 2, at most the whole axis.
        """
        wanted = wanted_nk.to(torch.uint8)
        first = wanted.argmax(dim=1)
        last = wanted.shape[1] - 1 - wanted.flip(1).argmax(dim=1)
        start = torch.searchsorted(self.last_o, first)
        stop = torch.searchsorted(self.first_o, last, right=True)
        whole = len(self.first_o)
        length = torch.full_like(start, min(SMALLEST_GROUP, whole))
        while (short := length < stop - start).any():
            length = torch.where(short, (2 * length).clamp(max=whole), length)
        return torch.minimum(start, whole - length), length

    def rows(self, starts_n: Tensor, length: int) -> Tensor:
        """The part of the matrix for each of n spans, (n, length, k)."""
        steps = torch.arange(length, device=starts_n.device)
        return self.matrix_ok[starts_n[:, None] + steps]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Low-resolution logits (n, h, w), expected IoUs (n,), indices of clicks (n,)."""

    logits_nhw: Tensor
    scores_n: Tensor
    clicks_n: Tensor


def draw_masks(
    answers: Answers,
    axes: tuple[AxisScaling, AxisScaling],
    threshold: float,
    query: PointQuery,
) -> PointMasks:
    """Draw answers over the window, and keep those that are stable enough.

    Parameters
    ----------
    answers
        Of clicks in one window.
    axes
        Of its rows and of its columns.
    threshold
        Logits above it are inside.
    query
        Says what is stable enough.
    """
    loose = answers.logits_nhw > threshold - query.stability_offset
    starts_y, lengths_y = axes[0].span(loose.any(dim=2))
    starts_x, lengths_x = axes[1].span(loose.any(dim=1))
    sizes = torch.stack([lengths_y, lengths_x], dim=1)
    starts = torch.stack([starts_y, starts_x], dim=1)
    low = max(answers.logits_nhw.shape[1:])
    parts, places = [], []
    for height, width in torch.unique(sizes, dim=0).tolist():
        group = ((lengths_y == height) & (lengths_x == width)).nonzero()[:, 0]
        count = max(NUMBERS_AT_ONCE // (max(height, width) * max(width, low)), 1)
        for some in group.split(count):
            found, kept = _draw_group(
                answers, some, (starts[some], height, width), axes, (threshold, query)
            )
            parts.append(found)
            places.append(some[kept].cpu().numpy())
    order = np.argsort(np.concatenate(places)) if places else np.zeros(0, np.int64)
    return PointMasks.joined(parts).take(order)


def _draw_group(
    answers: Answers,
    some: Tensor,
    where: tuple[Tensor, int, int],
    axes: tuple[AxisScaling, AxisScaling],
    cut: tuple[float, PointQuery],
) -> tuple[PointMasks, Tensor]:
    """Draw masks whose parts have one size; also which of them were kept."""
    starts_n2, height, width = where
    threshold, query = cut
    rows = axes[0].rows(starts_n2[:, 0], height)
    columns = axes[1].rows(starts_n2[:, 1], width)
    logits = rows @ answers.logits_nhw[some] @ columns.mT
    tight = (logits > threshold + query.stability_offset).sum(dim=(1, 2))
    loose = (logits > threshold - query.stability_offset).sum(dim=(1, 2))
    stability = tight / loose.clamp(min=1)
    kept = torch.ones_like(stability, dtype=torch.bool)
    if query.min_stability > 0:
        kept = stability >= query.min_stability
    masks = (logits[kept] > threshold).cpu().numpy()
    boxes = boxes_of(masks)
    packed = pack(masks, boxes)
    offsets = starts_n2[kept].cpu().numpy()
    boxes += np.tile(offsets, 2) * (boxes[:, 2:3] > 0)
    return (
        PointMasks(
            answers.clicks_n[some[kept]].cpu().numpy(),
            answers.scores_n[some[kept]].cpu().numpy(),
            stability[kept].cpu().numpy(),
            boxes,
            packed,
        ),
        kept,
    )
