"""Attention with a bias for positions, in slabs that a processor's cache holds.

Written out, the scores of one global block of ViT-B are 800 MB that go through memory
several times. Here a slab of them is made, normalised and used before the next one:

    scores  =  bias                (of rows + of columns, or a table)
            += q k^T / sqrt(c)     (a matrix product onto it)
    softmax in place, then times v

which computes the same numbers, but for the order of sums. In bfloat16 the products
are bfloat16; scores and softmax stay float32.

Queries, keys and values come as a linear layer makes them: maps of square windows,
(*windows, side, side, 3 * heads * c). Results are (*windows, side, side, heads, c), as
a view that is copied once, when the windows are put back together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

SLAB_BYTES = 8 * 2**20
"""Of float32 scores that are made at once: what the last cache of a core holds."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Tables that say what a query adds to its scores for where a key is.

    Parameters
    ----------
    rows_hck, columns_wck
        (side, c, side): for a query's own row (column) and a key's row (column), what
        the query is multiplied with.
    """

    rows_hck: Tensor
    columns_wck: Tensor

    @classmethod
    def of(cls, rel_pos_h: Tensor, rel_pos_w: Tensor, dtype: torch.dtype) -> Self:
        """From parameters of (2 * side - 1, c), one row for each distance."""
        return cls(_table(rel_pos_h, dtype), _table(rel_pos_w, dtype))

    def biases(self, q_ghwc: Tensor) -> tuple[Tensor, Tensor]:
        """What each query adds for a key's row and for its column: (g, h, w, side)."""
        rows = torch.matmul(q_ghwc, self.rows_hck)
        columns = torch.matmul(q_ghwc.transpose(1, 2), self.columns_wck)
        return rows, columns.transpose(1, 2)


def _table(rel_pos: Tensor, dtype: torch.dtype) -> Tensor:
    side = (len(rel_pos) + 1) // 2
    steps = torch.arange(side, device=rel_pos.device)
    offsets = steps[:, None] - steps[None, :] + side - 1
    return rel_pos.detach()[offsets].transpose(1, 2).to(dtype).contiguous()


def split_heads(qkv: Tensor, heads: int) -> Tensor:
    """(*windows, side, side, 3 * heads * c) -> (3, windows * heads, side, side, c)."""
    split = torch.unflatten(qkv, -1, (3, heads, -1))
    *_, side, across, _, _, c = split.shape
    first = split.movedim((-3, -2), (0, -4))
    return first.reshape(3, -1, side, across, c)


def join_heads(attended_ghwc: Tensor, windows: tuple[int, ...], heads: int) -> Tensor:
    """(windows * heads, side, side, c) -> (*windows, side, side, heads, c), a view."""
    return torch.unflatten(attended_ghwc, 0, (*windows, heads)).movedim(-4, -2)


