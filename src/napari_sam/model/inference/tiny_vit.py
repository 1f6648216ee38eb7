"""The `vit_t` encoder as it is used: the plain one's numbers, with less traffic.

Batch normalisations are folded into their convolutions, in float64. Maps have their
channels last throughout, so that a convolution with a kernel of one pixel is a matrix
product and nothing is transposed. On a processor, the inverted bottlenecks, whose
maps are four times wider inside, are worked through in strips of rows, each with one
row more above and below for the filter; windows and feed-forward networks in bands.

Queries, keys and values are made before a window is filled up at the border. A padded
token is zero before its normalisation, so what it gives is made from that one's bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.inference.attention_cpu import cut_windows, paste_windows
from napari_sam.model.inference.layers import (
    DevicePolicy,
    DTypes,
    FastNeck,
    Norm,
    Product,
    gelu,
)
from napari_sam.model.tiny_vit import (
    ConvBN,
    MBConv,
    PatchMerging,
    TinyViT,
    TinyViTAttention,
    TinyViTBlock,
)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution with its normalisation, on maps with channels last."""

    weight: Tensor
    bias: Tensor
    stride: int
    groups: int

    @classmethod
    def of(cls, layer: ConvBN, dtypes: DTypes) -> Self:
        """Fold the normalisation into the convolution."""
        norm = layer.bn
        if norm.running_mean is None or norm.running_var is None:
            raise TypeError("A normalisation is folded with its statistics.")
        spread = (norm.running_var.detach().double() + norm.eps).sqrt()
        scale = norm.weight.detach().double() / spread
        bias = norm.bias.detach().double() - norm.running_mean.double() * scale
        weight = layer.c.weight.detach().double() * scale[:, None, None, None]
        return cls(
            weight.to(dtypes.products).contiguous(memory_format=torch.channels_last),
            bias.to(dtypes.products),
            layer.c.stride[0],
            layer.c.groups,
        )

    def __call__(self, x_bhwc: Tensor, padding: tuple[int, int] = (1, 1)) -> Tensor:
        """(b, h, w, in) to (b, h / stride, w / stride, out).

        `padding` is of rows and of columns, for a kernel that is wider than a pixel.
        """
        if self.weight.shape[-1] == 1:
            return F.linear(x_bhwc, self.weight.flatten(1), self.bias)
        y = F.conv2d(
            x_bhwc.permute(0, 3, 1, 2),
            self.weight,
            self.bias,
            self.stride,
            padding,
            groups=self.groups,
        )
        return y.permute(0, 2, 3, 1)


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """Widen, filter each channel, narrow."""

    widen: Convolution
    blend: Convolution
    narrow: Convolution

    @classmethod
    def of(cls, layer: MBConv | PatchMerging, dtypes: DTypes) -> Self:
        """From the plain layer."""
        three = (layer.conv1, layer.conv2, layer.conv3)
        return cls(*(Convolution.of(conv, dtypes) for conv in three))

    def merge(self, x_bhwc: Tensor) -> Tensor:
        """Between two stages: of another width, and mostly half the size."""
        y = gelu(self.widen(x_bhwc))
        return self.narrow(gelu(self.blend(y)))

    def add(self, x_bhwc: Tensor, policy: DevicePolicy) -> Tensor:
        """Return the same shape: the map and what was made of it."""
        _, h, w, _ = x_bhwc.shape
        step = policy.band((h, w, len(self.widen.weight)))
        out = torch.empty_like(x_bhwc)
        for top in range(0, h, step):
            bottom = min(top + step, h)
            seen = slice(max(top - 1, 0), min(bottom + 1, h))
            y = gelu(self.widen(x_bhwc[:, seen]))
            # Rows beyond the map are zero after widening, not before.
            beyond = (int(top == 0), int(bottom == h))
            if any(beyond):
                y = F.pad(y, (0, 0, 0, 0, *beyond))
            y = self.narrow(gelu(self.blend(y, padding=(0, 1))))
            y += x_bhwc[:, top:bottom]
            out[:, top:bottom] = gelu(y)
        return out


