"""Dense maps of a window, from which all its objects follow without a prompt.

`InstanceHead` is this project's own: a small U-shaped decoder over the stages of the
`vit_t` encoder. It says of every second pixel whether it is object, and which way the
object's inside is; pixels that are led to one place are one object.

    embedding + stage 1/16 -> + stage 1/8 -> + stage 1/4 -> + stage 1/2 -> 3 maps

Attribute names are the keys in files of weights, below `instance_decoder.`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.tiny_vit import ConvBN

WIDTHS = (128, 96, 64, 32)
MAPS = 3
MAP_STRIDE = 2  # pixels that the encoder sees, in one of the maps'


class Merge(nn.Module):
    """Enlarge a map to the next finer stage, and look at both."""

    def __init__(self, coarse: int, fine: int, width: int) -> None:
        super().__init__()
        self.conv1 = ConvBN(coarse + fine, width, kernel=3)
        self.conv2 = ConvBN(width, width, kernel=3)

    def forward(self, coarse_bchw: Tensor, fine_bchw: Tensor) -> Tensor:
        """Return (b, width, h, w) of the finer map's size."""
        shape = fine_bchw.shape[-2:]
        larger = F.interpolate(coarse_bchw, shape, mode="bilinear", align_corners=False)
        y = F.gelu(self.conv1(torch.cat([larger, fine_bchw], dim=1)))
        return F.gelu(self.conv2(y))


class InstanceHead(nn.Module):
    """The instance decoder that this project trains.

    Parameters
    ----------
    stage_channels
        Of the encoder's stages, the finest first, the embedding last.
    """

    def __init__(self, stage_channels: Sequence[int]) -> None:
        super().__init__()
        *finer, coarsest, embedding = stage_channels
        first, *widths = WIDTHS
        self.start = nn.Conv2d(embedding + coarsest, first, kernel_size=1)
        self.merges = nn.ModuleList()
        for fine, width in zip(reversed(finer), widths, strict=True):
            self.merges.append(Merge(first, fine, width))
            first = width
        self.maps = nn.Conv2d(first, MAPS, kernel_size=1)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """Maps from what `TinyViT.stages` returns.

        Returns
        -------
        (b, 3, h / 2, w / 2): logits of being object, and the inward direction (y, x),
        of length 1 on objects and of no meaning elsewhere.
        """
        *finer, coarsest, embedding = stages
        x_bchw = self.start(torch.cat([embedding, coarsest], dim=1))
        for merge, fine in zip(self.merges, reversed(finer), strict=True):
            x_bchw = merge(x_bchw, fine)
        out: Tensor = self.maps(x_bchw)
        return out
