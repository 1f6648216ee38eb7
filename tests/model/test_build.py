"""The architecture is read off the weights, and what does not fit is named."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from napari_sam.errors import CheckpointError
from napari_sam.model.build import build_sam, new_tiny_sam
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.tiny_vit import TinyViT

FACTS = ModelMetadata("some file", "fingerprint", image_size=64)


@dataclass(frozen=True, slots=True)
class Variant:
    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    side: int = 64  # of the embedding
    window: int = 14
    patch: int = 16


VARIANTS = {
    "ViT-B": Variant(768, 12, 12, (2, 5, 8, 11)),
    "ViT-L": Variant(1024, 24, 16, (5, 11, 17, 23)),
    "ViT-H": Variant(1280, 32, 16, (7, 15, 23, 31)),
    "small": Variant(32, 3, 2, (1,), side=4, window=2),
}


def published_shapes(variant: Variant) -> dict[str, tuple[int, ...]]:
    """Key by key what the published files hold of an image encoder."""
    width, side = variant.width, variant.side
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embed": (1, side, side, width),
        "patch_embed.proj.weight": (width, 3, variant.patch, variant.patch),
        "patch_embed.proj.bias": (width,),
        "neck.0.weight": (256, width, 1, 1),
        "neck.1.weight": (256,),
        "neck.1.bias": (256,),
        "neck.2.weight": (256, 256, 3, 3),
        "neck.3.weight": (256,),
        "neck.3.bias": (256,),
    }
    for index in range(variant.depth):
        seen = side if index in variant.global_blocks else variant.window
        positions = (2 * seen - 1, width // variant.heads)
        block: dict[str, tuple[int, ...]] = {
            "attn.rel_pos_h": positions,
            "attn.rel_pos_w": positions,
            "attn.qkv.weight": (3 * width, width),
            "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "mlp.lin1.weight": (4 * width, width),
            "mlp.lin1.bias": (4 * width,),
            "mlp.lin2.weight": (width, 4 * width),
            "mlp.lin2.bias": (width,),
            **{
                f"norm{n}.{kind}": (width,)
                for n in (1, 2)
                for kind in ("weight", "bias")
            },
        }
        shapes |= {f"blocks.{index}.{key}": shape for key, shape in block.items()}
    return {f"image_encoder.{key}": shape for key, shape in shapes.items()}


@pytest.fixture(scope="module")
def tiny_state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(new_tiny_sam(FACTS).state_dict())


def state_of(variant: Variant, tiny_state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint of this variant without memory for its weights."""
    encoder = {
        key: torch.empty(shape, device="meta")
        for key, shape in published_shapes(variant).items()
    }
    rest = {k: v for k, v in tiny_state.items() if not k.startswith("image_encoder.")}
    return {**encoder, **rest}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_vit_is_read_off_its_shapes(name: str, tiny_state: dict[str, Tensor]) -> None:
    variant = VARIANTS[name]
    sam = build_sam(state_of(variant, tiny_state), FACTS)
    encoder = sam.image_encoder
    assert isinstance(encoder, ImageEncoderViT)
    assert encoder.img_size == sam.window_size == variant.side * variant.patch
    assert encoder.pos_embed.shape[-1] == variant.width
    blocks = list(encoder.blocks)
    assert len(blocks) == variant.depth
    assert {block.attn.heads for block in blocks} == {variant.heads}
    windows = [block.window for block in blocks]
    assert tuple(i for i, w in enumerate(windows) if w is None) == variant.global_blocks
    assert set(windows) - {None} == {variant.window}
    assert sam.prompt_encoder.image_embedding_side == variant.side


def test_the_image_size_of_facts_does_not_matter_to_a_vit(
    tiny_state: dict[str, Tensor],
) -> None:
    metadata = ModelMetadata("vit", "f", image_size=512)
    sam = build_sam(state_of(VARIANTS["small"], tiny_state), metadata)
    assert sam.window_size == 64


def test_a_tiny_network_comes_back_with_its_weights(
    tiny_state: dict[str, Tensor],
) -> None:
    sam = build_sam(tiny_state, FACTS)
    assert isinstance(sam.image_encoder, TinyViT)
    assert sam.window_size == 64
    assert not sam.training
    for key, value in sam.state_dict().items():
        torch.testing.assert_close(value, tiny_state[key])


def test_half_precision_weights_become_float32(tiny_state: dict[str, Tensor]) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in tiny_state.items()}
    sam = build_sam(half, FACTS)
    assert {p.dtype for p in sam.parameters()} == {torch.float32}


