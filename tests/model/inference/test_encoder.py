"""The encoders for inference compute what the plain ones compute."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_sam.model.build import new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference import attention_cpu
from napari_sam.model.inference import layers as fast_layers
from napari_sam.model.inference.attention_cpu import Positions, attend_by_position
from napari_sam.model.inference.attention_cuda import ON_GPU, attend_by_concatenation
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.inference.layers import ON_PROCESSOR, DTypes
from napari_sam.model.inference.tiny_vit import FastTinyViT
from napari_sam.model.inference.vit import FastViT
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.tiny_vit import TinyViT

EXACT = 2e-6
LOWERED = 3e-2
"""Of the largest magnitude, in bfloat16: eight bits, through a whole encoder."""

SHARED = Path(__file__).parents[4] / "shared"
GOLDEN = {
    "mini_300x420": "mini",
    "mini_1500x700": "mini",
    "vit_t_300x420": "vit_t",
}
FLOAT32 = DTypes(torch.float32, torch.float32)
BFLOAT16 = DTypes(torch.bfloat16, torch.float32)


def far(ours: Tensor, plain: Tensor) -> float:
    """The largest difference, in largest magnitudes."""
    return ((ours - plain).abs().max() / plain.abs().max()).item()


def randomised(encoder: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter and statistic is random, so that each of them matters."""
    generator = torch.Generator().manual_seed(seed)
    for module in encoder.modules():
        for name, value in module.named_parameters(recurse=False):
            spread = 0.2 if value.ndim == 1 else 1 / value[0].numel() ** 0.5
            centre = 1.0 if value.ndim == 1 and name == "weight" else 0.0
            with torch.no_grad():
                value.copy_(
                    centre + spread * torch.randn(value.shape, generator=generator)
                )
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
    return encoder.eval().requires_grad_(False)


def vit(img_size: int, windows: tuple[int | None, ...]) -> ImageEncoderViT:
    encoder = ImageEncoderViT(
        img_size=img_size,
        patch_size=16,
        embed_dim=128,
        num_heads=2,
        windows=windows,
        out_chans=32,
    )
    return randomised(encoder)


def image(size: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, size, size, generator=generator)


@pytest.fixture(scope="module")
def full_vit() -> tuple[ImageEncoderViT, Tensor]:
    """ViT-B's map of 64 x 64 tokens and its windows, but fewer blocks and heads."""
    encoder = vit(1024, (14, None))
    return encoder, encoder(image(1024))


@pytest.fixture(scope="module", params=[128, 256, 512])
def tiny(request: pytest.FixtureRequest) -> tuple[TinyViT, Tensor, Tensor]:
    encoder = randomised(TinyViT(request.param, 256))
    pixels = image(request.param)
    return encoder, pixels, encoder(pixels)


@pytest.mark.parametrize("policy", [ON_PROCESSOR, ON_GPU], ids=["bands", "whole"])
def test_vit_is_exact_in_float32(
    full_vit: tuple[ImageEncoderViT, Tensor], policy: fast_layers.DevicePolicy
) -> None:
    encoder, plain = full_vit
    assert far(FastViT(encoder, FLOAT32, policy)(image(1024)), plain) < EXACT


def test_vit_keeps_to_its_tolerance_in_bfloat16(
    full_vit: tuple[ImageEncoderViT, Tensor],
) -> None:
    encoder, plain = full_vit
    ours = FastViT(encoder, BFLOAT16, ON_PROCESSOR)(image(1024))
    assert EXACT < far(ours, plain) < LOWERED


@pytest.mark.parametrize("policy", [ON_PROCESSOR, ON_GPU], ids=["bands", "whole"])
def test_tiny_vit_is_exact_in_float32_at_every_size(
    tiny: tuple[TinyViT, Tensor, Tensor], policy: fast_layers.DevicePolicy
) -> None:
    encoder, pixels, plain = tiny
    assert far(FastTinyViT(encoder, torch.float32, policy)(pixels), plain) < EXACT


def test_tiny_vit_keeps_to_its_tolerance_in_bfloat16(
    tiny: tuple[TinyViT, Tensor, Tensor],
) -> None:
    encoder, pixels, plain = tiny
    ours = FastTinyViT(encoder, torch.bfloat16, ON_PROCESSOR)(pixels)
    assert EXACT < far(ours, plain) < LOWERED


def test_bands_that_do_not_divide_the_map_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = vit(352, (None, 5))  # 22 tokens on a side
    plain = encoder(image(352))
    monkeypatch.setattr(attention_cpu, "SLAB_BYTES", 4 * 22**3 * 5)
    monkeypatch.setattr(fast_layers, "BAND_BYTES", 4 * 512 * 22 * 3)
    assert far(FastViT(encoder, FLOAT32, ON_PROCESSOR)(image(352)), plain) < EXACT


@pytest.mark.parametrize("policy", [ON_PROCESSOR, ON_GPU], ids=["bands", "whole"])
def test_a_batch_gives_what_its_images_give(policy: fast_layers.DevicePolicy) -> None:
    pixels = image(224, count=3)
    for fast in (
        FastViT(vit(224, (None, 4)), FLOAT32, policy),
        FastTinyViT(randomised(TinyViT(224, 64)), torch.float32, policy),
    ):
        singles = torch.cat([fast(pixels[i : i + 1]) for i in range(3)])
        assert far(fast(pixels), singles) < EXACT
        assert far(fast(pixels), singles.flip(0)) > 0.1  # they are not all the same


