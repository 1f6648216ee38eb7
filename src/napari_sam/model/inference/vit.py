"""The ViT encoder as it is used: the plain one's numbers, with less traffic.

On a processor, a block whose attention stays in windows is worked through in bands as
high as a window: a band goes through attention and feed-forward network before the
next one is touched, so that what it needs stays in the cache. Two things are not done
as the plain encoder does them:

- Queries, keys and values are made before a window is filled up at the border, not
  after. A padded token is zero, so its query, key and value are the layer's bias.
- Tokens are changed in place; of a global block only its queries, keys and values are
  ever whole in memory.

With lowered precision, matrix products take and give the lower type.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, cast

from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.image_encoder import ImageEncoderViT, ViTBlock
from napari_sam.model.inference.attention_cpu import (
    Positions,
    cut_windows,
    paste_windows,
)
from napari_sam.model.inference.layers import (
    DevicePolicy,
    DTypes,
    FastNeck,
    Norm,
    Product,
    gelu,
)


@dataclass(frozen=True, slots=True)
class FastBlock:
    """A block of the transformer."""

    window: int | None
    heads: int
    norm1: Norm
    qkv: Product
    padding: Tensor
    positions: Positions
    proj: Product
    norm2: Norm
    lin1: Product
    lin2: Product

    @classmethod
    def of(cls, block: ViTBlock, dtypes: DTypes) -> Self:
        """From the plain block's parameters."""
        attention, qkv = block.attn, Product.of(block.attn.qkv, dtypes)
        return cls(
            block.window,
            attention.heads,
            Norm.of(block.norm1, dtypes),
            qkv,
            qkv.weight.new_zeros(len(qkv.weight)) if qkv.bias is None else qkv.bias,
            Positions.of(attention.rel_pos_h, attention.rel_pos_w, dtypes.products),
            Product.of(attention.proj, dtypes),
            Norm.of(block.norm2, dtypes),
            Product.of(block.mlp.lin1, dtypes),
            Product.of(block.mlp.lin2, dtypes),
        )

    def apply(self, x_bhwc: Tensor, policy: DevicePolicy) -> None:
        """Change maps of tokens in place."""
        _, h, w, _ = x_bhwc.shape
        if self.window is None:
            self._attend(x_bhwc, policy)
        step = policy.band((h, w, len(self.lin1.weight)), self.window or 1)
        for top in range(0, h, step):
            band = x_bhwc[:, top : top + step]
            if self.window is not None:
                self._attend_in_windows(band, self.window, policy)
            band += self.lin2(gelu(self.lin1(self.norm2(band))))

    def _attend(self, x_bhwc: Tensor, policy: DevicePolicy) -> None:
        qkv = self.qkv(self.norm1(x_bhwc))
        attended = policy.by_position(qkv, self.heads, self.positions)
        x_bhwc += self.proj(attended.flatten(-2))

    def _attend_in_windows(
        self, x_bhwc: Tensor, side: int, policy: DevicePolicy
    ) -> None:
        _, h, w, _ = x_bhwc.shape
        windows = cut_windows(self.qkv(self.norm1(x_bhwc)), side, self.padding)
        attended = policy.by_position(windows, self.heads, self.positions)
        x_bhwc += self.proj(paste_windows(attended, (h, w)))


class FastViT:
    """The encoder with the parameters that the plain one has at this moment.

    Parameters
    ----------
    encoder
        The plain one; its memory is shared where the type is the same.
    dtypes
        Types of numbers.
    policy
        How the device is used.
    """

    def __init__(
        self, encoder: ImageEncoderViT, dtypes: DTypes, policy: DevicePolicy
    ) -> None:
        patches = encoder.patch_embed.proj
        self._policy = policy
        self._dtypes = dtypes
        self._patch = patches.kernel_size[0]
        self._weight = patches.weight.detach().to(dtypes.products)
        self._bias = (
            None if patches.bias is None else patches.bias.detach().to(dtypes.products)
        )
        self._position_embedding = encoder.pos_embed.detach().to(dtypes.tokens)
        self._blocks = [
            FastBlock.of(block, dtypes)
            for block in cast("Iterable[ViTBlock]", encoder.blocks)
        ]
        self._neck = FastNeck(encoder.neck, dtypes)

    def __call__(self, image_bchw: Tensor) -> Tensor:
        """Embed normalised, padded images: (b, 3, s, s) to (b, c, s / 16, s / 16)."""
        return self._policy.embedded(self._embed, image_bchw)

    def _embed(self, image_bchw: Tensor) -> Tensor:
        x = image_bchw.to(self._dtypes.products)
        x = F.conv2d(x, self._weight, self._bias, stride=self._patch)
        x_bhwc = (x.permute(0, 2, 3, 1) + self._position_embedding).contiguous()
        for block in self._blocks:
            block.apply(x_bhwc, self._policy)
        return self._neck(x_bhwc)
