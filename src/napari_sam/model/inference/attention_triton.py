"""A GPU kernel: attention over a map of 64 x 64 tokens, biased by rows and columns.

It needs Triton, which comes with torch where there is a GPU for it; import it only
after asking for `triton`. Keys are taken one row of the map at a time, which makes the
bias nearly free: for the keys of a row, the bias for columns is the same matrix every
time, from which the scores' accumulator starts, and the bias for rows is one number
for each query, which shifts its maximum. Softmax is done online, in float32, with
powers of two.

Queries, keys and values are read where the linear layer put them. There is nothing to
tune at run time. Triton compiles the kernel on first use, for which it may miss
something on a machine, such as a C compiler or a folder that it can write to:
`attention_cuda` tries it first, and does without where it fails.
"""

import math
from contextlib import nullcontext

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

from napari_sam.model.inference.attention_cpu import Positions, split_heads

QUERIES_AT_ONCE = 128
WARPS = 8
STAGES = 3
LOG2_E = math.log2(math.e)


@triton.jit  # type: ignore[untyped-decorator, misc, unused-ignore]
def _attend(  # type: ignore[no-untyped-def] # noqa: PLR0913, PLR0915, PLR0917 - a kernel
    qkv,
    rows,
    columns,
    out,
    scale,
    heads,
    SIDE: tl.constexpr,
    C: tl.constexpr,
    C_PADDED: tl.constexpr,
    QUERIES: tl.constexpr,
):
    # All are contiguous. Of `qkv` the axes are batch, token, 3, head, channel; of
    # `rows` batch, head, key's row, token; of `columns` batch, head, token, key's
    # column; of `out` batch, token, head, channel. The factor log2(e) is in `scale`,
    # `rows` and `columns` already.
    tokens: tl.constexpr = SIDE * SIDE
    group = tl.program_id(1).to(tl.int64)
    window = group // heads
    head = group % heads
    query = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    channel = tl.arange(0, C_PADDED)
    column = tl.arange(0, SIDE)
    real = channel[None, :] < C
    step = 3 * heads * C
    first = qkv + window * tokens * step + head * C
    q = tl.load(first + query[:, None] * step + channel[None, :], mask=real, other=0.0)
    q = (q * scale).to(q.dtype)
    start = columns + group * tokens * SIDE
    bias = tl.load(start + query[:, None] * SIDE + column[None, :]).to(tl.float32)
    most = tl.full([QUERIES], float("-inf"), tl.float32)
    total = tl.zeros([QUERIES], tl.float32)
    seen = tl.zeros([QUERIES, C_PADDED], tl.float32)
    for row in range(0, SIDE):
        key = first + heads * C + (row * SIDE + column)[:, None] * step
        k = tl.load(key + channel[None, :], mask=real, other=0.0)
        v = tl.load(key + heads * C + channel[None, :], mask=real, other=0.0)
        shift = tl.load(rows + (group * SIDE + row) * tokens + query).to(tl.float32)
        scores = tl.dot(q, tl.trans(k), acc=bias)
        higher = tl.maximum(most, tl.max(scores, 1) + shift)
        fade = tl.exp2(most - higher)
        weights = tl.exp2(scores - (higher - shift)[:, None])
        total = total * fade + tl.sum(weights, 1)
        seen = tl.dot(weights.to(v.dtype), v, acc=seen * fade[:, None])
        most = higher
    seen = seen / total[:, None]
    place = out + window * tokens * heads * C + head * C
    tl.store(
        place + query[:, None] * (heads * C) + channel[None, :],
        seen.to(out.dtype.element_ty),
        mask=real,
    )


def attend_with_kernel(qkv: Tensor, heads: int, positions: Positions) -> Tensor:
    """As `attend_by_position`, for whole maps (b, side, side, 3 * heads * c).

    The side is a power of two, at least 16; it has as many tokens as a multiple of
    `QUERIES_AT_ONCE`.
    """
    *windows, side, _, width = qkv.shape
    c = width // (3 * heads)
    tokens, count = side**2, math.prod(windows)
    qkv = qkv.contiguous()
    q, _, _ = split_heads(qkv, heads)
    rows, columns = (bias * LOG2_E for bias in positions.biases(q))
    rows = rows.reshape(-1, tokens, side).transpose(1, 2).contiguous()
    columns = columns.reshape(-1, tokens, side).contiguous()
    out = qkv.new_empty(*windows, side, side, heads, c)
    # The kernel of one device must be launched with that device current.
    with torch.cuda.device(qkv.device) if qkv.is_cuda else nullcontext():
        _attend[(tokens // QUERIES_AT_ONCE, count * heads)](
            qkv,
            rows,
            columns,
            out,
            c**-0.5 * LOG2_E,
            heads,
            SIDE=side,
            C=c,
            C_PADDED=max(16, triton.next_power_of_2(c)),
            QUERIES=QUERIES_AT_ONCE,
            num_warps=WARPS,
            num_stages=STAGES,
        )
    return out
