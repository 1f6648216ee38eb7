"""Attention with a bias for positions on a GPU, in one fused kernel.

A bias for a key's row and one for its column are products too, of what a query adds
for each row with a vector that is one at the key's row and zero elsewhere. Laid behind
the query and the key, they make the scores come out with the bias in them, so that any
fused attention does it, and the bias never lies in memory:

    [q / sqrt(c), rows, columns] . [k, one-hot row, one-hot column]

Where Triton is there, global blocks take the kernel of `attention_triton` instead.
"""

from __future__ import annotations

import importlib.util
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from napari_sam.model.inference.attention_cpu import Positions, join_heads, split_heads
from napari_sam.model.inference.layers import DevicePolicy

KERNEL_SIDE = 64
KERNEL_TYPES = (torch.float16, torch.bfloat16)
KERNEL_CAPABILITY = (8, 0)
ALIGNMENT = 8
"""Channels of a head that fused attention wants a multiple of."""

BACKENDS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]
"""In order of preference. All take values with fewer channels than keys."""


def attend_by_concatenation(qkv: Tensor, heads: int, positions: Positions) -> Tensor:
    """As `attend_by_position`, with the bias laid behind queries and keys."""
    q, k, v = split_heads(qkv, heads)
    groups, side, _, c = q.shape
    rows, columns = positions.biases(q)
    padding = -(c + 2 * side) % ALIGNMENT
    queries = torch.cat([q * c**-0.5, rows, columns], dim=-1)
    ones = torch.eye(side, dtype=q.dtype, device=q.device)
    one_hot = [
        ones[:, None].expand(side, side, side),
        ones[None].expand(side, side, side),
    ]
    keys = torch.cat([k, torch.cat(one_hot, dim=-1).expand(groups, -1, -1, -1)], dim=-1)
    queries, keys = (
        torch.unflatten(F.pad(x, (0, padding)), 0, (-1, heads)).flatten(2, 3)
        for x in (queries, keys)
    )
    values = torch.unflatten(v, 0, (-1, heads)).flatten(2, 3)
    with sdpa_kernel(BACKENDS, set_priority=True):
        seen = F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    seen = seen.reshape(-1, side, side, seen.shape[-1])
    return join_heads(seen, qkv.shape[:-3], heads)


def attend_on_gpu(qkv: Tensor, heads: int, positions: Positions) -> Tensor:
    """Take the kernel for what it can do, concatenation for the rest."""
    is_global = qkv.shape[-2] == KERNEL_SIDE and qkv.dtype in KERNEL_TYPES
    if is_global and _has_kernel(qkv.device):
        # Importing it needs Triton.
        from napari_sam.model.inference.attention_triton import attend_with_kernel  # noqa: PLC0415

        return attend_with_kernel(qkv, heads, positions)
    return attend_by_concatenation(qkv, heads, positions)


def attend_by_table_on_gpu(qkv: Tensor, bias_hnn: Tensor) -> Tensor:
    """As `attend_by_table`, by fused attention with a mask."""
    heads, side = len(bias_hnn), qkv.shape[-2]
    q, k, v = (
        torch.unflatten(x, 0, (-1, heads)).flatten(2, 3)
        for x in split_heads(qkv, heads)
    )
    # The mask is of the queries' type: with another one cuDNN gives wrong numbers.
    bias = bias_hnn[None].to(q.dtype)
    seen = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    seen = seen.reshape(-1, side, side, seen.shape[-1])
    return join_heads(seen, qkv.shape[:-3], heads)


@cache
def _has_kernel(device: torch.device) -> bool:
    """Whether Triton is there and makes a kernel that gives the right numbers."""
    if device.type != "cuda" or importlib.util.find_spec("triton") is None:
        return False
    if torch.cuda.get_device_capability(device) < KERNEL_CAPABILITY:
        return False
    return kernel_agrees(device)


def kernel_agrees(device: torch.device) -> bool:
    """Try the kernel on a small problem; False if it fails in any way.

    Triton compiles on first use, with what it finds on this machine, and that can
    fail for reasons that have nothing to do with the numbers.
    """
    # Not of the caller's random numbers.
    generator = torch.Generator().manual_seed(0)
    heads, c = 1, 64
    qkv = torch.randn(1, KERNEL_SIDE, KERNEL_SIDE, 3 * heads * c, generator=generator)
    relative = torch.randn(2, 2 * KERNEL_SIDE - 1, c, generator=generator).to(device)
    half = qkv.to(device, torch.float16)
    positions = Positions.of(relative[0] / 10, relative[1] / 10, torch.float16)
    try:
        from napari_sam.model.inference.attention_triton import attend_with_kernel  # noqa: PLC0415

        found = attend_with_kernel(half, heads, positions).float()
    except Exception:  # noqa: BLE001 - whatever a compiler can raise
        return False
    wanted = attend_by_concatenation(half, heads, positions).float()
    return bool((found - wanted).abs().max() < KERNEL_TOLERANCE * wanted.abs().max())


KERNEL_TOLERANCE = 2e-2

ON_GPU = DevicePolicy(attend_on_gpu, attend_by_table_on_gpu, fits_cache=False)
