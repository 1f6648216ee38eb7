"""The fast generator says what a plain one says, in the same order."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from skimage import data
from straightforward import Settings, generate

import napari_sam as ns
from napari_sam.errors import PredictorError, PromptError
from napari_sam.masks import from_run_lengths
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.inference.upscaling import Upscaling
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam

EVERYTHING = Settings(
    points_per_side=4, pred_iou_thresh=0.0, stability_score_thresh=0.0
)


@pytest.fixture(scope="module")
def tiny() -> Sam:
    """A random network with outlines, where the click makes a difference."""
    torch.manual_seed(5)
    sam = new_tiny_sam(ModelMetadata("tiny", "random", image_size=64)).eval()
    for layer in sam.mask_decoder.transformer.layers:
        attention = layer.cross_attn_image_to_token
        attention.q_proj.weight.data *= 3
        attention.k_proj.weight.data *= 3
        attention.out_proj.weight.data *= 10
    for mlp in sam.mask_decoder.output_hypernetworks_mlps:
        mlp.layers[-1].weight.data *= 400
    sam.mask_decoder.iou_prediction_head.layers[-1].bias.data += 0.5
    return sam


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return np.ascontiguousarray(data.astronaut()[20:110, 160:300])


def fast(model: Sam, image: NDArray[np.uint8], settings: Settings, **more: Any) -> Any:
    made = ns.SamAutomaticMaskGenerator(model, **asdict(settings), **more)
    return made.generate(image)


def assert_same(ours: list[dict[str, Any]], plain: list[dict[str, Any]]) -> None:
    assert [r["point_coords"] for r in ours] == [r["point_coords"] for r in plain]
    assert [r["crop_box"] for r in ours] == [r["crop_box"] for r in plain]
    for mine, theirs in zip(ours, plain, strict=True):
        # Sums in another order may turn a pixel whose logit is 0 to six digits.
        different = mine["segmentation"] != theirs["segmentation"]
        assert np.count_nonzero(different) <= 1
        assert mine["area"] == np.count_nonzero(mine["segmentation"])
        if not different.any():
            assert mine["bbox"] == theirs["bbox"]
        for key in ("predicted_iou", "stability_score"):
            assert mine[key] == pytest.approx(theirs[key], abs=1e-3)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"pred_iou_thresh": "median"},
        {"stability_score_thresh": 0.8},
        {"stability_score_offset": 0.2, "stability_score_thresh": 0.9},
        {"box_nms_thresh": 0.95},
        {"min_mask_region_area": 300},
        {"crop_n_layers": 1, "crop_n_points_downscale_factor": 2},
        {"crop_n_layers": 1, "crop_nms_thresh": 0.9, "crop_overlap_ratio": 0.1},
    ],
    ids=str,
)
def test_records_and_their_order_are_those_of_the_plain_way(
    tiny: Sam, picture: NDArray[np.uint8], changed: dict[str, Any]
) -> None:
    if changed.get("pred_iou_thresh") == "median":
        every = generate(tiny, picture, EVERYTHING)
        scores = sorted(record["predicted_iou"] for record in every)
        # Between two scores: at one of them, rounding would decide.
        middle = len(scores) // 2
        changed = {"pred_iou_thresh": float(np.mean(scores[middle - 1 : middle + 1]))}
    settings = Settings(**{**asdict(EVERYTHING), **changed})
    plain = generate(tiny, picture, settings)
    assert len(plain) > 1
    assert_same(fast(tiny, picture, settings), plain)


@pytest.mark.slow
def test_it_agrees_with_the_plain_way_on_the_default_and_a_real_picture() -> None:
    model = ns.load_model("default", device="cpu")
    picture = np.repeat(data.coins()[40:180, 60:200, None], 3, axis=2)
    settings = Settings(
        points_per_side=4,
        pred_iou_thresh=0.1,
        stability_score_thresh=0.05,
        stability_score_offset=0.25,
    )
    plain = generate(model, picture, settings)
    assert len(plain) > 1
    assert_same(fast(model, picture, settings), plain)


def test_own_grids_are_clicked_at_in_place_of_a_regular_one(
    tiny: Sam, picture: NDArray[np.uint8]
) -> None:
    found = fast(
        tiny,
        picture,
        replace(EVERYTHING, points_per_side=None),
        point_grids=[np.array([[0.5, 0.25]])],
    )
    assert {tuple(map(tuple, record["point_coords"])) for record in found} == {
        ((70.0, 22.5),)
    }


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_every_output_mode_says_the_same(tiny: Sam, picture: NDArray[np.uint8]) -> None:
    masks = fast(tiny, picture, EVERYTHING)
    runs = fast(tiny, picture, EVERYTHING, output_mode="uncompressed_rle")
    packed = fast(tiny, picture, EVERYTHING, output_mode="coco_rle")
    assert len(masks) > 1
    for mask, run, rle in zip(masks, runs, packed, strict=True):
        segmentation = mask["segmentation"]
        assert run["segmentation"]["size"] == list(segmentation.shape)
        unrolled = from_run_lengths(
            run["segmentation"]["counts"], segmentation.T.shape
        ).T
        np.testing.assert_array_equal(unrolled, segmentation)
        assert json.loads(json.dumps(rle)) == rle
        np.testing.assert_array_equal(coco.decode(rle["segmentation"]), segmentation)


def test_the_number_of_clicks_answered_together_changes_nothing(
    tiny: Sam, picture: NDArray[np.uint8]
) -> None:
    together = fast(tiny, picture, EVERYTHING)
    assert_same(fast(tiny, picture, EVERYTHING, points_per_batch=3), together)


def test_no_mask_is_drawn_for_a_click_whose_answers_are_all_expected_to_be_bad(
    tiny: Sam, picture: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    best = max(r["predicted_iou"] for r in fast(tiny, picture, EVERYTHING))
    drawn: list[int] = []
    draw = Upscaling.draw

    def counted(upscaling: Upscaling, filters: torch.Tensor, *rest: Any) -> Any:
        drawn.append(len(filters))
        return draw(upscaling, filters, *rest)

    monkeypatch.setattr(Upscaling, "draw", counted)
    fast(tiny, picture, EVERYTHING)
    assert sum(drawn) == 16  # the control: with no threshold every click is drawn
    drawn.clear()
    assert fast(tiny, picture, replace(EVERYTHING, pred_iou_thresh=best)) == []
    assert drawn == []


def test_an_image_is_encoded_once_and_a_crop_once_each(
    tiny: Sam, picture: NDArray[np.uint8]
) -> None:
    encodes = []
    handle = tiny.image_encoder.register_forward_hook(lambda *_: encodes.append(1))
    fast(tiny, picture, replace(EVERYTHING, points_per_side=1, crop_n_layers=1))
    handle.remove()
    assert len(encodes) == 1 + 4


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"points_per_side": None}, "neither"),
        ({"point_grids": [np.zeros((1, 2))]}, "both"),
        (
            {
                "points_per_side": None,
                "crop_n_layers": 1,
                "point_grids": [np.zeros((1, 2))],
            },
            "1 layers of crops",
        ),
        ({"output_mode": "png"}, "coco_rle"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    tiny: Sam, arguments: dict[str, Any], hint: str
) -> None:
    with pytest.raises(PredictorError, match=hint):
        ns.SamAutomaticMaskGenerator(tiny, **arguments)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((9, 9, 3)), np.zeros((9, 9), np.uint8), np.zeros(9, np.uint8)],
    ids=lambda image: f"{image.dtype} {image.shape}",
)
def test_an_image_of_the_wrong_kind_is_refused(tiny: Sam, wrong: Any) -> None:
    with pytest.raises(PredictorError, match="uint8"):
        ns.SamAutomaticMaskGenerator(tiny).generate(wrong)


def test_no_clicks_at_a_time_are_refused(tiny: Sam) -> None:
    with pytest.raises(PromptError, match="64 is usual"):
        ns.SamAutomaticMaskGenerator(tiny, points_per_batch=0)
