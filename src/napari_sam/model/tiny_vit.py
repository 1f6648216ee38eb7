"""The small image encoder `vit_t`: TinyViT, as MobileSAM published it.

Attribute names are the keys of that checkpoint; do not rename them. "TinyViT: Fast
Pretraining Distillation for Small Vision Transformers" (2022). The last stage does
not downsample, so that the embedding is sixteen times smaller on a side, as ViT's.

`norm_head` and `head` classify images in the original; they are here because the
published file has them, and are never run.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.layers import neck, partition, unpartition

DIMS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
EXPANSION = 4
CLASSES = 1000


class ConvBN(nn.Module):
    """A convolution without bias and its batch normalisation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        bn_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.c = nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=kernel // 2,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        nn.init.constant_(self.bn.weight, bn_weight)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return (b, out_channels, h / stride, w / stride)."""
        out: Tensor = self.bn(self.c(x_bchw))
        return out


class TinyViTPatchEmbed(nn.Module):
    """Two strided convolutions: a token for every 4 x 4 pixels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvBN(3, dim // 2, kernel=3, stride=2),
            nn.GELU(),
            ConvBN(dim // 2, dim, kernel=3, stride=2),
        )

    def forward(self, image_bchw: Tensor) -> Tensor:
        """Return (b, dim, h / 4, w / 4)."""
        out: Tensor = self.seq(image_bchw)
        return out


class MBConv(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow, add."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = EXPANSION * dim
        self.conv1 = ConvBN(dim, hidden)
        self.conv2 = ConvBN(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = ConvBN(hidden, dim, bn_weight=0.0)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the same shape."""
        y = F.gelu(self.conv1(x_bchw))
        y = self.conv3(F.gelu(self.conv2(y)))
        return F.gelu(x_bchw + y)


class PatchMerging(nn.Module):
    """Between two stages: change the width, halve the map or not."""

    def __init__(self, dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(dim, out_dim)
        self.conv2 = ConvBN(out_dim, out_dim, kernel=3, stride=stride, groups=out_dim)
        self.conv3 = ConvBN(out_dim, out_dim)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return (b, out_dim, h / stride, w / stride)."""
        y = F.gelu(self.conv1(x_bchw))
        out: Tensor = self.conv3(F.gelu(self.conv2(y)))
        return out


class TinyViTAttention(nn.Module):
    """Self-attention inside a window, biased by the distance between tokens."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window**2))

    def forward(self, x_bnc: Tensor) -> Tensor:
        """Return the same shape; n tokens fill the window row by row."""
        b, n, c = x_bnc.shape
        # In the published weights the query, key and value of a head lie together.
        qkv = self.qkv(self.norm(x_bnc)).view(b, n, self.heads, 3, c // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        bias = self.distance_bias().to(q.dtype)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        out: Tensor = self.proj(y.transpose(1, 2).reshape(b, n, c))
        return out

    def distance_bias(self) -> Tensor:
        """What every query adds to its score for a key: (1, heads, n, n)."""
        steps = torch.arange(self.window, device=self.attention_biases.device)
        apart = (steps[:, None] - steps[None, :]).abs()
        index = apart[:, None, :, None] * self.window + apart[None, :, None, :]
        flat = index.reshape([self.window**2] * 2)
        bias: Tensor = self.attention_biases[None, :, flat]
        return bias


class TinyViTFeedForward(nn.Module):
    """Normalise, two linear layers with GELU between them."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = nn.Linear(dim, EXPANSION * dim)
        self.fc2 = nn.Linear(EXPANSION * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        out: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return out


class TinyViTBlock(nn.Module):
    """Attention in windows, a depthwise convolution, a feed-forward network."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = TinyViTAttention(dim, heads, window)
        self.mlp = TinyViTFeedForward(dim)
        self.local_conv = ConvBN(dim, dim, kernel=3, groups=dim)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the same shape."""
        b, c, h, w = x_bchw.shape
        pad_h, pad_w = -h % self.window, -w % self.window
        # Padding comes before the normalisation inside `attn`, as in the original:
        # padded tokens take part in attention with the normalisation's bias.
        y = F.pad(x_bchw.permute(0, 2, 3, 1), (0, 0, 0, pad_w, 0, pad_h))
        windows = partition(y, self.window)
        y = self.attn(windows.flatten(1, 2)).view_as(windows)
        y = unpartition(y, (h + pad_h, w + pad_w))[:, :h, :w]
        x_bchw = self.local_conv(x_bchw + y.permute(0, 3, 1, 2))
        x_bnc = x_bchw.flatten(2).transpose(1, 2)
        x_bnc = x_bnc + self.mlp(x_bnc)
        out: Tensor = x_bnc.transpose(1, 2).reshape(b, c, h, w)
        return out


class TinyViTStage(nn.Module):
    """Blocks of one width, and what leads to the next."""

    def __init__(self, blocks: list[nn.Module], downsample: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)
        self.downsample = downsample

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the next stage's input."""
        out: Tensor = self.blocks(x_bchw)
        if self.downsample is not None:
            out = self.downsample(out)
        return out


class TinyViT(nn.Module):
    """Image to embedding, sixteen times smaller on a side.

    Parameters
    ----------
    img_size
        Side of the square image, in pixels; the weights do not depend on it.
    out_chans
        Channels of the embedding.
    """

    def __init__(self, img_size: int, out_chans: int) -> None:
        super().__init__()
        self.img_size = img_size
        self.patch_embed = TinyViTPatchEmbed(DIMS[0])
        merges: list[nn.Module | None] = [
            PatchMerging(dim, out_dim, stride=1 if out_dim == DIMS[-1] else 2)
            for dim, out_dim in pairwise(DIMS)
        ]
        blocks: list[list[nn.Module]] = [[MBConv(DIMS[0]) for _ in range(DEPTHS[0])]]
        for dim, depth, heads, window in zip(
            DIMS[1:], DEPTHS[1:], HEADS[1:], WINDOWS[1:], strict=True
        ):
            blocks.append([TinyViTBlock(dim, heads, window) for _ in range(depth)])
        self.layers = nn.ModuleList(
            TinyViTStage(*stage) for stage in zip(blocks, [*merges, None], strict=True)
        )
        self.norm_head = nn.LayerNorm(DIMS[-1])
        self.head = nn.Linear(DIMS[-1], CLASSES)
        self.neck = neck(DIMS[-1], out_chans)

    @property
    def stage_channels(self) -> tuple[int, ...]:
        """Channels of each of the `stages`."""
        out_chans = cast("nn.Conv2d", self.neck[0]).out_channels
        return (DIMS[0] // 2, *DIMS[:3], out_chans)

    def forward(self, image_bchw: Tensor) -> Tensor:
        """Embed normalised, padded images: (b, 3, s, s) to (b, c, s / 16, s / 16)."""
        return self.stages(image_bchw)[-1]

    def stages(self, image_bchw: Tensor) -> tuple[Tensor, ...]:
        """The embedding, and the maps on the way to it that an instance decoder reads.

        Returns
        -------
        Maps 2, 4, 8 and 16 times smaller than the image, and the embedding.
        """
        first, activate, second = self.patch_embed.seq
        maps = [activate(first(image_bchw))]
        x_bchw = second(maps[0])
        for stage in cast("Iterable[TinyViTStage]", self.layers):
            x_bchw = stage.blocks(x_bchw)
            maps.append(x_bchw)
            if stage.downsample is not None:
                x_bchw = stage.downsample(x_bchw)
        return (*maps[:4], self.neck(x_bchw))
