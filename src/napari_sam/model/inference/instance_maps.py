"""Windows -> embeddings and an instance decoder's maps, in one pass of the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.errors import MapError
from napari_sam.model.distance_decoder import DistanceDecoder
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.instance_decoder import MAP_STRIDE, InstanceHead
from napari_sam.model.instances import InstanceMaps, MapKind
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.model.transforms import input_shape


class MapEncoder(Protocol):
    """The network, as far as maps need it."""

    image_encoder: ImageEncoderViT | TinyViT
    instance_decoder: InstanceHead | DistanceDecoder | None
    inference: InferenceForm | None
    metadata: ModelMetadata

    @property
    def device(self) -> torch.device:
        """Where the weights are."""

    def encode_images(self, image_bchw: Tensor) -> Tensor:
        """Embed normalised images that are padded to the encoder's square."""


@torch.no_grad()
def encode_with_maps(
    sam: MapEncoder, images_bchw: Tensor, shapes: Sequence[tuple[int, int]]
) -> tuple[Tensor, list[InstanceMaps]]:
    """Embed windows, and decode their maps.

    Parameters
    ----------
    sam
        The network.
    images_bchw
        The windows, normalised and padded to the encoder's square.
    shapes
        (height, width) of each window in its own pixels.

    Raises
    ------
    MapError
        The network has no instance decoder.
    """
    decoder, encoder = sam.instance_decoder, sam.image_encoder
    if decoder is None:
        raise MapError(
            f"{sam.metadata.name!r} has no instance decoder. Use a model that has one; "
            "`napari-sam models` says which do."
        )
    size = encoder.img_size
    if isinstance(decoder, InstanceHead) and isinstance(encoder, TinyViT):
        features, logits = _directions(sam, encoder, decoder, images_bchw)
        maps = torch.cat([logits[:, :1].sigmoid(), logits[:, 1:]], dim=1)
        return features, [
            _cut(x, input_shape(shape, size), shape)
            for x, shape in zip(maps, shapes, strict=True)
        ]
    features = sam.encode_images(images_bchw)
    found = []
    for one_chw, shape in zip(features, shapes, strict=True):
        rows, columns = input_shape(shape, size)
        distances = decoder(one_chw[None]).sigmoid()[..., :rows, :columns]
        distances = F.interpolate(distances, shape, mode="bilinear")
        values = distances[0].half().cpu().numpy()
        found.append(InstanceMaps(values, MapKind.DISTANCES, shape))
    return features, found


def _directions(
    sam: MapEncoder, encoder: TinyViT, head: InstanceHead, images_bchw: Tensor
) -> tuple[Tensor, Tensor]:
    if sam.inference is None or encoder.training:
        stages = encoder.stages(images_bchw)
        return stages[-1], head(stages)
    with torch.autocast(sam.device.type, enabled=False):
        return sam.inference.with_maps(encoder, head)(images_bchw)


def _cut(
    maps_chw: Tensor, resized: tuple[int, int], shape: tuple[int, int]
) -> InstanceMaps:
    """Maps of a window, without those of the padding around it."""
    rows, columns = (-(-side // MAP_STRIDE) for side in resized)
    values = maps_chw[:, :rows, :columns].half().cpu().numpy()
    return InstanceMaps(values, MapKind.DIRECTIONS, shape)
