"""The network computes what the reference implementations compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam.model.checkpoints import load_model
from napari_sam.predictor.sam_predictor import SamPredictor

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
IMAGES = ("mini_300x420", "mini_1500x700", "vit_t_300x420")
CASES = (
    "one_point",
    "one_point_single",
    "four_points_mixed",
    "box",
    "box_and_points",
    "point_and_mask",
    "mask_only",
)

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_dir(), reason=f"no reference outputs in {GOLDEN}"
)


@pytest.fixture(scope="module", params=IMAGES)
def reference(request: pytest.FixtureRequest) -> dict[str, NDArray]:
    with np.load(GOLDEN / f"{request.param}.npz") as file:
        return {"name": request.param, **file}


@pytest.fixture(scope="module")
def predictor(reference: dict[str, NDArray]) -> SamPredictor:
    name = str(reference["name"]).rsplit("_", 1)[0]
    predictor = SamPredictor(load_model(GOLDEN / f"{name}.pth", device="cpu"))
    predictor.set_image(reference["image"])
    return predictor


def assert_close(ours: NDArray, theirs: NDArray) -> None:
    theirs = theirs.astype(np.float32)
    assert np.abs(ours - theirs).max() < 1e-2
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 2e-3


def test_the_embedding_agrees(
    predictor: SamPredictor, reference: dict[str, NDArray]
) -> None:
    assert_close(predictor.get_image_embedding().numpy(), reference["embedding"])


@pytest.mark.parametrize("case", CASES)
def test_scores_logits_and_masks_agree(
    predictor: SamPredictor, reference: dict[str, NDArray], case: str
) -> None:
    prefix = f"{case}/in/"
    prompts = {
        key.removeprefix(prefix): value
        for key, value in reference.items()
        if key.startswith(prefix)
    }
    prompts["multimask_output"] = bool(prompts["multimask_output"])
    masks, scores, low_res = predictor.predict(**prompts)
    np.testing.assert_allclose(scores, reference[f"{case}/scores"], atol=1e-3)
    assert_close(low_res, reference[f"{case}/low_res_logits"])
    width = masks.shape[-1]
    expected = np.unpackbits(reference[f"{case}/masks"], axis=-1)[..., :width]
    assert masks.dtype == bool
    assert (masks != expected.astype(bool)).mean() < 1e-3
