"""A ViT encoder in the order of operations that segment_anything published.

All scores of a block are in memory, and go through it for every step: what the fast
forms are measured against where that package is not installed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.image_encoder import ImageEncoderViT, ViTAttention, ViTBlock
from napari_sam.model.layers import partition, unpartition


def embed_written_out(encoder: ImageEncoderViT, image_bchw: Tensor) -> Tensor:
    """As `encoder(image_bchw)`."""
    x = encoder.patch_embed(image_bchw) + encoder.pos_embed
    for block in encoder.blocks:
        x = _block(block, x)
    return encoder.neck(x.permute(0, 3, 1, 2))


def _block(block: ViTBlock, x: Tensor) -> Tensor:
    y, window = block.norm1(x), block.window
    if window is None:
        y = _attention(block.attn, y)
    else:
        _, h, w, _ = y.shape
        filled = (h + -h % window, w + -w % window)
        y = F.pad(y, (0, 0, 0, filled[1] - w, 0, filled[0] - h))
        y = _attention(block.attn, partition(y, window))
        y = unpartition(y, filled)[:, :h, :w].contiguous()
    x = x + y
    return x + block.mlp(block.norm2(x))


def _attention(layer: ViTAttention, x: Tensor) -> Tensor:
    b, h, w, c = x.shape
    tokens, heads = h * w, layer.heads
    qkv = layer.qkv(x).reshape(b, tokens, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.reshape(3, b * heads, tokens, -1)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(1, 2)
    steps = torch.arange(layer.side, device=x.device)
    offsets = steps[:, None] - steps[None, :] + layer.side - 1
    q_map = q.reshape(-1, h, w, c // heads)
    rows = torch.einsum("ghwc,hkc->ghwk", q_map, layer.rel_pos_h[offsets])
    columns = torch.einsum("ghwc,wkc->ghwk", q_map, layer.rel_pos_w[offsets])
    scores = scores.view(-1, h, w, h, w) + rows[..., :, None] + columns[..., None, :]
    seen = scores.view(-1, tokens, tokens).softmax(dim=-1) @ v
    seen = seen.view(b, heads, h, w, -1).permute(0, 2, 3, 1, 4)
    return layer.proj(seen.reshape(b, h, w, c))