@dataclass(frozen=True, slots=True)
class WindowAttention:
    """Attention in windows, biased by the distance between tokens."""

    side: int
    norm: Norm
    qkv: Product
    padding: Tensor
    bias_hnn: Tensor
    proj: Product

    @classmethod
    def of(cls, layer: TinyViTAttention, side: int, dtypes: DTypes) -> Self:
        """From the plain layer, whose queries, keys and values lie head by head."""
        heads = layer.heads
        weight, bias = layer.qkv.weight.detach(), layer.qkv.bias.detach()
        weight, bias = (
            torch.unflatten(x, 0, (heads, 3, -1)).transpose(0, 1).flatten(0, 2)
            for x in (weight, bias)
        )
        padding = F.linear(layer.norm.bias.detach(), weight, bias)
        return cls(
            side,
            Norm.of(layer.norm, dtypes),
            Product(weight.to(dtypes.products), bias.to(dtypes.products)),
            padding.to(dtypes.products),
            layer.distance_bias()[0].detach().contiguous(),
            Product.of(layer.proj, dtypes),
        )

    def add_to(self, x_bhwc: Tensor, policy: DevicePolicy) -> None:
        """Change a map in place, rows of windows at a time."""
        _, height, width, _ = x_bhwc.shape
        step = policy.band((height, width, len(self.padding)), self.side)
        for top in range(0, height, step):
            band = x_bhwc[:, top : top + step]
            windows = cut_windows(self.qkv(self.norm(band)), self.side, self.padding)
            attended = policy.by_table(windows, self.bias_hnn)
            band += self.proj(paste_windows(attended, (band.shape[1], width)))


@dataclass(frozen=True, slots=True)
class FastTinyBlock:
    """Attention in windows, a filter, a feed-forward network."""

    attention: WindowAttention
    blend: Convolution
    norm: Norm
    widen: Product
    narrow: Product

    @classmethod
    def of(cls, block: TinyViTBlock, dtypes: DTypes) -> Self:
        """From the plain block."""
        return cls(
            WindowAttention.of(block.attn, block.window, dtypes),
            Convolution.of(block.local_conv, dtypes),
            Norm.of(block.mlp.norm, dtypes),
            Product.of(block.mlp.fc1, dtypes),
            Product.of(block.mlp.fc2, dtypes),
        )

    def apply(self, x_bhwc: Tensor, policy: DevicePolicy) -> Tensor:
        """Return the same shape; the map given is used up."""
        self.attention.add_to(x_bhwc, policy)
        x_bhwc = self.blend(x_bhwc).contiguous()
        _, height, width, _ = x_bhwc.shape
        step = policy.band((height, width, len(self.widen.weight)))
        for top in range(0, height, step):
            band = x_bhwc[:, top : top + step]
            band += self.narrow(gelu(self.widen(self.norm(band))))
        return x_bhwc


def _merge(layer: PatchMerging | None, dtypes: DTypes) -> Bottleneck | None:
    return None if layer is None else Bottleneck.of(layer, dtypes)


class FastTinyViT:
    """The encoder with the parameters that the plain one has at this moment.

    Parameters
    ----------
    encoder
        The plain one.
    dtype
        Of all maps and products.
    policy
        How the device is used.
    """

    def __init__(
        self, encoder: TinyViT, dtype: torch.dtype, policy: DevicePolicy
    ) -> None:
        dtypes = DTypes(dtype, dtype)
        self._policy = policy
        self._dtype = dtype
        first, _, second = cast("Any", encoder.patch_embed.seq)
        self._patches = (Convolution.of(first, dtypes), Convolution.of(second, dtypes))
        # What a list of modules holds, its type does not say.
        convolutions, *stages = cast("Any", encoder.layers)
        self._bottlenecks = [Bottleneck.of(b, dtypes) for b in convolutions.blocks]
        self._merge = Bottleneck.of(convolutions.downsample, dtypes)
        self._stages = [
            (
                [FastTinyBlock.of(block, dtypes) for block in stage.blocks],
                _merge(stage.downsample, dtypes),
            )
            for stage in stages
        ]
        self._neck = FastNeck(encoder.neck, dtypes)

    def __call__(self, image_bchw: Tensor) -> Tensor:
        """Embed normalised, padded images: (b, 3, s, s) to (b, c, s / 16, s / 16)."""
        return self._policy.embedded(self._embed, image_bchw)

    def stages(self, image_bchw: Tensor) -> tuple[list[Tensor], Tensor]:
        """What `TinyViT.stages` returns: four maps (b, h, w, c), and the embedding."""
        maps: list[Tensor] = []
        embedding = self._embed(image_bchw, maps)
        return maps[:4], embedding

    def _embed(self, image_bchw: Tensor, maps: list[Tensor] | None = None) -> Tensor:
        """Embed; `maps` is given the last map of every size on the way."""
        seen = [] if maps is None else maps
        x = image_bchw.to(self._dtype).permute(0, 2, 3, 1)
        halve, quarter = self._patches
        x = gelu(halve(x))
        seen.append(x)
        x = quarter(x).contiguous()
        for bottleneck in self._bottlenecks:
            x = bottleneck.add(x, self._policy)
        seen.append(x)
        x = self._merge.merge(x).contiguous()
        for blocks, merge in self._stages:
            for block in blocks:
                x = block.apply(x, self._policy)
            seen.append(x)
            if merge is not None:
                x = merge.merge(x).contiguous()
        return self._neck(x)
