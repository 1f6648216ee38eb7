"""The fast decoder answers what the plain one answers."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from decoder_scene import (
    KINDS,
    EncodedPrompts,
    encoded,
    error,
    fast,
    features_for,
    plain,
    random_sam,
)
from torch import Tensor

from napari_sam.model.checkpoints import load_model
from napari_sam.model.inference import mask_decoder as fast_decoder
from napari_sam.model.inference import upscaling as fast_upscaling
from napari_sam.model.inference.mask_decoder import predict_points
from napari_sam.model.mask_decoder import MULTIPLE_MASKS
from napari_sam.model.sam import Sam
from napari_sam.model.window_model.point_masks import PointQuery

GOLDEN = Path(__file__).parents[4] / "shared" / "golden"
ONLY_REORDERED = 2e-6
ONLY_REORDERED_IN_FLOAT64 = 1e-13
BFLOAT16 = 0.03
"""Of the largest: numbers of 8 bits, through a dozen products one after another."""


@pytest.fixture(scope="module", autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(11)
    return random_sam()


@pytest.fixture(scope="module")
def features(sam: Sam) -> Tensor:
    return features_for(sam)


def assert_same(sam: Sam, features: Tensor, prompts: EncodedPrompts) -> None:
    answers = fast(sam, features, prompts)
    expected = plain(sam, features, prompts)
    errors = [error(*pair) for pair in zip(answers, expected, strict=True)]
    if max(errors) < ONLY_REORDERED:
        return
    # Processors round differently: here the plain way itself is off by more.
    precise = copy.deepcopy(sam).double()
    truth = plain(precise, features.double(), doubled(prompts))
    for ours, theirs, exact in zip(answers, expected, truth, strict=True):
        assert error(ours.double(), exact) < 2 * error(theirs.double(), exact)
    exact_answers = fast(precise, features, doubled(prompts))
    for ours, exact in zip(exact_answers, truth, strict=True):
        assert error(ours, exact) < ONLY_REORDERED_IN_FLOAT64


def doubled(prompts: EncodedPrompts) -> EncodedPrompts:
    """The same prompts in float64."""
    return replace(
        prompts, sparse=prompts.sparse.double(), dense=prompts.dense.double()
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 7, 64])
def test_random_weights_answer_the_same(
    sam: Sam, features: Tensor, kind: str, count: int
) -> None:
    assert_same(sam, features, encoded(sam, kind, count))


@pytest.fixture(scope="module")
def default() -> Sam:
    return load_model("default", "cpu")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 7])
def test_the_embedded_default_answers_the_same(
    default: Sam, kind: str, count: int
) -> None:
    assert_same(default, features_for(default), encoded(default, kind, count))


@pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no reference weights in {GOLDEN}")
@pytest.mark.parametrize("name", ["mini", "vit_t"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_golden_weights_answer_the_same(name: str, kind: str) -> None:
    sam = load_model(GOLDEN / f"{name}.pth", device="cpu")
    assert_same(sam, features_for(sam), encoded(sam, kind, 2))


def test_sixty_four_prompts_of_the_embedded_default_answer_the_same(
    default: Sam,
) -> None:
    assert_same(default, features_for(default), encoded(default, "points", 64))


def test_the_plain_way_is_no_closer_to_the_truth(sam: Sam, features: Tensor) -> None:
    prompts = encoded(sam, "points", 7)
    answers = [way(sam, features, prompts)[0].double() for way in (fast, plain)]
    precise = copy.deepcopy(sam).double()
    truth, _ = plain(precise, features.double(), doubled(prompts))
    ours, theirs = (error(answer, truth) for answer in answers)
    assert ours < 3 * theirs
    # The control: in float64 both ways are the same to far more digits.
    exact, _ = fast(precise, features, doubled(prompts))
    assert error(exact, truth) < ONLY_REORDERED_IN_FLOAT64


def test_so_many_clicks_that_pixels_are_projected_answer_the_same(
    sam: Sam, features: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    projected = []
    sam.mask_decoder.transformer.register_forward_hook(lambda *_: projected.append(1))
    few, many = encoded(sam, "points", 3), encoded(sam, "several points", 3)
    monkeypatch.setattr(fast_decoder, "MOST_COLUMNS", 8 * few.sparse.shape[1] + 40)
    fast(sam, features, few)
    assert projected == []
    fast(sam, features, many)
    assert projected == [1, 1]  # for one mask, and for three
    assert_same(sam, features, many)
    with_masks = EncodedPrompts(many.sparse, torch.randn(3, 256, 8, 8), True)
    assert_same(sam, features, with_masks)


@pytest.mark.parametrize("kind", ["points", "masks"])
@pytest.mark.parametrize("pixels", [40, 64, 130])
def test_blocks_of_any_size_answer_the_same(
    sam: Sam,
    features: Tensor,
    kind: str,
    pixels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fast_upscaling, "PIXELS_AT_ONCE_ON_CPU", pixels)
    monkeypatch.setattr(fast_decoder, "PIXELS_AT_ONCE_ON_CPU", 3 * 64)
    assert_same(sam, features, encoded(sam, kind, 7))


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_weights_answer_nearly_the_same(sam: Sam, kind: str) -> None:
    features, prompts = features_for(sam), encoded(sam, kind, 5)
    expected_logits, expected_ious = plain(sam, features, prompts)
    rounded = copy.deepcopy(sam)
    rounded.mask_decoder.to(torch.bfloat16)
    logits, ious = fast(rounded, features, prompts)
    assert logits.dtype == ious.dtype == torch.float32
    assert ONLY_REORDERED < error(logits, expected_logits) < BFLOAT16
    assert error(ious, expected_ious) < BFLOAT16


def test_no_prompts_have_no_answers(sam: Sam, features: Tensor) -> None:
    none = encoded(sam, "points", 1)
    none = EncodedPrompts(none.sparse[:0], none.dense[:0], False)
    logits, ious = fast(sam, features, none)
    assert logits.shape == (0, 4, 32, 32)
    assert ious.shape == (0, 4)


def test_answering_needs_no_gradients_and_leaves_training_with_them(
    sam: Sam, features: Tensor
) -> None:
    prompts = encoded(sam, "points", 2)
    assert not fast(sam, features, prompts)[0].requires_grad
    position = sam.prompt_encoder.get_dense_pe()
    logits, _ = sam.mask_decoder.all_masks(
        features[None].float(), position, prompts.sparse, prompts.dense
    )
    assert logits.requires_grad


def test_only_wanted_masks_of_many_clicks_are_drawn_and_in_order(
    sam: Sam, features: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_decoder, "PIXELS_AT_ONCE_ON_CPU", 4 * 64)
    xy = torch.rand(9, 2) * 128
    clicks = (xy[:, None], torch.ones(9, 1))
    with torch.no_grad():
        sparse, dense = sam.prompt_encoder(clicks, None, None)
    logits, ious = plain(sam, features, EncodedPrompts(sparse, dense, False))
    ious = ious[:, MULTIPLE_MASKS]
    least = float(ious.flatten().sort().values[-6:-4].mean())
    wanted = ious > least
    assert 0 < wanted.any(dim=1).sum() < 9
    upscaled = []
    draw = fast_upscaling.Upscaling.draw

    def counted(self: fast_upscaling.Upscaling, *arguments: object) -> Tensor:
        upscaled.append(len(arguments[1]))  # type: ignore[arg-type]
        return draw(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fast_upscaling.Upscaling, "draw", counted)
    query = PointQuery(least, 0.0)
    image = sam.decoder_image(features)
    found = predict_points(sam.prompt_encoder, sam.mask_decoder, image, xy, query)
    assert sum(upscaled) == wanted.any(dim=1).sum()
    assert found.clicks_n.tolist() == wanted.nonzero()[:, 0].tolist()
    expected = logits[:, MULTIPLE_MASKS][wanted]
    assert error(found.logits_nhw, expected) < ONLY_REORDERED
    assert error(found.scores_n, ious[wanted]) < ONLY_REORDERED
