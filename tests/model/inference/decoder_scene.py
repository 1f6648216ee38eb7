"""Networks and prompts that the fast decoder is held to the plain one with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from napari_sam.model.build import new_tiny_sam
from napari_sam.model.inference.mask_decoder import predict_masks
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam

KINDS = ("points", "several points", "boxes", "boxes and points", "masks")


@dataclass(frozen=True)
class EncodedPrompts:
    """What a prompt encoder made of some prompts."""

    sparse: Tensor
    dense: Tensor
    has_masks: bool


def random_sam(side: int = 128) -> Sam:
    """A network in which tokens and image change each other a lot."""
    sam = new_tiny_sam(ModelMetadata("tiny", "random", image_size=side)).eval()
    for parameter in sam.mask_decoder.parameters():
        if parameter.ndim == 1:  # biases and norms, which begin at 0 and 1
            parameter.data += 0.2 * torch.randn_like(parameter)
    sam.prompt_encoder.no_mask_embed.weight.data += torch.randn(1, 256)
    return sam


def features_for(sam: Sam) -> Tensor:
    side = sam.prompt_encoder.image_embedding_side
    return torch.randn(256, side, side).half()


@torch.no_grad()
def encoded(sam: Sam, kind: str, count: int) -> EncodedPrompts:
    """Prompts of one kind about `count` objects."""
    side = sam.image_encoder.img_size
    clicks = 4 if kind == "several points" else 1
    points = boxes = masks = None
    if "points" in kind:
        labels = torch.randint(0, 2, (count, clicks))
        points = (torch.rand(count, clicks, 2) * side, labels)
    if "boxes" in kind:
        boxes = torch.rand(count, 4) * side
    if kind == "masks":
        points = (torch.rand(count, 1, 2) * side, torch.ones(count, 1))
        masks = 4 * torch.randn(count, 1, side // 4, side // 4)
    sparse, dense = sam.prompt_encoder(points, boxes, masks)
    return EncodedPrompts(sparse, dense, masks is not None)


@torch.no_grad()
def plain(sam: Sam, features: Tensor, prompts: EncodedPrompts) -> tuple[Tensor, Tensor]:
    """All that is answered, three masks and then the one."""
    position = sam.prompt_encoder.get_dense_pe()
    return sam.mask_decoder.all_masks(
        features[None].to(position), position, prompts.sparse, prompts.dense
    )


def fast(sam: Sam, features: Tensor, prompts: EncodedPrompts) -> tuple[Tensor, Tensor]:
    """The same of the fast decoder."""
    parts = [
        predict_masks(
            sam.mask_decoder,
            sam.decoder_image(features),
            prompts.sparse,
            prompts.dense if prompts.has_masks else None,
            multimask_output=multimask,
        )
        for multimask in (False, True)
    ]
    logits, ious = (torch.cat(pair, dim=1) for pair in zip(*parts, strict=True))
    return logits, ious


def error(found: Tensor, expected: Tensor) -> float:
    """Of the largest number, the share that any is off."""
    return float((found - expected).abs().max() / expected.abs().max())
