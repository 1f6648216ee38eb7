"""All objects of one window, with models whose answers a reader can predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread

from napari_sam.automatic.window.options import AutomaticOptions
from napari_sam.automatic.window.segment import grid_clicks, point_masks, segment_window
from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.masks import iou
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.metadata import OWN_QUERY, PUBLISHED_QUERY, ModelMetadata
from napari_sam.model.window_model import WindowMask
from napari_sam.model.window_model.point_masks import (
    PointQuery,
)
from napari_sam.prompts import Click, Prompt

FLUO = Path(__file__).parents[4] / "shared" / "data" / "dsb2018_fluo"

Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SIDE = 96
OPTIONS = AutomaticOptions(object_size=20)


@dataclass
class Regions:
    """Answers a click with the connected region of its gray."""

    window_size: int = SIDE
    fingerprint: str = "regions"
    score: Callable[[int], float] = lambda gray: 0.9
    change: Callable[[Mask], list[Mask]] = lambda mask: [mask]
    encodes: int = 0
    prompts: list[Sequence[Prompt]] = field(default_factory=list)

    def encode(self, pixels_hwc: Gray) -> Gray:
        self.encodes += 1
        return pixels_hwc[..., 0].copy()

    def predict(self, embedding: Gray, prompts: Sequence[Prompt]) -> list[WindowMask]:
        self.prompts.append(prompts)
        (click,) = prompts
        assert isinstance(click, Click)
        islands, _ = ndimage.label(
            embedding == embedding[click.pixel], np.ones((3, 3), dtype=bool)
        )
        mask = islands == islands[click.pixel]
        score = self.score(int(embedding[click.pixel]))
        return [WindowMask(m, score, None) for m in self.change(mask)]


def disc(y: float, x: float, radius: float) -> Mask:
    rows, columns = np.ogrid[:SIDE, :SIDE]
    inside: Mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return inside


DISCS = [disc(20, 22, 11), disc(25, 60, 12), disc(70, 50, 13), disc(92, 90, 11)]


def scene(*masks: Mask, background: int = 20) -> Gray:
    gray = np.full((SIDE, SIDE), background, dtype=np.uint8)
    for index, mask in enumerate(masks):
        gray[mask] = 200 - 10 * index
    return np.repeat(gray[..., None], 3, axis=2)


def truth(*masks: Mask) -> NDArray[np.uint32]:
    labels = np.zeros((SIDE, SIDE), dtype=np.uint32)
    for index, mask in enumerate(masks):
        labels[mask] = index + 1
    return labels


def assert_same_objects(labels: NDArray[np.uint32], wanted: NDArray[np.uint32]) -> None:
    pairs = np.unique(np.stack([labels.ravel(), wanted.ravel()]), axis=1)
    assert pairs.shape[1] == len(np.unique(wanted)) == len(np.unique(labels))
    np.testing.assert_array_equal(labels > 0, wanted > 0)


def test_every_disc_is_found_once_and_the_background_is_none_of_them() -> None:
    model = Regions()
    found = segment_window(model, scene(*DISCS), OPTIONS)
    assert_same_objects(found.labels_hw, truth(*DISCS))
    np.testing.assert_allclose(found.scores_n, [0.9] * 4, atol=1e-6)
    assert model.encodes == 1


def test_a_mask_that_touches_every_border_is_background_only_when_it_is_rejected() -> (
    None
):
    kept = replace(OPTIONS, reject_background=False)
    found = segment_window(Regions(), scene(*DISCS), kept)
    assert found.labels_hw[0, 0] != 0
    assert found.labels_hw.max() == 5


def test_background_between_objects_is_rejected_by_its_intensity() -> None:
    # The frame keeps the background in its middle away from the window's borders.
    frame = np.ones((SIDE, SIDE), dtype=bool)
    frame[3:-3, 3:-3] = False
    pixels = scene(*DISCS[:3], frame)
    found = segment_window(Regions(), pixels, OPTIONS)
    assert_same_objects(found.labels_hw, truth(*DISCS[:3]))
    kept = replace(OPTIONS, reject_background=False)
    found = segment_window(Regions(), pixels, kept)
    assert found.labels_hw[48, 10] != 0  # the control: the model did answer


def test_objects_that_are_dark_are_objects_all_the_same() -> None:
    found = segment_window(Regions(), 255 - scene(*DISCS), OPTIONS)
    assert_same_objects(found.labels_hw, truth(*DISCS))


def test_objects_that_fill_the_window_between_them_are_all_kept() -> None:
    rows, columns = np.indices((SIDE, SIDE)) // 24
    cells = rows * 4 + columns
    rng = np.random.default_rng(3)
    gray = rng.permutation(np.arange(16, dtype=np.uint8) * 15)[cells]
    found = segment_window(Regions(), np.repeat(gray[..., None], 3, 2), OPTIONS)
    assert_same_objects(found.labels_hw, cells.astype(np.uint32) + 1)


def test_islands_and_small_holes_go_and_the_object_stays() -> None:
    def with_specks(mask: Mask) -> list[Mask]:
        y, x = (int(v) for v in ndimage.center_of_mass(mask))
        mask[y, x] = False
        mask[45:47, 80:82] = True
        return [mask]

    found = segment_window(Regions(change=with_specks), scene(DISCS[0]), OPTIONS)
    assert_same_objects(found.labels_hw, truth(DISCS[0]))


def test_of_a_part_the_object_and_a_group_the_best_is_taken() -> None:
    first, second = DISCS[:2]

    def part_object_group(mask: Mask) -> list[Mask]:
        if mask.sum() > 1000:
            return []
        return [ndimage.binary_erosion(mask, iterations=5), mask, first | second]

    @dataclass
    class Ranked(Regions):
        def predict(self, embedding: Gray, prompts: Sequence[Prompt]) -> Any:
            drawn = super().predict(embedding, prompts)
            scores = (0.6, 0.9, 0.7)
            return [replace(m, score=s) for m, s in zip(drawn, scores, strict=False)]

    pixels = scene(first, second)
    found = segment_window(Ranked(change=part_object_group), pixels, OPTIONS)
    assert_same_objects(found.labels_hw, truth(first, second))


def test_an_object_in_another_is_kept_where_that_is_wanted() -> None:
    cell, nucleus = disc(48, 48, 30), disc(48, 48, 9)

    def filled(mask: Mask) -> list[Mask]:
        return [ndimage.binary_fill_holes(mask)]

    pixels = scene(cell, nucleus)
    nested = replace(OPTIONS, max_shared=1.0)
    found = segment_window(Regions(change=filled), pixels, nested)
    assert_same_objects(found.labels_hw, truth(cell, nucleus))
    one = segment_window(Regions(change=filled), pixels, OPTIONS)
    assert one.labels_hw.max() == 1  # the control


def test_what_is_much_smaller_than_an_object_is_none() -> None:
    speck, options = disc(82, 82, 1), replace(OPTIONS, click_spacing=0.2)
    found = segment_window(Regions(), scene(DISCS[0], speck), options)
    assert_same_objects(found.labels_hw, truth(DISCS[0]))
    every = replace(options, min_object_share=0.0)
    found = segment_window(Regions(), scene(DISCS[0], speck), every)
    assert_same_objects(found.labels_hw, truth(DISCS[0], speck))


def test_a_window_without_objects_is_all_background() -> None:
    found = segment_window(Regions(), scene(), OPTIONS)
    assert not found.labels_hw.any()
    assert found.scores_n.shape == (0,)


@pytest.mark.parametrize(("shape", "sides"), [((60, 90), (6, 9)), ((2, 80), (1, 8))])
def test_clicks_lie_half_an_object_apart_in_the_middle_of_their_cells(
    shape: tuple[int, int], sides: tuple[int, int]
) -> None:
    clicks = grid_clicks(shape, OPTIONS)
    assert len(clicks) == sides[0] * sides[1]
    assert (clicks[0].y, clicks[0].x) == pytest.approx(
        (shape[0] / sides[0] / 2, shape[1] / sides[1] / 2)
    )


def test_a_huge_object_still_gets_a_few_clicks() -> None:
    options = AutomaticOptions(object_size=1000)
    assert options.clicks_per_side((40, SIDE)) == (3, 8)


def test_small_objects_get_small_windows() -> None:
    metadata = ModelMetadata(
        "f", "f", image_size=64, window_size=64, window_sizes=(32, 64), object_share=0.2
    )
    model = new_tiny_sam(metadata)
    assert AutomaticOptions(object_size=6).window_side(model) == 32
    assert AutomaticOptions(object_size=7).window_side(model) == 64
    assert AutomaticOptions(object_size=14).window_side(model) == 64
    assert AutomaticOptions(object_size=6).window_side(Regions()) == SIDE


def test_tiny_objects_do_not_cost_more_clicks_than_allowed() -> None:
    options = AutomaticOptions(object_size=1, max_clicks_per_side=10)
    assert len(grid_clicks((SIDE, SIDE), options)) == 100


def test_an_object_size_is_estimated_only_where_none_was_given() -> None:
    pixels = scene(*DISCS)
    estimated = AutomaticOptions().settled(pixels).object_size
    assert estimated == pytest.approx(20, rel=0.3)
    assert OPTIONS.settled(pixels) is OPTIONS


@pytest.mark.parametrize(
    "wrong",
    [
        {"object_size": 0},
        {"object_size": float("nan")},
        {"click_spacing": 0},
        {"max_clicks_per_side": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PredictorError, match=next(iter(wrong))):
        AutomaticOptions(**wrong)


def test_a_model_without_batches_gets_one_click_at_a_time() -> None:
    model = Regions()
    clicks = [Click(20, 22), Click(25, 60)]
    found = point_masks(model, scene(*DISCS)[..., 0], clicks, PointQuery(0.5, 0.5))
    assert [list(prompts) for prompts in model.prompts] == [[click] for click in clicks]
    np.testing.assert_array_equal(found.draw(1, (SIDE, SIDE)), DISCS[1])
    unsure = PointQuery(min_score=0.95)
    assert len(point_masks(model, scene(*DISCS)[..., 0], clicks, unsure)) == 0


def test_sam_answers_all_clicks_at_once_as_it_answers_them_one_by_one() -> None:
    torch.manual_seed(3)
    sam = new_tiny_sam(ModelMetadata("tiny", "random", image_size=64)).eval()
    rng = np.random.default_rng(5)
    embedding = sam.encode(rng.integers(0, 256, (50, 64, 3), dtype=np.uint8))
    clicks = [Click(3.7, 8), Click(30, 60.2), Click(49, 0)]
    found = sam.predict_many(embedding, clicks, PointQuery(-1.0, 0.0))
    assert found.clicks_n.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for index, click in enumerate(clicks):
        alone = {mask.mask_hw.tobytes() for mask in sam.predict(embedding, [click])}
        together = {
            found.draw(i, (50, 64)).tobytes() for i in range(3 * index, 3 * index + 3)
        }
        assert together == alone


def test_thresholds_suit_the_model() -> None:
    trained = {"training": "{}"}
    own = new_tiny_sam(ModelMetadata("own", "f", image_size=64, file_metadata=trained))
    published = new_tiny_sam(ModelMetadata("published", "f", image_size=64))
    assert OPTIONS.query_for(own) == OWN_QUERY
    assert OPTIONS.query_for(published) == PUBLISHED_QUERY
    assert OPTIONS.query_for(Regions()).min_score <= 0
    given = PointQuery(min_score=0.3)
    assert replace(OPTIONS, query=given).query_for(own) == given


@pytest.mark.skipif(not FLUO.is_dir(), reason=f"no annotated images in {FLUO}")
def test_the_default_finds_most_nuclei_of_a_window_it_never_saw() -> None:
    path = sorted((FLUO / "images").iterdir())[0]
    truth_hw = imread(FLUO / "labels" / path.name)[:256, :256]
    pixels = open_image(path).read_rgb((), 0, Box(0, 0, *truth_hw.shape))
    model = load_model("default", device="cpu")
    found = segment_window(model, pixels, AutomaticOptions(click_spacing=0.75))
    agreed = []
    for number in np.unique(truth_hw)[1:]:
        nucleus = truth_hw == number
        under = np.bincount(found.labels_hw[nucleus])
        under[0] = 0
        best = found.labels_hw == under.argmax() if under.any() else ~nucleus
        agreed.append(iou(nucleus, best) > 0.5)
    assert len(agreed) > 5
    assert np.mean(agreed) > 0.5
