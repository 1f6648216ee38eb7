"""A network with random weights answers as a `WindowModel` has to."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.window_model import Embedding
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

SIDE = 64
CLICK = Click(10, 12)
BOX = BoxPrompt(4, 6, 30, 40)
MASK = MaskPrompt.from_mask(np.ones((8, 9), dtype=bool), Box(5, 6, 13, 15))


@pytest.fixture(scope="module")
def sam() -> Sam:
    torch.manual_seed(3)
    return new_tiny_sam(ModelMetadata("tiny", "random", image_size=SIDE)).eval()


def noise(height: int, width: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(7)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def embedding(sam: Sam) -> Embedding:
    return sam.encode(noise(50, SIDE))


def logits_of(
    sam: Sam, embedding: Embedding, *prompts: Prompt
) -> list[NDArray[np.float32]]:
    answers = sam.predict(embedding, prompts)
    return [answer.logits_hw for answer in answers if answer.logits_hw is not None]


def test_an_embedding_is_float16_and_a_sixteenth_of_the_window(sam: Sam) -> None:
    embedding = sam.encode(noise(33, 20))
    assert embedding.features_chw.dtype == np.float16
    assert embedding.features_chw.shape == (256, SIDE // 16, SIDE // 16)
    assert embedding.window_shape == (33, 20)
    assert embedding.nbytes == 256 * 16 * 2


@pytest.mark.parametrize(
    "shape", [(SIDE, SIDE), (64, 30), (17, 64), (1, 40), (40, 1), (1, 1), (200, 90)]
)
def test_masks_have_the_window_s_shape(sam: Sam, shape: tuple[int, int]) -> None:
    answers = sam.predict(sam.encode(noise(*shape)), [Click(0, 0)])
    for answer in answers:
        assert answer.mask_hw.shape == shape
        assert answer.mask_hw.dtype == np.bool_
        assert answer.logits_hw is not None
        assert answer.logits_hw.shape == shape
        assert answer.logits_hw.dtype == np.float32
        np.testing.assert_array_equal(answer.mask_hw, answer.logits_hw > 0)


@pytest.mark.parametrize("click", [CLICK, Click(1, 1, positive=False)])
def test_a_single_click_gets_three_answers_best_first(
    sam: Sam, embedding: Embedding, click: Click
) -> None:
    scores = [answer.score for answer in sam.predict(embedding, [click])]
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)
    assert all(a >= b for a, b in itertools.pairwise(scores))


@pytest.mark.parametrize(
    "prompts",
    [
        [CLICK, Click(30, 40)],
        [CLICK, Click(30, 40, positive=False)],
        [BOX],
        [MASK],
        [CLICK, BOX],
        [CLICK, MASK],
        [CLICK, BOX, MASK],
    ],
)
def test_everything_else_gets_one_answer(
    sam: Sam, embedding: Embedding, prompts: list[Prompt]
) -> None:
    assert len(sam.predict(embedding, prompts)) == 1


def test_every_prompt_changes_the_answer(sam: Sam, embedding: Embedding) -> None:
    mixes = [[BOX], [BOX, CLICK], [BOX, Click(10, 12, positive=False)], [BOX, MASK]]
    answers = [logits_of(sam, embedding, *mix)[0] for mix in mixes]
    for a, b in itertools.combinations(answers, 2):
        assert not np.allclose(a, b, atol=1e-6)


def test_several_boxes_are_one_that_covers_them(sam: Sam, embedding: Embedding) -> None:
    boxes = (BoxPrompt(4, 20, 10, 40), BoxPrompt(8, 6, 30, 9))
    (several,) = logits_of(sam, embedding, *boxes)
    (one,) = logits_of(sam, embedding, BoxPrompt(4, 6, 30, 40))
    np.testing.assert_array_equal(several, one)


def test_several_masks_are_their_union(sam: Sam, embedding: Embedding) -> None:
    ones = np.ones((8, 4), dtype=bool)
    halves = (
        MaskPrompt.from_mask(ones, Box(5, 6, 13, 10)),
        MaskPrompt.from_mask(ones, Box(5, 10, 13, 14)),
    )
    whole = MaskPrompt.from_mask(np.ones((8, 8), dtype=bool), Box(5, 6, 13, 14))
    (several,) = logits_of(sam, embedding, *halves)
    (one,) = logits_of(sam, embedding, whole)
    np.testing.assert_array_equal(several, one)


def test_a_mask_prompt_reaches_the_network_where_it_is(sam: Sam) -> None:
    seen: list[torch.Tensor] = []
    hook = sam.prompt_encoder.mask_downscaling.register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0])
    )
    try:
        embedding = sam.encode(noise(32, SIDE))
        mask = MaskPrompt.from_mask(np.ones((8, 16), dtype=bool), Box(8, 16, 16, 32))
        sam.predict(embedding, [mask])
    finally:
        hook.remove()
    (square,) = (tensor[0, 0].numpy() for tensor in seen)
    assert square.shape == (SIDE // 4, SIDE // 4)
    expected = np.zeros_like(square, dtype=bool)
    expected[2:4, 4:8] = True
    np.testing.assert_array_equal(square > 0, expected)


def test_an_answer_does_not_depend_on_where_the_embedding_was_kept(
    sam: Sam, embedding: Embedding
) -> None:
    kept = embedding.features_chw.copy()
    kept.setflags(write=False)
    again = Embedding(kept, embedding.window_shape)
    for a, b in zip(
        logits_of(sam, embedding, CLICK), logits_of(sam, again, CLICK), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_a_fraction_of_a_pixel_does_not_matter(sam: Sam, embedding: Embedding) -> None:
    whole = logits_of(sam, embedding, Click(10, 12))
    part = logits_of(sam, embedding, Click(10.9, 12.2))
    np.testing.assert_array_equal(whole, part)


def test_no_prompts_are_refused(sam: Sam, embedding: Embedding) -> None:
    with pytest.raises(PromptError, match="at least one prompt, got none"):
        sam.predict(embedding, [])


def test_padding_is_right_and_below_and_normalised_pixels_come_first(
    sam: Sam,
) -> None:
    padded = sam.preprocess(torch.full((1, 3, 20, SIDE), 255.0))
    assert padded.shape == (1, 3, SIDE, SIDE)
    assert (padded[..., 20:, :] == 0).all()
    expected = (255 - sam.pixel_mean) / sam.pixel_std
    torch.testing.assert_close(padded[0, :, 0, :1], expected[:, 0])


def test_the_facts_name_window_and_weights(sam: Sam) -> None:
    assert (sam.window_size, sam.fingerprint) == (SIDE, "random")
    assert sam.device == torch.device("cpu")
