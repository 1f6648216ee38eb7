"""The ViT image encoder of SAM: ViT-B, ViT-L, ViT-H.

Attribute names are the keys of SAM's published checkpoints; do not rename them.
"Segment Anything" (2023), section 3 and appendix A; the backbone is that of
"Exploring Plain Vision Transformer Backbones for Object Detection" (2022):
attention inside windows of 14 x 14 tokens, except in four global blocks, with
relative positions decomposed into rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.layers import FeedForward, neck, partition, unpartition

GLOBAL_ATTENTION_BYTES = 256 * 2**20
"""Scores of a global block are built for as many heads at once as fit in this."""


class ViTPatchEmbed(nn.Module):
    """Cut the image into patches and project each to a token."""

    def __init__(self, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)

    def forward(self, image_bchw: Tensor) -> Tensor:
        """Return tokens as a map, (b, h / patch, w / patch, dim)."""
        tokens_bchw: Tensor = self.proj(image_bchw)
        return tokens_bchw.permute(0, 2, 3, 1)


class ViTAttention(nn.Module):
    """Self-attention over a square map of tokens, with relative positions."""

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.side = side
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        head_dim = dim // heads
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, head_dim))

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """Return the same shape; height and width are `side`."""
        b, h, w, c = x_bhwc.shape
        qkv = self.qkv(x_bhwc).view(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        bias_bytes = b * (h * w) ** 2 * q.element_size()
        group = max(1, GLOBAL_ATTENTION_BYTES // bias_bytes)
        parts = [
            F.scaled_dot_product_attention(
                q[:, i : i + group],
                k[:, i : i + group],
                v[:, i : i + group],
                attn_mask=self._position_bias(q[:, i : i + group]),
            )
            for i in range(0, self.heads, group)
        ]
        x = torch.cat(parts, dim=1).transpose(1, 2).reshape(b, h, w, c)
        out: Tensor = self.proj(x)
        return out

    def _position_bias(self, q: Tensor) -> Tensor:
        """What each query adds to its scores for a key so many rows and columns off.

        `q` is (b, heads, h * w, c); the result (b, heads, h * w, h * w).
        """
        b, heads, _, c = q.shape
        steps = torch.arange(self.side, device=q.device)
        offsets = steps[:, None] - steps[None, :] + self.side - 1
        q_map = q.reshape(b, heads, self.side, self.side, c)
        rows = torch.einsum("bnhwc,hkc->bnhwk", q_map, self.rel_pos_h[offsets])
        columns = torch.einsum("bnhwc,wkc->bnhwk", q_map, self.rel_pos_w[offsets])
        bias = rows[..., :, None] + columns[..., None, :]
        return bias.reshape(b, heads, self.side**2, self.side**2)


class ViTBlock(nn.Module):
    """A transformer block; with a `window`, tokens see only their own window."""

    def __init__(self, dim: int, heads: int, side: int, window: int | None) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = ViTAttention(dim, heads, window or side)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = FeedForward(dim, 4 * dim, F.gelu)

    def forward(self, x_bhwc: Tensor) -> Tensor:
        """Return the same shape."""
        y = self.norm1(x_bhwc)
        if self.window is None:
            y = self.attn(y)
        else:
            _, h, w, _ = y.shape
            pad_h, pad_w = -h % self.window, -w % self.window
            y = F.pad(y, (0, 0, 0, pad_w, 0, pad_h))
            y = self.attn(partition(y, self.window))
            y = unpartition(y, (h + pad_h, w + pad_w))[:, :h, :w]
        x_bhwc = x_bhwc + y
        out: Tensor = x_bhwc + self.mlp(self.norm2(x_bhwc))
        return out


class ImageEncoderViT(nn.Module):
    """Image to embedding, sixteen times smaller on a side.

    Parameters
    ----------
    img_size
        Side of the square image, in pixels.
    patch_size
        Side of a patch, in pixels.
    embed_dim, num_heads
        Width of the transformer and its attention heads.
    windows
        For each block the side of its attention windows in tokens, None for a
        global block.
    out_chans
        Channels of the embedding.
    """

    def __init__(
        self,
        *,
        img_size: int,
        patch_size: int,
        embed_dim: int,
        num_heads: int,
        windows: tuple[int | None, ...],
        out_chans: int,
    ) -> None:
        super().__init__()
        self.img_size = img_size
        side = img_size // patch_size
        self.patch_embed = ViTPatchEmbed(embed_dim, patch_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, embed_dim))
        self.blocks = nn.ModuleList(
            ViTBlock(embed_dim, num_heads, side, window) for window in windows
        )
        self.neck = neck(embed_dim, out_chans)

    def forward(self, image_bchw: Tensor) -> Tensor:
        """Embed normalised, padded images: (b, 3, s, s) to (b, c, s / 16, s / 16)."""
        x_bhwc = self.patch_embed(image_bchw) + self.pos_embed
        for block in self.blocks:
            x_bhwc = block(x_bhwc)
        out: Tensor = self.neck(x_bhwc.permute(0, 3, 1, 2))
        return out
