"""Low-resolution logits -> masks, enlarged only where there can be one.

Enlarging all masks of a grid of clicks to the whole window costs more than all else
there. Bilinear enlarging mixes a pixel from at most a few low-resolution ones, with
weights that add up to 1, so that a pixel is above a threshold only where one of those
is. The window is cut into patches of 64 x 64 pixels, and of each mask only the patches
that see a logit above the looser of the two cuts of the stability score are ever
enlarged; nothing is lost:

    low resolution         window
    . . . . . .            +----+----+----+     each patch knows which of the low-
    . . 3 5 . .     ->     |    |####|##  |     resolution pixels it is mixed from;
    . . 4 2 . .            +----+----+----+     every patch that is not drawn is
    . . . . . .            |    |    |    |     outside of the mask

Enlarging twice (to the padded square, from there to the window) is one small matrix
for the rows and one for the columns of a patch. The patches of all masks are alike,
so they are drawn together, as many at a time as stay in a processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.window_model import (
    PointMasks,
    PointQuery,
    boxes_around,
    portions,
)

PATCH = 64  # pixels along a side; a multiple of 8
PATCHES_AT_ONCE = {"cpu": 128}
"""That are enlarged together: 2 MB of logits. A GPU takes more to be busy."""
PATCHES_AT_ONCE_ON_GPU = 4096
PATCHES_KEPT = 8192
"""Of which the pixels wait to become masks, in 32 MB; at least those of one mask."""

LANES = 8  # bytes of an int64, which are added up as one number
MOST_IN_LANE = 255


@dataclass(frozen=True, slots=True, eq=False)
class AxisScaling:
    """How each patch along one axis of the window is mixed from low resolution.

    Parameters
    ----------
    size
        Of the window along the axis, pixels; the last patch may go beyond it.
    starts_p
        The first low-resolution pixel that each of p patches sees.
    matrices_pok
        (patches, pixels of the patch, low-resolution pixels that are seen): the rows
        of pixels of the window add up to 1, those beyond it are 0.
    """

    size: int
    starts_p: Tensor
    matrices_pok: Tensor

    @staticmethod
    def between(low: int, padded: int, resized: int, size: int) -> AxisScaling:
        """The axis that `postprocess_masks` enlarges: low -> padded, cut, -> size."""
        return _scaling(low, padded, resized, size)

    def to(self, device: torch.device) -> AxisScaling:
        """The same on a device."""
        return AxisScaling(
            self.size, self.starts_p.to(device), self.matrices_pok.to(device)
        )

    @property
    def seen_pk(self) -> Tensor:
        """Which low-resolution pixels each patch sees."""
        steps = torch.arange(self.matrices_pok.shape[2], device=self.starts_p.device)
        return self.starts_p[:, None] + steps

    @property
    def rest(self) -> int:
        """Pixels of the last patch that are in the window."""
        return self.size - (len(self.starts_p) - 1) * PATCH


@dataclass(frozen=True, slots=True, eq=False)
class PointLogits:
    """Low-resolution logits (n, h, w), predicted IoUs (n,), indices of clicks (n,)."""

    logits_nhw: Tensor
    scores_n: Tensor
    clicks_n: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Patches:
    """The q patches of n masks that may hold something, mask by mask.

    Parameters
    ----------
    masks_q, rows_q, columns_q
        Which mask's, and where in the window, in patches.
    pixels_qyx
        Whether a pixel is inside.
    tight_n, loose_n
        Pixels of each mask above the two cuts.
    row_seen_niy, column_seen_njx
        Above 0 in the rows and columns of the window, by patch, in which a mask has a
        pixel.
    """

    masks_q: Tensor
    rows_q: Tensor
    columns_q: Tensor
    pixels_qyx: Tensor
    tight_n: Tensor
    loose_n: Tensor
    row_seen_niy: Tensor
    column_seen_njx: Tensor


def draw_masks(
    logits: PointLogits,
    axes: tuple[AxisScaling, AxisScaling],
    threshold: float,
    query: PointQuery,
) -> PointMasks:
    """Draw masks over the window, and keep those that are stable enough.

    Parameters
    ----------
    logits
        Of the masks of clicks in one window.
    axes
        Of its rows and of its columns.
    threshold
        Logits above it are inside.
    query
        Says what is stable enough.

    Returns
    -------
    PointMasks
        In the order of the logits.
    """
    looser = threshold - query.stability_score_offset
    busy_nij = _may_hold(logits.logits_nhw, axes, looser)
    parts = []
    for some in portions(busy_nij.sum(dim=(1, 2)).tolist(), PATCHES_KEPT):
        drawn = _drawn(
            logits.logits_nhw[some], busy_nij[some], axes, (threshold, query)
        )
        scores_n = drawn.tight_n / drawn.loose_n.clamp(min=1)
        kept = torch.ones_like(scores_n, dtype=torch.bool)
        if query.min_stability_score > 0:
            kept = scores_n >= query.min_stability_score
        boxes, packed = _boxes_and_bits(drawn, kept)
        parts.append(
            PointMasks(
                logits.clicks_n[some][kept].cpu().numpy(),
                logits.scores_n[some][kept].float().cpu().numpy(),
                scores_n[kept].cpu().numpy(),
                boxes,
                packed,
            )
        )
    return PointMasks.joined(parts)


@lru_cache(maxsize=64)
def _scaling(low: int, padded: int, resized: int, size: int) -> AxisScaling:
    unit = torch.eye(low).view(low, 1, 1, low).expand(low, 1, 2, low)
    wide = F.interpolate(unit, (2, padded), mode="bilinear")[..., :resized]
    matrix_ko = F.interpolate(wide, (2, size), mode="bilinear")[:, 0, 0]
    count = -(-size // PATCH)
    matrix_pok = F.pad(matrix_ko, (0, count * PATCH - size)).T.view(count, PATCH, low)
    used_pk = (matrix_pok > 0).any(dim=1).to(torch.uint8)
    first, last = used_pk.argmax(dim=1), low - 1 - used_pk.flip(1).argmax(dim=1)
    length = int((last - first).max()) + 1
    starts_p = first.clamp(max=low - length)
    seen_pk = starts_p[:, None] + torch.arange(length)
    seen_pok = seen_pk[:, None].expand(count, PATCH, length)
    return AxisScaling(size, starts_p, matrix_pok.gather(2, seen_pok).contiguous())


def _may_hold(
    logits_nhw: Tensor, axes: tuple[AxisScaling, AxisScaling], cut: float
) -> Tensor:
    """Whether each patch (n, i, j) sees any logit above the cut."""
    above_nhw = logits_nhw > cut
    seen = axes[0].matrices_pok.shape[2]
    rows_niw = torch.stack(
        [
            _column_counts(above_nhw[:, start : start + seen]) > 0
            for start in axes[0].starts_p.tolist()
        ],
        dim=1,
    )
    return rows_niw[..., axes[1].seen_pk].any(dim=-1)


def _drawn(
    logits_nhw: Tensor,
    busy_nij: Tensor,
    axes: tuple[AxisScaling, AxisScaling],
    cut: tuple[float, PointQuery],
) -> _Patches:
    """Enlarge the patches that may hold something."""
    masks_q, rows_q, columns_q = busy_nij.nonzero().unbind(dim=1)
    count, device = len(busy_nij), logits_nhw.device
    patches = _Patches(
        masks_q,
        rows_q,
        columns_q,
        torch.empty(len(masks_q), PATCH, PATCH, dtype=torch.bool, device=device),
        torch.zeros(count, dtype=torch.int64, device=device),
        torch.zeros(count, dtype=torch.int64, device=device),
        *(
            torch.zeros(
                count, len(axis.starts_p), PATCH, dtype=torch.int32, device=device
            )
            for axis in axes
        ),
    )
    step = PATCHES_AT_ONCE.get(device.type, PATCHES_AT_ONCE_ON_GPU)
    for start in range(0, len(masks_q), step):
        _draw_some(patches, slice(start, start + step), logits_nhw, axes, cut)
    return patches


def _draw_some(
    patches: _Patches,
    some: slice,
    logits_nhw: Tensor,
    axes: tuple[AxisScaling, AxisScaling],
    cut: tuple[float, PointQuery],
) -> None:
    """Enlarge some patches, and add up what is seen in them."""
    threshold, query = cut
    masks, rows, columns = (
        index[some] for index in (patches.masks_q, patches.rows_q, patches.columns_q)
    )
    low_qkl = logits_nhw[
        masks[:, None, None],
        axes[0].seen_pk[rows][:, :, None],
        axes[1].seen_pk[columns][:, None, :],
    ].float()
    logits_qyx = axes[0].matrices_pok[rows] @ low_qkl @ axes[1].matrices_pok[columns].mT
    # Beyond the window is nothing, which is not the same as a logit of 0.
    logits_qyx[rows == len(axes[0].starts_p) - 1, axes[0].rest :] = -torch.inf
    logits_qyx[columns == len(axes[1].starts_p) - 1, :, axes[1].rest :] = -torch.inf
    for counts_n, level in (
        (patches.tight_n, threshold + query.stability_score_offset),
        (patches.loose_n, threshold - query.stability_score_offset),
    ):
        counts_n.index_add_(0, masks, _column_counts(logits_qyx > level).sum(dim=1))
    pixels = torch.gt(logits_qyx, threshold, out=patches.pixels_qyx[some])
    seen_qx = (_column_counts(pixels) > 0).int()
    seen_qy = (pixels.view(torch.int64).sum(dim=2) != 0).int()
    patches.row_seen_niy.index_put_((masks, rows), seen_qy, accumulate=True)
    patches.column_seen_njx.index_put_((masks, columns), seen_qx, accumulate=True)


def _column_counts(above_nhw: Tensor) -> Tensor:
    """How many of each column's rows are set, (n, w); eight columns at a time."""
    height, width = above_nhw.shape[1:]
    if height > MOST_IN_LANE or width % LANES:
        return above_nhw.sum(dim=1)
    return above_nhw.view(torch.int64).sum(dim=1).view(torch.uint8)


