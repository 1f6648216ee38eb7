"""Weights -> network: the architecture is read off the shapes, then loaded strictly."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from napari_sam.errors import CheckpointError
from napari_sam.model.distance_decoder import DISTANCE_KEY, DistanceDecoder
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.instance_decoder import InstanceHead
from napari_sam.model.mask_decoder import MaskDecoder
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.prompt_encoder import PromptEncoder
from napari_sam.model.sam import Sam
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.model.transformer import Attention, TwoWayTransformer

DEFAULT_IMAGE_SIZE = 1024
POSITION_SCALES = (0.5, 8.0)
CROSS_ATTENTION_GAIN = 1.5
EMBEDDING_STRIDE = 16
DECODER_HEADS = 8
"""The one number of a published model that follows from no shape."""

INSTANCE_PREFIX = "instance_decoder."
NAMED_KEYS = 4  # how many wrong keys an error lists


def build_sam(state: Mapping[str, Tensor], metadata: ModelMetadata) -> Sam:
    """Build the network that `state` is the weights of, in evaluation mode.

    Parameters
    ----------
    state
        `image_encoder.*`, `prompt_encoder.*` and `mask_decoder.*`, as published, and
        `instance_decoder.*` where there is one.
    metadata
        What does not follow from the shapes; `image_size` only matters for `vit_t`.

    Returns
    -------
    Sam
        In evaluation mode, with exactly these weights.

    Raises
    ------
    CheckpointError
        Keys are missing, unknown, of the wrong shape or type, or hold NaN or inf.
    """
    try:
        # On the meta device no memory is spent on weights that are replaced.
        with torch.device("meta"):
            sam = _network(state, metadata)
    except (KeyError, ValueError, ZeroDivisionError, IndexError) as error:
        raise CheckpointError(
            f"{metadata.name} does not hold the weights of a SAM: {_reason(error)}. "
            "Needed is a state dict with image_encoder.*, prompt_encoder.* and "
            "mask_decoder.* as published by segment_anything or MobileSAM."
        ) from error
    _check_keys(sam, state, metadata.name)
    floats = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.items()
    }
    sam.load_state_dict(floats, strict=True, assign=True)
    return sam.eval()


def build_distance_decoder(state: Mapping[str, Tensor], name: str) -> DistanceDecoder:
    """Build micro-sam's instance decoder from its weights, in evaluation mode.

    Parameters
    ----------
    state
        As published, in one of the two variants.
    name
        What the weights are called, for errors.

    Raises
    ------
    CheckpointError
        Keys are missing, unknown, of the wrong shape or type, or hold NaN or inf.
    """
    try:
        with torch.device("meta"):
            decoder = DistanceDecoder.like(state)
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{name} does not hold the weights of micro-sam's instance decoder: "
            f"{_reason(error)}. Needed is a `*_decoder.pt` as micro-sam publishes it, "
            "or a checkpoint with `decoder_state`."
        ) from error
    _check_keys(decoder, state, name)
    decoder.load_state_dict(state, strict=True, assign=True)
    return decoder.eval()


def new_tiny_sam(metadata: ModelMetadata) -> Sam:
    """A `vit_t` network with random weights, to be trained.

    Two things make a click stand out from its surroundings from the first step on,
    which the decoder would else take long to learn: positions are projected at mixed
    scales, down to wavelengths of a sixteenth of the window, and where tokens and
    image attend to each other, queries and keys begin with equal weights, so that
    attention goes to equal positions.
    """
    size = metadata.image_size or DEFAULT_IMAGE_SIZE
    sam = _sam(TinyViT(size, out_chans=256), metadata, **PUBLISHED_DECODER)
    matrix = sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix
    low, high = (math.log(scale) for scale in POSITION_SCALES)
    matrix.mul_(torch.empty(matrix.shape[1]).uniform_(low, high).exp())
    transformer = sam.mask_decoder.transformer
    for name, module in transformer.named_modules():
        if isinstance(module, Attention) and not name.endswith("self_attn"):
            module.q_proj.weight.data.mul_(CROSS_ATTENTION_GAIN)
            module.k_proj.weight.data.copy_(module.q_proj.weight.data)
    return sam


def new_instance_head(encoder: TinyViT) -> InstanceHead:
    """An instance decoder for the encoder, with random weights."""
    return InstanceHead(encoder.stage_channels)


PUBLISHED_DECODER = {
    "channels": 256,
    "masks": 4,
    "depth": 2,
    "hidden": 2048,
    "iou_hidden": 256,
    "mask_in_chans": 16,
}


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _network(state: Mapping[str, Tensor], metadata: ModelMetadata) -> Sam:
    decoder_layers = "mask_decoder.transformer.layers."
    encoder = _image_encoder(state, metadata)
    sam = _sam(
        encoder,
        metadata,
        channels=state["mask_decoder.iou_token.weight"].shape[1],
        masks=state["mask_decoder.mask_tokens.weight"].shape[0],
        depth=_count(state, decoder_layers),
        hidden=state[f"{decoder_layers}0.mlp.lin1.weight"].shape[0],
        iou_hidden=state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        mask_in_chans=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
    )
    own = _below(state, INSTANCE_PREFIX)
    if DISTANCE_KEY in own:
        sam.instance_decoder = DistanceDecoder.like(own)
    elif own:
        if isinstance(encoder, ImageEncoderViT):
            raise ValueError(f"{INSTANCE_PREFIX}* needs the encoder of vit_t")
        sam.instance_decoder = new_instance_head(encoder)
    return sam


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }


def _sam(
    image_encoder: ImageEncoderViT | TinyViT, metadata: ModelMetadata, **decoder: int
) -> Sam:
    channels = decoder["channels"]
    size = image_encoder.img_size
    if size % EMBEDDING_STRIDE:
        raise CheckpointError(
            f"an image size is a multiple of {EMBEDDING_STRIDE} pixels, got {size}"
        )
    prompt_encoder = PromptEncoder(
        channels, size // EMBEDDING_STRIDE, size, decoder["mask_in_chans"]
    )
    transformer = TwoWayTransformer(
        decoder["depth"], channels, DECODER_HEADS, decoder["hidden"]
    )
    mask_decoder = MaskDecoder(
        transformer, channels, decoder["masks"], decoder["iou_hidden"]
    )
    return Sam(image_encoder, prompt_encoder, mask_decoder, metadata)


def _image_encoder(
    state: Mapping[str, Tensor], metadata: ModelMetadata
) -> ImageEncoderViT | TinyViT:
    out_chans = state["image_encoder.neck.0.weight"].shape[0]
    if "image_encoder.patch_embed.seq.0.c.weight" in state:
        return TinyViT(metadata.image_size or DEFAULT_IMAGE_SIZE, out_chans)
    _, side, _, dim = state["image_encoder.pos_embed"].shape
    patch = state["image_encoder.patch_embed.proj.weight"].shape[-1]
    depth = _count(state, "image_encoder.blocks.")
    positions = [
        state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape for i in range(depth)
    ]
    # A block's table of relative positions has 2 * side - 1 rows.
    sides = [(rows + 1) // 2 for rows, _ in positions]
    return ImageEncoderViT(
        img_size=side * patch,
        patch_size=patch,
        embed_dim=dim,
        num_heads=dim // positions[0][1],
        windows=tuple(None if block == side else block for block in sides),
        out_chans=out_chans,
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    numbers = {
        key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)
    }
    if not numbers:
        raise KeyError(f"{prefix}0")
    return len(numbers)


def _same_type(value: Tensor, wanted: Tensor) -> bool:
    """Whether both are floats, of whatever width, or both of one other type."""
    if wanted.is_floating_point():
        return value.is_floating_point()
    return value.dtype == wanted.dtype


def _has_nan(value: Tensor) -> bool:
    if value.is_meta or not value.is_floating_point():
        return False
    # NaN and inf both survive finding the extremes, which takes no memory.
    return value.numel() > 0 and not all(
        bool(extreme.isfinite()) for extreme in value.aminmax()
    )


def _check_keys(network: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    wanted = network.state_dict()
    problems = {
        "missing": sorted(wanted.keys() - state.keys()),
        "unknown": sorted(state.keys() - wanted.keys()),
        "of the wrong shape": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
            for key, value in wanted.items()
            if key in state and state[key].shape != value.shape
        ],
        "of the wrong type": [
            f"{key} {state[key].dtype}"
            for key, value in wanted.items()
            if key in state and not _same_type(state[key], value)
        ],
        "not finite": [
            key for key in sorted(wanted.keys() & state.keys()) if _has_nan(state[key])
        ],
    }
    found = [
        f"{len(keys)} {problem}: {', '.join(keys[:NAMED_KEYS])}"
        + (", ..." if len(keys) > NAMED_KEYS else "")
        for problem, keys in problems.items()
        if keys
    ]
    if found:
        raise CheckpointError(
            f"{name} does not fit the architecture that its shapes announce; "
            + "; ".join(found)
            + ". Is the file whole, and of segment_anything, MobileSAM or micro-sam?"
        )