def cut_windows(qkv_bhwc: Tensor, side: int, padding: Tensor) -> Tensor:
    """A map's windows, (b, rows, columns, side, side, c), a view where it can be.

    Parameters
    ----------
    qkv_bhwc
        The map.
    side
        Of a window.
    padding
        (c,), of tokens beyond the map, with which the last windows are filled up.
    """
    _, h, w, _ = qkv_bhwc.shape
    if h % side or w % side:
        whole = padding.expand(len(qkv_bhwc), h + -h % side, w + -w % side, -1).clone()
        whole[:, :h, :w] = qkv_bhwc
        qkv_bhwc = whole
    b, h, w, c = qkv_bhwc.shape
    return qkv_bhwc.view(b, h // side, side, w // side, side, c).transpose(2, 3)


def paste_windows(attended: Tensor, shape: tuple[int, int]) -> Tensor:
    """(b, rows, columns, side, side, heads, c) -> the map (b, height, width, c)."""
    h, w = shape
    b, rows, columns, side, _, heads, c = attended.shape
    whole = attended.transpose(2, 3).reshape(b, rows * side, columns * side, heads * c)
    return whole[:, :h, :w].contiguous()


def attend_by_position(qkv: Tensor, heads: int, positions: Positions) -> Tensor:
    """Self-attention of square windows, biased by rows and columns, in slabs."""
    q, k, v = split_heads(qkv, heads)
    rows, columns = (bias.float() for bias in positions.biases(q))
    groups, side, _, _ = q.shape
    tokens = side**2
    out = torch.empty_like(q)
    at_once = min(groups, max(1, SLAB_BYTES // (4 * tokens**2)))
    height = min(side, max(1, SLAB_BYTES // (4 * side * tokens)))
    slab = _Slab(at_once * height * side, tokens, q)
    for first in range(0, groups, at_once):
        part = slice(first, min(first + at_once, groups))
        keys, values = k[part].flatten(1, 2), v[part].flatten(1, 2)
        for top in range(0, side, height):
            lines = slice(top, min(top + height, side))
            scores = slab.scores(part.stop - first, (lines.stop - top) * side)
            torch.add(
                rows[part, lines, :, :, None],
                columns[part, lines, :, None, :],
                out=scores.view(-1, lines.stop - top, side, side, side),
            )
            queries, seen = (x[part, lines].flatten(1, 2) for x in (q, out))
            slab.attend(scores, (queries, keys, values), seen)
    return join_heads(out, qkv.shape[:-3], heads)


def attend_by_table(qkv: Tensor, bias_hnn: Tensor) -> Tensor:
    """Self-attention of square windows, biased by a table for each head, in slabs."""
    heads, tokens, _ = bias_hnn.shape
    q, k, v = (x.flatten(1, 2) for x in split_heads(qkv, heads))
    groups = len(q)
    at_once = min(groups, heads * max(1, SLAB_BYTES // (4 * heads * tokens**2)))
    out = torch.empty_like(q)
    slab = _Slab(at_once * tokens, tokens, q)
    for first in range(0, groups, at_once):
        part = slice(first, min(first + at_once, groups))
        scores = slab.scores(part.stop - first, tokens)
        scores.view(-1, heads, tokens, tokens).copy_(bias_hnn)
        slab.attend(scores, (q[part], k[part], v[part]), out[part])
    side = qkv.shape[-2]
    return join_heads(out.view(groups, side, side, -1), qkv.shape[:-3], heads)


class _Slab:
    """Memory for a slab of scores, used again for the next slab."""

    def __init__(self, rows: int, columns: int, like: Tensor) -> None:
        size = rows * columns
        self._columns = columns
        self._scores = torch.empty(size, dtype=torch.float32, device=like.device)
        self._lowered = (
            None
            if like.dtype == torch.float32
            else torch.empty(size, dtype=like.dtype, device=like.device)
        )

    def scores(self, groups: int, rows: int) -> Tensor:
        """(groups, rows, columns) of it, with whatever is in there."""
        return _front(self._scores, (groups, rows, self._columns))

    def attend(
        self, bias: Tensor, qkv: tuple[Tensor, Tensor, Tensor], out: Tensor
    ) -> None:
        """Write what some queries attend to into `out`; the bias is used up."""
        q, k, v = qkv
        scale = q.shape[-1] ** -0.5
        if self._lowered is None:
            torch.baddbmm(bias, q, k.transpose(1, 2), alpha=scale, out=bias)
            weights = torch.softmax(bias, dim=-1, out=bias)
        else:
            weights = _front(self._lowered, tuple(bias.shape))
            torch.bmm(q, k.transpose(1, 2), out=weights)
            bias.add_(weights, alpha=scale)
            weights.copy_(torch.softmax(bias, dim=-1, out=bias))
        torch.bmm(weights, v, out=out)


def _front(flat: Tensor, shape: tuple[int, ...]) -> Tensor:
    return flat[: torch.Size(shape).numel()].view(shape)
