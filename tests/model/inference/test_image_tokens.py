"""What the decoder keeps of an embedding is made once, and never out of date."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from decoder_scene import encoded, error, fast, features_for, plain, random_sam
from torch import Tensor, nn

from napari_sam.model.inference import image_tokens
from napari_sam.model.inference import mask_decoder as fast_decoder
from napari_sam.model.sam import Sam


@pytest.fixture
def sam() -> Sam:
    torch.manual_seed(12)
    return random_sam(64)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each image that is read."""
    counted: list[int] = []
    project = fast_decoder._projected

    def count(*arguments: object) -> object:
        counted.append(1)
        return project(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fast_decoder, "_projected", count)
    return counted


def read(sam: Sam, features: Tensor) -> image_tokens.DecoderImage:
    return sam.decoder_image(features)


def test_later_prompts_on_an_embedding_read_it_0_times(
    sam: Sam, reads: list[int]
) -> None:
    features = features_for(sam)
    first = read(sam, features)
    assert read(sam, features) is first
    assert read(sam, features.clone()) is first
    assert len(reads) == 1
    read(sam, features + 1)
    assert len(reads) == 2


def test_the_images_used_last_are_kept(sam: Sam, reads: list[int]) -> None:
    several = [features_for(sam) for _ in range(image_tokens.IMAGES_KEPT + 1)]
    for features in several[:-1]:
        read(sam, features)
    read(sam, several[0])
    read(sam, several[-1])
    reads.clear()
    read(sam, several[0])
    assert reads == []
    read(sam, several[1])
    assert reads == [1]
    assert len(sam.recent_images) == image_tokens.IMAGES_KEPT


def test_an_embedding_that_is_written_into_is_read_again(sam: Sam) -> None:
    features, prompts = features_for(sam), encoded(sam, "points", 2)
    before, _ = fast(sam, features, prompts)
    features.data[3] += 1
    after, _ = fast(sam, features, prompts)
    assert error(after, before) > 1e-4
    assert error(after, plain(sam, features, prompts)[0]) < 2e-6


def weights_that_matter(sam: Sam) -> list[nn.Parameter | Tensor]:
    first = sam.mask_decoder.transformer.layers[0]
    to_image = first.cross_attn_token_to_image
    to_tokens = first.cross_attn_image_to_token
    return [
        to_image.k_proj.weight,
        to_image.v_proj.weight,
        to_image.v_proj.bias,
        to_tokens.q_proj.weight,
        to_tokens.q_proj.bias,
        sam.prompt_encoder.no_mask_embed.weight,
        sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix,
        sam.mask_decoder.output_upscaling[0].weight,
        sam.mask_decoder.output_upscaling[3].bias,
    ]


@pytest.mark.parametrize("index", range(9))
def test_a_change_of_weights_shows_at_once_even_behind_torch_s_back(
    sam: Sam, index: int
) -> None:
    features, prompts = features_for(sam), encoded(sam, "points", 2)
    before, _ = fast(sam, features, prompts)
    # Written through .data, which no version number of a tensor tells.
    weights_that_matter(sam)[index].data.mul_(1.5).add_(0.01)
    after, _ = fast(sam, features, prompts)
    assert error(after, before) > 1e-5
    assert error(after, plain(sam, features, prompts)[0]) < 2e-6


def test_loading_other_weights_forgets_what_the_old_ones_made(sam: Sam) -> None:
    features, prompts = features_for(sam), encoded(sam, "points", 2)
    for _ in range(3):
        read(sam, features_for(sam))
    fast(sam, features, prompts)
    other = random_sam(64)
    sam.load_state_dict(other.state_dict())
    ours, _ = fast(sam, features, prompts)
    assert torch.equal(ours, fast(other, features, prompts)[0])
    assert len(sam.recent_images) == 1


def test_weights_of_another_type_make_images_of_that_type(sam: Sam) -> None:
    features = features_for(sam)
    assert read(sam, features).keys_hpd.dtype == torch.float32
    sam.mask_decoder.double()
    assert read(sam, features).keys_hpd.dtype == torch.float64


def test_copies_begin_with_nothing_kept_and_the_state_has_no_more_keys(
    sam: Sam,
) -> None:
    keys = set(sam.state_dict())
    read(sam, features_for(sam))
    assert set(sam.state_dict()) == keys
    assert len(sam.recent_images) == 1
    for copied in (copy.deepcopy(sam), pickle.loads(pickle.dumps(sam))):
        assert len(copied.recent_images) == 0
