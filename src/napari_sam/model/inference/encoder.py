"""A plain encoder -> the form in which it is used when nothing is learned.

The plain networks are what is trained, saved and loaded; their inference forms compute
the same numbers faster and are made from the parameters at that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.attention_cuda import ON_GPU
from napari_sam.model.inference.cuda_graphs import Recorded
from napari_sam.model.inference.instance_head import FastInstanceHead
from napari_sam.model.inference.layers import ON_PROCESSOR, DevicePolicy, DTypes
from napari_sam.model.inference.tiny_vit import FastTinyViT
from napari_sam.model.inference.vit import FastViT
from napari_sam.model.instance_decoder import InstanceHead
from napari_sam.model.tiny_vit import TinyViT

PlainEncoder = ImageEncoderViT | TinyViT
Encode = Callable[[Tensor], Tensor]
EncodeMaps = Callable[[Tensor], tuple[Tensor, Tensor]]
Version = tuple[tuple[int, int], ...]


class InferenceForm:
    """An encoder for use, made anew when the plain one's parameters have changed.

    Parameters
    ----------
    dtype
        Of matrix products.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._made: tuple[Version, Encode] | None = None
        self._made_maps: tuple[Version, EncodeMaps] | None = None

    def __getstate__(self) -> torch.dtype:
        # Sent to another process, it is made there: graphs and kernels stay here.
        return self.dtype

    def __setstate__(self, dtype: torch.dtype) -> None:
        self.dtype, self._made, self._made_maps = dtype, None, None

    def of(self, encoder: PlainEncoder) -> Encode:
        """The form of `encoder` as it is now.

        It takes normalised, padded images (b, 3, s, s) and gives embeddings, float32.
        """
        version = _version(encoder)
        made = self._made
        if made is None or made[0] != version:
            # The old one's memory goes before the new one's is taken.
            self._made = None
            made = version, _form(encoder, self.dtype)
            self._made = made
        return made[1]

    def with_maps(self, encoder: TinyViT, head: InstanceHead) -> EncodeMaps:
        """The form of both as they are now.

        It takes normalised, padded images (b, 3, s, s) and gives embeddings, and maps
        as `InstanceHead` does, float32.
        """
        version = _version(encoder) + _version(head)
        made = self._made_maps
        if made is None or made[0] != version:
            made = version, _form_with_maps(encoder, head, self.dtype)
            self._made_maps = made
        return made[1]


def _version(network: nn.Module) -> Version:
    """Tells whether a parameter was replaced or changed in place."""
    tensors = [*network.parameters(), *network.buffers()]
    return tuple((t.data_ptr(), 0 if t.is_inference() else t._version) for t in tensors)


def _form(encoder: PlainEncoder, dtype: torch.dtype) -> Encode:
    device = next(encoder.parameters()).device
    if device.type == "cpu":
        # Tokens of a ViT are a sum over its blocks, which stays float32.
        return _fast(encoder, DTypes(dtype, torch.float32), ON_PROCESSOR)
    if device.type == "cuda":
        return Recorded(_fast(encoder, DTypes(dtype, dtype), ON_GPU))
    return encoder.forward


def _fast(encoder: PlainEncoder, dtypes: DTypes, policy: DevicePolicy) -> Encode:
    if isinstance(encoder, ImageEncoderViT):
        return FastViT(encoder, dtypes, policy)
    return FastTinyViT(encoder, dtypes.products, policy)


def _form_with_maps(
    encoder: TinyViT, head: InstanceHead, dtype: torch.dtype
) -> EncodeMaps:
    device = next(encoder.parameters()).device
    if device.type not in ("cpu", "cuda"):
        return partial(_plain_with_maps, encoder, head)
    policy = ON_PROCESSOR if device.type == "cpu" else ON_GPU
    fast, fast_head = FastTinyViT(encoder, dtype, policy), FastInstanceHead(head, dtype)

    def encode(image_bchw: Tensor) -> tuple[Tensor, Tensor]:
        # As `embedded`: on a processor one after the other, with the same numbers.
        count = len(image_bchw) if policy.fits_cache else 1
        parts = image_bchw.tensor_split(count)
        seen = [fast.stages(part) for part in parts]
        embeddings = torch.cat([embedding for _, embedding in seen])
        return embeddings, torch.cat([fast_head(*stages) for stages in seen])

    return encode


def _plain_with_maps(
    encoder: TinyViT, head: InstanceHead, image_bchw: Tensor
) -> tuple[Tensor, Tensor]:
    stages = encoder.stages(image_bchw)
    return stages[-1], head(stages)
