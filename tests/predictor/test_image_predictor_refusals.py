"""What `ImagePredictor` refuses, and what it says then."""

import numpy as np
import pytest
from stand_ins import ArrayImage, RegionOracle, a_disc, scene

from napari_sam.errors import ImageError, PredictorError, PromptError
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import BoxPrompt, Click, Prompt


@pytest.fixture
def predictor() -> ImagePredictor:
    return ImagePredictor(
        RegionOracle(),
        ArrayImage(scene(a_disc(500, 500, 60)), (5,)),
        cache=EmbeddingCache(),
    )


@pytest.mark.parametrize(
    "prompt", [Click(-1, 5), Click(5, 2048), BoxPrompt(3000, 0, 3010, 10)], ids=repr
)
def test_a_prompt_outside_the_image_is_refused(
    predictor: ImagePredictor, prompt: Prompt
) -> None:
    with pytest.raises(PromptError, match="outside the image"):
        predictor.predict([Click(500, 500), prompt], plane=(0,))


@pytest.mark.parametrize("plane", [(), (5,), (-1,), (0, 0)])
def test_a_plane_that_does_not_exist_is_refused(
    predictor: ImagePredictor, plane: tuple[int, ...]
) -> None:
    with pytest.raises(PromptError, match="needs 1 indices"):
        predictor.predict([Click(500, 500)], plane=plane)


@pytest.mark.parametrize("prompts", [[], [Click(500, 500, positive=False)]])
def test_nothing_positive_among_the_prompts_is_refused(
    predictor: ImagePredictor, prompts: list[Prompt]
) -> None:
    with pytest.raises(PromptError, match="At least one positive"):
        predictor.predict(prompts, plane=(0,))


@pytest.mark.parametrize("level", [-1, 4])
def test_a_level_that_does_not_exist_is_refused(
    predictor: ImagePredictor, level: int
) -> None:
    with pytest.raises(PredictorError, match="levels 0 to 3"):
        predictor.predict([Click(500, 500)], plane=(0,), level=level)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [([(500, 500)], r"got \(500, 500\)"), (Click(500, 500), r"\[Click\(\.\.\.\)\]")],
)
def test_what_is_no_list_of_prompts_is_refused(
    predictor: ImagePredictor, prompts: list[Prompt], message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        predictor.predict(prompts, plane=(0,))


def test_the_error_for_a_plain_array_says_how_to_open_it() -> None:
    with pytest.raises(ImageError, match="open_image"):
        ImagePredictor(RegionOracle(), np.zeros((8, 8), np.uint8))  # type: ignore[arg-type]
