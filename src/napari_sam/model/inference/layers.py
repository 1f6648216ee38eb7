"""What the encoders for inference consist of: layers as plain tensors.

They are made from the plain networks' parameters, once, and know nothing of gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.inference.attention_cpu import (
    Positions,
    attend_by_position,
    attend_by_table,
)
from napari_sam.model.layers import LayerNorm2d

BAND_BYTES = 4 * 2**20
"""Of the widest map, in float32, of the rows that are worked on at once."""


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """How a device is best used.

    Parameters
    ----------
    by_position
        Attention with biases for rows and columns: queries, keys and values of
        windows, heads and `Positions` to the attended values.
    by_table
        The same with a table of biases.
    fits_cache
        Whether work is cut into bands of rows that fit into a processor's cache, and
        images of a batch come one after the other.
    """

    by_position: Callable[[Tensor, int, Positions], Tensor]
    by_table: Callable[[Tensor, Tensor], Tensor]
    fits_cache: bool

    def band(self, shape_hwc: tuple[int, int, int], unit: int = 1) -> int:
        """Rows of a map that are worked on at once, a multiple of `unit`."""
        height, width, channels = shape_hwc
        if not self.fits_cache:
            return height
        return unit * max(1, BAND_BYTES // (4 * channels * width * unit))

    def embedded(self, embed: Callable[[Tensor], Tensor], image_bchw: Tensor) -> Tensor:
        """What `embed` makes of a batch, or of its images one after the other."""
        if not self.fits_cache:
            return embed(image_bchw)
        return torch.cat([embed(image_chw[None]) for image_chw in image_bchw])


ON_PROCESSOR = DevicePolicy(attend_by_position, attend_by_table, fits_cache=True)


@dataclass(frozen=True, slots=True)
class DTypes:
    """Types of numbers: of matrix products, and of the tokens between blocks."""

    products: torch.dtype
    tokens: torch.dtype


@dataclass(frozen=True, slots=True)
class Product:
    """A linear layer, or a convolution with a kernel of one pixel."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, layer: nn.Linear, dtypes: DTypes) -> Self:
        """Shares the layer's memory if the type is the same."""
        bias: Tensor | None = layer.bias  # some have none, which its type denies
        return cls(
            layer.weight.detach().to(dtypes.products),
            None if bias is None else bias.detach().to(dtypes.products),
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True, slots=True)
class Norm:
    """A normalisation of tokens over the last axis, for a matrix product."""

    weight: Tensor
    bias: Tensor
    eps: float
    out: torch.dtype

    @classmethod
    def of(cls, layer: nn.LayerNorm | LayerNorm2d, dtypes: DTypes) -> Self:
        """From the plain layer."""
        return cls(
            layer.weight.detach().to(dtypes.tokens),
            layer.bias.detach().to(dtypes.tokens),
            layer.eps,
            dtypes.products,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        y = F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)
        return y.to(self.out)


def gelu(x: Tensor) -> Tensor:
    """GELU in place: fresh memory for a large map would take longer than the sums."""
    changed: Tensor = torch.ops.aten.gelu_(x)
    return changed


class FastNeck:
    """The two convolutions that end every encoder, from maps with channels last."""

    def __init__(self, neck: nn.Sequential, dtypes: DTypes) -> None:
        layers: Any = neck
        narrow, norm1, blend, norm2 = layers
        weight = narrow.weight.detach().flatten(1)
        self._narrow = Product(weight.to(dtypes.products), None)
        self._norm1 = Norm.of(norm1, DTypes(dtypes.products, torch.float32))
        self._blend = blend.weight.detach().to(dtypes.products)
        self._norm2 = Norm.of(norm2, DTypes(torch.float32, torch.float32))

    def __call__(self, x_bhwc: Tensor) -> Tensor:
        """(b, h, w, channels) to the embedding (b, c, h, w), float32."""
        y = self._narrow(x_bhwc.to(self._narrow.weight.dtype))
        y = self._norm1(y.float())
        # With channels last, oneDNN's float32 sums are seven times less exact.
        y = F.conv2d(y.permute(0, 3, 1, 2).contiguous(), self._blend, padding=1)
        y = self._norm2(y.permute(0, 2, 3, 1).float())
        return y.permute(0, 3, 1, 2).contiguous()