def test_without_the_positions_attention_would_be_another() -> None:
    qkv = torch.randn(1, 6, 6, 3 * 2 * 8)
    relative = torch.randn(2, 11, 8)
    positions = Positions.of(*relative, torch.float32)
    nowhere = Positions.of(*torch.zeros_like(relative), torch.float32)
    ours = attend_by_position(qkv, 2, positions)
    assert far(ours, attend_by_concatenation(qkv, 2, positions)) < EXACT
    assert far(ours, attend_by_position(qkv, 2, nowhere)) > 0.1


def toy() -> Sam:
    metadata = ModelMetadata("toy", "0123", image_size=128)
    sam = new_tiny_sam(metadata).eval()
    randomised(sam.image_encoder)
    return sam


def in_use(sam: Sam, precision: torch.dtype = torch.float32) -> Sam:
    sam.inference = InferenceForm(precision)
    return sam


def window(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (90, 128, 3), dtype=np.uint8)


def test_a_loaded_model_encodes_with_the_fast_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: Tensor) -> Tensor:
        raise AssertionError("the plain encoder was called")

    sam = load_model("default", device="cpu")
    generator = torch.Generator().manual_seed(0)
    pixels = 255 * torch.rand(1, 3, 512, 512, generator=generator)
    plain = sam.image_encoder(sam.preprocess(pixels))
    monkeypatch.setattr(sam.image_encoder, "forward", refuse)
    assert far(sam.embed(pixels), plain) < EXACT


@pytest.fixture(scope="module")
def default() -> tuple[Sam, Sam]:
    """The embedded default as it is used, and with its plain encoder."""
    plain = load_model("default", device="cpu")
    plain.inference = None
    return load_model("default", device="cpu"), plain


@pytest.mark.parametrize("side", [128, 256, 512])
def test_the_embedded_default_is_exact(side: int, default: tuple[Sam, Sam]) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    ours, plain = (sam.encode(pixels).features_chw for sam in default)
    # Both are rounded to float16: a number may fall on the next one.
    assert np.abs(ours - plain).max() <= 2e-3 * np.abs(plain).max()
    assert (ours != plain).mean() < 0.02


def test_the_form_follows_parameters_that_change_in_place() -> None:
    sam = in_use(toy())
    before = sam.encode(window()).features_chw
    with torch.no_grad():
        sam.image_encoder.layers[1].blocks[0].mlp.fc1.weight.mul_(1.5)
    after = sam.encode(window()).features_chw
    assert not np.array_equal(before, after)
    sam.inference = None
    np.testing.assert_allclose(after, sam.encode(window()).features_chw, atol=0.02)


def test_the_form_is_made_once_for_parameters_that_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sam = in_use(toy())
    made = []
    create: Callable[..., None] = FastTinyViT.__init__
    monkeypatch.setattr(
        FastTinyViT,
        "__init__",
        lambda self, *given: (made.append(1), create(self, *given))[1],
    )
    for seed in range(3):
        sam.encode(window(seed))
    assert len(made) == 1


def test_an_encoder_in_training_encodes_by_itself() -> None:
    sam = in_use(toy())
    sam.encode(window())
    sam.image_encoder.train()
    calls = []
    sam.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    sam.encode(window())
    assert calls == [1]


def test_a_model_can_be_sent_to_another_process_after_use() -> None:
    sam = in_use(toy(), torch.bfloat16)
    embedding = sam.encode(window())
    twin = pickle.loads(pickle.dumps(sam))
    assert twin.precision == torch.bfloat16
    np.testing.assert_array_equal(
        twin.encode(window()).features_chw, embedding.features_chw
    )


def test_many_windows_give_what_each_gives() -> None:
    sam = in_use(toy())
    windows = [window(0), window(1)[:50, :60], window(2)[:, :70]]
    together = sam.encode_many(windows)
    for pixels, embedding in zip(windows, together, strict=True):
        alone = sam.encode(pixels)
        assert embedding.window_shape == alone.window_shape == pixels.shape[:2]
        np.testing.assert_allclose(
            embedding.features_chw, alone.features_chw, atol=0.02
        )
    assert sam.encode_many([]) == []


def test_autocast_around_it_does_not_lower_the_precision() -> None:
    sam = in_use(toy())
    exact = sam.encode(window()).features_chw
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(sam.encode(window()).features_chw, exact)


def test_parameters_are_the_published_ones_in_any_form() -> None:
    plain = toy()
    keys = list(plain.state_dict())
    sam = in_use(plain)
    sam.encode(window())
    assert list(sam.state_dict()) == keys


@pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="no reference outputs")
@pytest.mark.parametrize("name", GOLDEN)
def test_the_reference_embeddings_agree(name: str) -> None:
    sam = load_model(SHARED / "golden" / f"{GOLDEN[name]}.pth", device="cpu")
    with np.load(SHARED / "golden" / f"{name}.npz") as file:
        pixels, theirs = file["image"], file["embedding"][0].astype(np.float32)
    ours = sam.encode(pixels).features_chw.astype(np.float32)
    assert np.abs(ours - theirs).max() < 1e-2
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 2e-3


def test_a_model_that_is_only_built_uses_the_plain_encoder() -> None:
    sam = toy()
    calls = []
    sam.image_encoder.register_forward_hook(lambda *_: calls.append(1))
    sam.encode(window())
    assert calls == [1]
    assert replace(sam.metadata).fingerprint == sam.fingerprint
