"""Our instance decoder as it is used: normalisations folded, channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.inference.layers import DTypes, Product, gelu
from napari_sam.model.inference.tiny_vit import Convolution
from napari_sam.model.instance_decoder import InstanceHead, Merge


class FastInstanceHead:
    """The decoder with the parameters that the plain one has at this moment.

    Parameters
    ----------
    head
        The plain one.
    dtype
        Of all maps and products.
    """

    def __init__(self, head: InstanceHead, dtype: torch.dtype) -> None:
        kinds = DTypes(dtype, dtype)
        self._dtype = dtype
        start, last = (layer.weight.detach().flatten(1) for layer in _ends(head))
        first_bias, last_bias = (_bias(layer) for layer in _ends(head))
        self._start = Product(start.to(dtype), first_bias.to(dtype))
        self._maps = Product(last.to(dtype), last_bias.to(dtype))
        self._merges = [
            tuple(Convolution.of(conv, kinds) for conv in (merge.conv1, merge.conv2))
            for merge in cast("Sequence[Merge]", head.merges)
        ]

    def __call__(self, stages_bhwc: Sequence[Tensor], embedding_bchw: Tensor) -> Tensor:
        """The maps of `InstanceHead`, (b, 3, h / 2, w / 2), float32.

        Parameters
        ----------
        stages_bhwc
            Of the encoder, the finest first.
        embedding_bchw
            What it ends with.
        """
        *finer, coarsest = stages_bhwc
        embedding = embedding_bchw.permute(0, 2, 3, 1).to(self._dtype)
        x = self._start(torch.cat([embedding, coarsest.to(self._dtype)], dim=-1))
        for merge, fine in zip(self._merges, reversed(finer), strict=True):
            shape = fine.shape[1:3]
            larger = F.interpolate(x.permute(0, 3, 1, 2), shape, mode="bilinear")
            x = torch.cat([larger.permute(0, 2, 3, 1), fine.to(self._dtype)], dim=-1)
            for convolution in merge:
                x = gelu(convolution(x))
        return self._maps(x).permute(0, 3, 1, 2).float()


def _ends(head: InstanceHead) -> tuple[torch.nn.Conv2d, torch.nn.Conv2d]:
    return head.start, head.maps


def _bias(layer: torch.nn.Conv2d) -> Tensor:
    if layer.bias is None:
        raise TypeError("The first and the last layer have a bias.")
    return layer.bias.detach()
