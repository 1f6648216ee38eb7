"""Tokens and image attend to each other, twice, in the mask decoder.

Attribute names are the keys of SAM's published checkpoints; do not rename them.
"Segment Anything" (2023), appendix A.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.layers import FeedForward


class Attention(nn.Module):
    """Attention whose queries, keys and values may be narrower than its input."""

    def __init__(self, dim: int, heads: int, downsample: int = 1) -> None:
        super().__init__()
        inner = dim // downsample
        self.heads = heads
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, q_bnc: Tensor, k_bmc: Tensor, v_bmc: Tensor) -> Tensor:
        """Return (b, n, c); queries or keys of one image may have a b of 1."""
        q, k, v = (
            proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj, x in (
                (self.q_proj, q_bnc),
                (self.k_proj, k_bmc),
                (self.v_proj, v_bmc),
            )
        )
        # One image for all prompts is projected once, and repeated only here.
        b = max(len(q), len(k))
        q, k, v = (x.expand(b, -1, -1, -1) for x in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.out_proj(y.transpose(1, 2).flatten(2))
        return out


class TwoWayAttentionBlock(nn.Module):
    """Tokens among themselves, tokens to image, feed-forward, image to tokens."""

    def __init__(self, dim: int, heads: int, hidden: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, heads)
        self.norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, heads, downsample=2)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = FeedForward(dim, hidden, F.relu)
        self.norm3 = nn.LayerNorm(dim)
        self.norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, heads, downsample=2)

    def forward(
        self, tokens: Tensor, image: Tensor, tokens_pe: Tensor, image_pe: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens (b, n, c) and image (b, m, c); `_pe` are their positions."""
        tokens = self.self_attention_step(tokens, tokens_pe)
        image_k = image + image_pe
        read = self.cross_attn_token_to_image(tokens + tokens_pe, image_k, image)
        tokens = self.mlp_step(tokens, read)
        image = image + self.cross_attn_image_to_token(
            image_k, tokens + tokens_pe, tokens
        )
        return tokens, self.norm4(image)

    def self_attention_step(self, tokens: Tensor, tokens_pe: Tensor) -> Tensor:
        """Tokens (b, n, c) after they attended to each other."""
        if self.first:
            # In the first layer the tokens are their own positions.
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            q = tokens + tokens_pe
            tokens = tokens + self.self_attn(q, q, tokens)
        out: Tensor = self.norm1(tokens)
        return out

    def mlp_step(self, tokens: Tensor, read: Tensor) -> Tensor:
        """Tokens (b, n, c), given what they have read from the image."""
        tokens = self.norm2(tokens + read)
        out: Tensor = self.norm3(tokens + self.mlp(tokens))
        return out


class TwoWayTransformer(nn.Module):
    """The blocks, and a last attention of the tokens to the image."""

    def __init__(self, depth: int, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayAttentionBlock(dim, heads, hidden, first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(dim, heads, downsample=2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(
        self, image_bchw: Tensor, image_pe_bchw: Tensor, tokens_bnc: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens (b, n, c) and the image as tokens (b, h * w, c)."""
        image = image_bchw.flatten(2).transpose(1, 2)
        image_pe = image_pe_bchw.flatten(2).transpose(1, 2)
        tokens = tokens_bnc
        for layer in self.layers:
            tokens, image = layer(tokens, image, tokens_bnc, image_pe)
        tokens = tokens + self.final_attn_token_to_image(
            tokens + tokens_bnc, image + image_pe, image
        )
        return self.norm_final_attn(tokens), image