def _boxes_and_bits(
    patches: _Patches, kept_n: Tensor
) -> tuple[NDArray[np.int64], tuple[NDArray[np.uint8], ...]]:
    """What `PointMasks` keeps of the masks that are kept."""
    boxes_n4 = boxes_around(
        *(
            (seen[kept_n] > 0).flatten(1).cpu().numpy()
            for seen in (patches.row_seen_niy, patches.column_seen_njx)
        )
    )
    wanted_q = kept_n[patches.masks_q]
    pixels_qyx = patches.pixels_qyx[wanted_q].cpu().numpy()
    masks, rows, columns = (
        index[wanted_q].cpu().numpy()
        for index in (patches.masks_q, patches.rows_q, patches.columns_q)
    )
    ends = np.searchsorted(masks, np.flatnonzero(kept_n.cpu().numpy()), side="right")
    starts = [0, *ends.tolist()][: len(ends)]
    packed = []
    for start, stop, box in zip(starts, ends.tolist(), boxes_n4.tolist(), strict=True):
        some = slice(start, stop)
        packed.append(_bits(pixels_qyx[some], rows[some], columns[some], box))
    return boxes_n4, tuple(packed)


def _bits(
    pixels_qyx: NDArray[np.bool_],
    rows_q: NDArray[np.int64],
    columns_q: NDArray[np.int64],
    box: list[int],
) -> NDArray[np.uint8]:
    """The bits of one mask inside its box, put together from its patches."""
    y0, x0, y1, x1 = box
    if y1 == 0:
        return np.zeros(0, dtype=np.uint8)
    i0, j0 = rows_q.min(), columns_q.min()
    height, width = rows_q.max() - i0 + 1, columns_q.max() - j0 + 1
    mask_iyjx = np.zeros((height, PATCH, width, PATCH), dtype=bool)
    mask_iyjx[rows_q - i0, :, columns_q - j0] = pixels_qyx
    mask = mask_iyjx.reshape(height * PATCH, width * PATCH)
    y, x = i0 * PATCH, j0 * PATCH
    return np.packbits(mask[y0 - y : y1 - y, x0 - x : x1 - x])
