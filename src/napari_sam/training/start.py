"""The network at the beginning of a run, and which parts of it learn.

From weights, only the mask decoder learns; everything does on request, and in a new
network. By default the prompt encoder stays as it is: what a click at a place means
does not depend on the images. Normalisation layers of a part that does not learn keep
their statistics too, so that its weights stay the same to the bit.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from napari_sam.errors import TrainingError
from napari_sam.model import ModelMetadata, Sam, build_sam, load_model, new_tiny_sam
from napari_sam.model.build import new_instance_head
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.training.checkpoints import averaged_state
from napari_sam.training.config import Network, TrainingConfig

DEFAULT_IMAGE_SIZE = 512
NEW_WINDOW_SIZE = 256
NEW_NAME = "trained"


def start_network(config: TrainingConfig) -> Sam:
    """The network that a run begins with, on the CPU.

    Raises
    ------
    CheckpointError
        The weights to start from cannot be loaded.
    TrainingError
        They are for another image size than the run wants, or than its crops.
    """
    network = config.network
    torch.manual_seed(config.seed)
    sam = _new(network) if network.start is None else _loaded(network)
    size = sam.image_encoder.img_size
    largest = max(phase.size for phase in config.phase)
    if largest > size:
        raise TrainingError(
            f"Crops need at most the {size} pixels that the encoder works at, got a "
            f"phase with {largest}."
        )
    return sam


def choose_learners(sam: Sam, *, everything: bool, frozen_stages: int = 0) -> None:
    """Let the mask decoder learn, or everything but the encoder's first stages."""
    for part, learns in (
        (sam.image_encoder, everything),
        (sam.prompt_encoder, everything),
        (sam.mask_decoder, True),
    ):
        part.requires_grad_(learns)
        part.train(learns)
    encoder = sam.image_encoder
    if frozen_stages and isinstance(encoder, TinyViT):
        for frozen in (encoder.patch_embed, *encoder.layers[:frozen_stages]):
            frozen.requires_grad_(False).eval()
    if sam.instance_decoder is not None:
        sam.instance_decoder.requires_grad_(False).eval()


def prepare_instance_head(sam: Sam, *, learns: bool) -> None:
    """Give the network an instance decoder that learns, or none.

    One that stays as it is does not fit an encoder that changes. ViT has none.
    """
    encoder = sam.image_encoder
    if not learns or not isinstance(encoder, TinyViT):
        sam.instance_decoder = None
        return
    if sam.instance_decoder is None:
        sam.instance_decoder = new_instance_head(encoder)
    sam.instance_decoder.requires_grad_(True).train()


def _new(network: Network) -> Sam:
    return new_tiny_sam(_new_metadata(network))


def _new_metadata(network: Network) -> ModelMetadata:
    return ModelMetadata(
        network.name or NEW_NAME,
        fingerprint="untrained",
        image_size=network.image_size or DEFAULT_IMAGE_SIZE,
        window_size=network.window_size or NEW_WINDOW_SIZE,
        window_sizes=network.window_sizes,
        object_share=network.object_share,
        instance_share=network.instance_share,
    )


def _loaded(network: Network) -> Sam:
    state = averaged_state(Path(str(network.start)))
    if state is not None:
        return build_sam(state, _new_metadata(network))
    sam = load_model(str(network.start), device="cpu")
    size = sam.image_encoder.img_size
    if network.image_size not in (None, size):
        raise TrainingError(
            f"{network.start} works at an image size of {size} pixels, the config "
            f"wants {network.image_size}. Leave image_size out."
        )
    metadata = sam.metadata
    sam.metadata = replace(
        metadata,
        name=network.name or metadata.name,
        window_size=network.window_size or metadata.window_size,
        window_sizes=network.window_sizes or metadata.window_sizes,
        object_share=network.object_share or metadata.object_share,
        instance_share=network.instance_share or metadata.instance_share,
    )
    return sam
