"""Prompts to masks, never cut at a seam: held to an oracle that shows what is there.

The oracle predicts exactly the connected region of the clicked gray in its window,
so whatever differs from the truth is this predictor's doing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import permutations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from stand_ins import (
    SMALL,
    ArrayImage,
    ArrayLevel,
    Distorted,
    RegionOracle,
    a_disc,
    agreement,
    scene,
    with_specks,
)

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.masks import bounding_box
from napari_sam.model.window_model import WindowMask
from napari_sam.predictor.candidates import Candidate, PredictorOptions
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

Mask = NDArray[np.bool_]

LARGE = (4096, 4096)


@cache
def a_ring(outer: int, inner: int) -> Mask:
    return a_disc(1000, 1000, outer) & ~a_disc(1000, 1000, inner)


@cache
def a_straight_snake() -> Mask:
    mask = np.zeros(LARGE, dtype=bool)
    mask[2003:2011, 500:3500] = True
    return mask


@cache
def a_wavy_snake() -> Mask:
    """About 8 px wide, some 4500 px long, nowhere straight."""
    mask = np.zeros(LARGE, dtype=bool)
    for x in np.linspace(500, 3500, 12_000):
        y = 2000 + 700 * np.sin(x / 300)
        mask[int(y) - 3 : int(y) + 5, int(x) - 3 : int(x) + 5] = True
    return mask


@cache
def a_serpentine() -> Mask:
    """Eight arms, 32 px apart, of one fibre: every window shows several of them."""
    mask = np.zeros(SMALL, dtype=bool)
    for arm in range(8):
        top = 900 + 40 * arm
        mask[top : top + 8, 200:1800] = True
        turn = slice(1792, 1800) if arm % 2 == 0 else slice(200, 208)
        mask[top : top + (48 if arm < 7 else 8), turn] = True
    return mask


@cache
def a_body_with_a_tail() -> Mask:
    mask = a_disc(1000, 600, 350).copy()
    mask[996:1004, 600:1900] = True
    return mask


@cache
def whole_image() -> Mask:
    return np.ones(SMALL, dtype=bool)


def box_of(mask: Mask) -> BoxPrompt:
    box = bounding_box(mask)
    assert box is not None
    return BoxPrompt.from_box(box)


def segment(
    truth: Mask, *prompts: Prompt, others: Sequence[Mask] = ()
) -> tuple[Candidate, RegionOracle, ArrayImage]:
    image, oracle = ArrayImage(scene(truth, *others)), RegionOracle()
    return ImagePredictor(oracle, image).predict(prompts)[0], oracle, image


# What each case may cost: the number of windows that are encoded.
CASES: dict[str, tuple[Callable[[], Mask], list[Click], int]] = {
    "disc in the corner": (lambda: a_disc(0, 0, 60), [Click(5, 5)], 1),
    "disc at the border": (lambda: a_disc(700, 2047, 60), [Click(690, 2040)], 1),
    "r=200, click at the rim": (lambda: a_disc(900, 900, 200), [Click(900, 703)], 2),
    "r=300, click at the rim": (lambda: a_disc(990, 1000, 300), [Click(990, 703)], 18),
    "r=300, three clicks": (
        lambda: a_disc(990, 1000, 300),
        [Click(990, 703), Click(990, 1297), Click(710, 1000)],
        18,
    ),
    "r=300 over the border": (lambda: a_disc(0, 1000, 300), [Click(50, 1200)], 12),
    "r=600": (lambda: a_disc(1000, 1000, 600), [Click(1000, 700)], 30),
    "r=600 in the corner": (lambda: a_disc(2047, 2047, 600), [Click(2040, 1500)], 12),
    "thick ring": (lambda: a_ring(400, 360), [Click(1000, 1385)], 24),
    "thin ring": (lambda: a_ring(400, 392), [Click(1000, 1396)], 20),
    "straight snake": (a_straight_snake, [Click(2006, 600)], 18),
    "snake by its ends": (a_straight_snake, [Click(2006, 502), Click(2006, 3490)], 20),
    "wavy snake": (a_wavy_snake, [Click(2000 + 700 * np.sin(5), 1500)], 40),
    "serpentine": (a_serpentine, [Click(903, 1000)], 30),
    "body with a tail": (a_body_with_a_tail, [Click(1000, 500)], 32),
    "whole image": (whole_image, [Click(33, 1900)], 3),
}


@pytest.mark.parametrize("case", CASES)
def test_an_object_is_never_cut_whatever_its_size(case: str) -> None:
    make, clicks, most = CASES[case]
    candidate, oracle, _ = segment(make(), *clicks)
    assert agreement(candidate, make()) >= 0.99
    assert candidate.complete
    assert candidate.unmet == ()
    assert oracle.encodes <= most


@pytest.mark.parametrize("case", [case for case in CASES if "serpentine" not in case])
def test_a_box_finds_the_same_object(case: str) -> None:
    make, _, most = CASES[case]
    candidate, oracle, _ = segment(make(), box_of(make()))
    assert agreement(candidate, make()) >= 0.99
    assert oracle.encodes <= most + 4


@pytest.mark.parametrize("offset", [-61, -60, -31, 0, 30, 59, 61])
@pytest.mark.parametrize("seam", [256, 640, 1024, 1920])
def test_a_disc_at_a_seam_takes_one_window(seam: int, offset: int) -> None:
    truth = a_disc(seam + offset, seam - offset, 60)
    candidate, oracle, image = segment(truth, Click(seam + offset, seam - offset))
    assert agreement(candidate, truth) == 1
    assert (oracle.encodes, len(image.reads)) == (1, 1)


@pytest.mark.parametrize("angle", range(0, 360, 60))
def test_where_on_a_disc_the_click_falls_does_not_matter(angle: int) -> None:
    y, x = 57 * np.sin(np.radians(angle)), 57 * np.cos(np.radians(angle))
    truth = a_disc(1000, 1030, 60)
    candidate, oracle, _ = segment(truth, Click(1000 + y, 1030 + x))
    assert agreement(candidate, truth) == 1
    assert oracle.encodes == 1


def test_far_negative_clicks_do_not_drag_the_window_away() -> None:
    truth = a_disc(1000, 1000, 60)
    far = [Click(1000, 2047, False), Click(20, 30, False), Click(2040, 60, False)]
    candidate, oracle, image = segment(truth, Click(1010, 990), *far)
    assert agreement(candidate, truth) == 1
    assert candidate.unmet == ()
    assert (oracle.encodes, len(image.reads)) == (1, 1)


def test_a_near_negative_click_reaches_the_model() -> None:
    truth, neighbour = a_disc(1000, 1000, 60), a_disc(1000, 1130, 60)
    candidate, oracle, _ = segment(
        truth, Click(1000, 1040), Click(1000, 1078, False), others=[neighbour]
    )
    assert agreement(candidate, truth) == 1
    assert [click.positive for click in oracle.prompts[0]] == [True, False]


def test_two_objects_out_of_one_window_are_both_found() -> None:
    truth = a_disc(300, 300, 20) | a_disc(1800, 1700, 20)
    candidate, oracle, _ = segment(truth, Click(300, 300), Click(1800, 1700))
    assert agreement(candidate, truth) == 1
    assert candidate.unmet == ()
    assert oracle.encodes <= 5


def test_any_order_of_prompts_gives_the_same_answer() -> None:
    truth = a_disc(1000, 1000, 300)
    prompts = [Click(1000, 800), Click(900, 1200), Click(1000, 1350, False)]
    masks = [segment(truth, *order)[0].mask for order in permutations(prompts)]
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


def test_a_rough_mask_finds_the_object() -> None:
    truth = a_disc(1000, 1000, 60)
    rough = MaskPrompt.from_mask(
        np.ones((40, 40), dtype=bool), Box(980, 980, 1020, 1020)
    )
    candidate, _, _ = segment(truth, rough)
    assert agreement(candidate, truth) == 1


def test_a_second_prompt_in_the_window_reads_and_encodes_nothing() -> None:
    truth = a_disc(1000, 1000, 60)
    image, oracle = ArrayImage(scene(truth)), RegionOracle()
    predictor = ImagePredictor(oracle, image)
    for y in range(950, 1051, 10):
        (candidate,) = predictor.predict([Click(y, 1000)])
        assert agreement(candidate, truth) == 1
    assert (oracle.encodes, len(image.reads)) == (1, 1)


def test_another_prompt_on_a_large_object_encodes_next_to_nothing() -> None:
    truth = a_disc(1000, 1000, 300)
    image, oracle = ArrayImage(scene(truth)), RegionOracle()
    predictor = ImagePredictor(oracle, image)
    (candidate,) = predictor.predict([Click(1000, 900)])
    encodes = oracle.encodes
    more = [Click(1000, 900), Click(1100, 1000)]
    (candidate,) = predictor.predict(more, previous=candidate)
    assert agreement(candidate, truth) == 1
    assert oracle.encodes == encodes


def test_planes_do_not_share_embeddings() -> None:
    image, oracle = ArrayImage(scene(a_disc(500, 500, 60)), (4, 2)), RegionOracle()
    predictor = ImagePredictor(oracle, image)
    for plane in ((0, 0), (3, 1), (3, 1)):
        (candidate,) = predictor.predict([Click(500, 500)], plane=plane)
        assert candidate.plane == plane
    assert [plane for plane, _, _ in image.reads] == [(0, 0), (3, 1)]


def test_a_coarser_level_can_be_wanted() -> None:
    truth = a_disc(1000, 1000, 300)
    image, oracle = ArrayImage(scene(truth)), RegionOracle()
    (candidate,) = ImagePredictor(oracle, image).predict([Click(1000, 990)], level=1)
    assert agreement(candidate, truth) >= 0.98
    assert (candidate.level, oracle.encodes) == (1, 1)


def test_no_level_finer_than_the_one_of_the_options_is_read() -> None:
    truth = a_disc(1000, 1000, 300)
    image, oracle = ArrayImage(scene(truth)), RegionOracle()
    options = PredictorOptions(finest_level=1)
    predictor = ImagePredictor(oracle, image, options=options)
    (candidate,) = predictor.predict([Click(1000, 990)])
    assert agreement(candidate, truth) >= 0.98
    assert (candidate.level, {level for _, level, _ in image.reads}) == (1, {1})
    (preview,) = predictor.preview([Click(1000, 980)])
    assert (preview.level, preview.complete) == (1, True)
    part = replace(candidate, complete=False)
    assert predictor.complete(part, [Click(1000, 990)]).level == 1
    (finest,) = predictor.predict([Click(1000, 990)], level=0)
    assert finest.level == 0


def test_a_negative_finest_level_is_refused() -> None:
    with pytest.raises(PredictorError, match="finest_level counts levels from 0"):
        PredictorOptions(finest_level=-1)


def jittered(mask: Mask) -> list[WindowMask]:
    """Its outline displaced by a few pixels, another way in each window."""
    noise = ndimage.gaussian_filter(
        np.random.default_rng(int(mask.sum())).normal(size=mask.shape), 4
    )
    depth = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(~mask)
    return [WindowMask(depth + 2 * noise / noise.std() > 0, 0.8, None)]


def test_an_unsteady_model_still_draws_a_large_object_whole() -> None:
    truth = a_disc(1000, 1000, 300)
    oracle = Distorted(distort=jittered)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)))
    (candidate,) = predictor.predict([Click(1000, 900)])
    assert agreement(candidate, truth) >= 0.97
    assert oracle.encodes <= 24


def noise(mask: Mask) -> list[WindowMask]:
    values = np.random.default_rng(int(mask.sum())).normal(size=mask.shape)
    return [WindowMask(ndimage.gaussian_filter(values, 12) > 0, 0.5, None)]


@pytest.mark.parametrize("distort", [noise, jittered, with_specks])
def test_no_model_makes_it_use_more_windows_than_allowed(
    distort: Callable[[Mask], list[WindowMask]],
) -> None:
    oracle = Distorted(distort=distort)
    options = PredictorOptions(max_windows=9)
    image = ArrayImage(scene(a_disc(1000, 1000, 600)))
    predictor = ImagePredictor(oracle, image, options=options)
    found = predictor.predict([Click(1000, 700)])
    assert oracle.encodes <= 9
    assert not found[0].complete


def test_an_outline_that_windows_do_not_suffice_for_stays_coarse_all_along() -> None:
    truth = a_disc(1000, 1000, 600)
    oracle, options = RegionOracle(), PredictorOptions(max_windows=14)
    predictor = ImagePredictor(oracle, ArrayImage(scene(truth)), options=options)
    (candidate,) = predictor.predict([Click(1000, 700)])
    assert agreement(candidate, truth) >= 0.95
    assert candidate.level > 0
    assert not candidate.complete


def test_a_model_that_sees_nothing_gives_no_candidates() -> None:
    oracle = Distorted(distort=lambda mask: [WindowMask(mask & False, 0.9, None)])
    predictor = ImagePredictor(oracle, ArrayImage(scene(a_disc(500, 500, 60))))
    assert predictor.predict([Click(500, 500)]) == ()


def test_masks_of_another_shape_than_the_window_are_refused() -> None:
    oracle = Distorted(distort=lambda mask: [WindowMask(mask[:9], 0.9, None)])
    predictor = ImagePredictor(oracle, ArrayImage(scene(a_disc(500, 500, 60))))
    with pytest.raises(PredictorError, match="window's own shape"):
        predictor.predict([Click(500, 500)])


class EndlessImage:
    """A plane of one gray, far larger than memory."""

    shape = (200_000, 200_000)
    stack_shape = ()
    fingerprint = "endless"

    def __init__(self) -> None:
        self.largest_read = 0
        self.levels = [
            ArrayLevel((-(-200_000 // 2**k),) * 2, (2.0**k, 2.0**k)) for k in range(11)
        ]

    def check_plane(self, plane: tuple[int, ...]) -> None:
        assert plane == ()

    def read_rgb(self, _: object, level: int, box: Box) -> NDArray[np.uint8]:
        self.largest_read = max(self.largest_read, box.area * 4**level)
        return np.zeros((*box.shape, 3), dtype=np.uint8)


def test_an_object_too_large_to_hold_is_shown_as_far_as_one_window_goes() -> None:
    image, oracle = EndlessImage(), RegionOracle()
    options = PredictorOptions(max_object_pixels=2**22)
    predictor = ImagePredictor(oracle, image, options=options)
    (candidate,) = predictor.predict([Click(100_000, 100_000)])
    assert candidate.box.shape == (512, 512)
    assert not candidate.complete
    assert oracle.encodes <= 4
    assert image.largest_read <= 2**22


def test_a_box_around_more_than_is_held_says_what_to_do() -> None:
    options = PredictorOptions(max_object_pixels=2**22)
    predictor = ImagePredictor(RegionOracle(), EndlessImage(), options=options)
    oracle_fills_it = BoxPrompt(0, 0, 100_000, 100_000)
    with pytest.raises(PredictorError, match="Draw a smaller box"):
        predictor.predict([oracle_fills_it])