def test_without_facts_a_tiny_network_sees_1024_pixels(
    tiny_state: dict[str, Tensor],
) -> None:
    assert build_sam(tiny_state, ModelMetadata("t", "f")).window_size == 1024


def test_two_tiny_networks_of_one_seed_are_equal() -> None:
    networks: list[Sam] = []
    for _ in range(2):
        torch.manual_seed(5)
        networks.append(new_tiny_sam(FACTS))
    first, second = (network.state_dict() for network in networks)
    assert all(torch.equal(first[key], second[key]) for key in first)


KEY = "mask_decoder.iou_prediction_head.layers.1.weight"


def test_a_missing_key_is_named(tiny_state: dict[str, Tensor]) -> None:
    state = {key: value for key, value in tiny_state.items() if key != KEY}
    with pytest.raises(CheckpointError, match=f"some file .*1 missing: {KEY}"):
        build_sam(state, FACTS)


def test_an_unknown_key_is_named(tiny_state: dict[str, Tensor]) -> None:
    state = {**tiny_state, "mask_decoder.extra": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"1 unknown: mask_decoder\.extra"):
        build_sam(state, FACTS)


def test_a_wrong_shape_is_named_with_the_right_one(
    tiny_state: dict[str, Tensor],
) -> None:
    state = {**tiny_state, KEY: torch.zeros(3, 256)}
    with pytest.raises(
        CheckpointError, match=rf"wrong shape: {KEY} \(3, 256\) instead of \(256, 256\)"
    ):
        build_sam(state, FACTS)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64])
def test_numbers_of_another_kind_are_named(
    dtype: torch.dtype, tiny_state: dict[str, Tensor]
) -> None:
    state = {**tiny_state, KEY: tiny_state[KEY].to(dtype)}
    with pytest.raises(CheckpointError, match=rf"wrong type: {KEY} {dtype}"):
        build_sam(state, FACTS)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_weights_that_are_not_finite_are_named(
    value: float, tiny_state: dict[str, Tensor]
) -> None:
    state = {**tiny_state, KEY: tiny_state[KEY].clone()}
    state[KEY][1, 2] = value
    with pytest.raises(CheckpointError, match=f"1 not finite: {KEY}"):
        build_sam(state, FACTS)


def test_many_wrong_keys_are_counted_and_a_few_are_named(
    tiny_state: dict[str, Tensor],
) -> None:
    state = {**tiny_state, **{f"extra.{i}": torch.zeros(1) for i in range(9)}}
    with pytest.raises(CheckpointError, match=r"9 unknown: .*extra\.3, \.\.\."):
        build_sam(state, FACTS)


@pytest.mark.parametrize(
    "damage",
    [
        {"image_encoder.neck.0.weight": None},
        {"image_encoder.neck.0.weight": torch.tensor(1.0)},
        {"mask_decoder.iou_token.weight": torch.zeros(4)},
        {"mask_decoder.transformer.layers.0.mlp.lin1.weight": None},
    ],
)
def test_what_is_no_sam_says_what_is_needed(
    tiny_state: dict[str, Tensor], damage: dict[str, Tensor | None]
) -> None:
    merged = {**tiny_state, **damage}
    state = {key: value for key, value in merged.items() if value is not None}
    with pytest.raises(CheckpointError, match="as published by segment_anything"):
        build_sam(state, FACTS)


@pytest.mark.parametrize(
    "damage",
    [
        {"image_encoder.pos_embed": (1, 4, 32)},
        {"image_encoder.blocks.0.attn.rel_pos_h": (3, 0)},
        {"image_encoder.blocks.0.attn.rel_pos_h": (3,)},
        {"image_encoder.blocks.1.attn.rel_pos_h": None},
    ],
)
def test_a_damaged_vit_says_what_is_needed(
    tiny_state: dict[str, Tensor], damage: dict[str, tuple[int, ...] | None]
) -> None:
    state = state_of(VARIANTS["small"], tiny_state)
    for key, shape in damage.items():
        del state[key]
        if shape is not None:
            state[key] = torch.empty(shape, device="meta")
    with pytest.raises(CheckpointError, match="as published by segment_anything"):
        build_sam(state, FACTS)


def test_an_image_size_between_the_embedding_s_pixels_is_refused(
    tiny_state: dict[str, Tensor],
) -> None:
    with pytest.raises(CheckpointError, match="multiple of 16 pixels, got 100"):
        build_sam(tiny_state, ModelMetadata("t", "f", image_size=100))


def test_an_empty_file_says_what_is_needed() -> None:
    with pytest.raises(CheckpointError, match="is missing"):
        build_sam({}, FACTS)
