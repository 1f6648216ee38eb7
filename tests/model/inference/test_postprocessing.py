"""Drawing only the part of a mask that holds something loses nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.inference import postprocessing
from napari_sam.model.inference.postprocessing import (
    AxisScaling,
    PointLogits,
    draw_masks,
)
from napari_sam.model.transforms import input_shape
from napari_sam.model.window_model.point_masks import PointMasks, PointQuery, boxes_of

LOW, SIDE = 32, 128
ALL = PointQuery(min_score=0.0, min_stability_score=0.0, stability_score_offset=0.5)
SHAPES = [(128, 128), (300, 300), (61, 61), (200, 90), (40, 111), (1, 7), (128, 3)]


def some_logits(count: int = 12) -> Tensor:
    """Blobs of every size, at borders too, one flat below and one above it all."""
    torch.manual_seed(2)
    noise = torch.randn(count, 1, 6, 6)
    logits = F.interpolate(noise, (LOW, LOW), mode="bicubic")[:, 0] * 3 - 2
    logits[0], logits[1] = -5.0, 5.0
    logits[2] = -5.0
    logits[2, 0, LOW - 1] = 4.0
    return logits


def axes_for(shape: tuple[int, int]) -> tuple[AxisScaling, AxisScaling]:
    resized = input_shape(shape, SIDE)
    rows, columns = (
        AxisScaling.between(LOW, SIDE, inner, outer)
        for inner, outer in zip(resized, shape, strict=True)
    )
    return rows, columns


def whole(logits: Tensor, shape: tuple[int, int]) -> Tensor:
    """Every logit of every pixel of the window."""
    height, width = input_shape(shape, SIDE)
    padded = F.interpolate(logits[:, None], (SIDE, SIDE), mode="bilinear")
    cut = padded[..., :height, :width]
    return F.interpolate(cut, shape, mode="bilinear")[:, 0]


def drawn(logits: Tensor, shape: tuple[int, int], query: PointQuery) -> PointMasks:
    indices = torch.arange(len(logits))
    given = PointLogits(logits, indices / 10, indices)
    return draw_masks(given, axes_for(shape), 0.0, query)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_masks_and_stability_scores_are_those_of_logits_enlarged_whole(
    shape: tuple[int, int],
) -> None:
    logits = some_logits()
    full = whole(logits, shape)
    found = drawn(logits, shape, ALL)
    assert found.clicks_n.tolist() == list(range(len(logits)))
    for index in range(len(found)):
        # A logit of 0 to six digits may fall on either side.
        sure = (full[index].abs() > 1e-4).numpy()
        mask = found.draw(index, shape)
        np.testing.assert_array_equal(mask[sure], (full[index] > 0).numpy()[sure])
        loose = (full[index] > -0.5).sum().item()
        stability = (full[index] > 0.5).sum().item() / max(loose, 1)
        assert found.stability_scores_n[index] == pytest.approx(stability, abs=1e-3)


def test_boxes_are_tight_and_an_empty_mask_has_an_empty_one() -> None:
    found = drawn(some_logits(), (200, 90), ALL)
    assert found.boxes_n4[0].tolist() == [0, 0, 0, 0]
    assert found.boxes_n4[1].tolist() == [0, 0, 200, 90]
    masks_nhw = np.stack([found.draw(i, (200, 90)) for i in range(len(found))])
    np.testing.assert_array_equal(found.boxes_n4, boxes_of(masks_nhw))


def test_unstable_masks_are_dropped_and_the_order_stays() -> None:
    found = drawn(some_logits(), (128, 128), ALL)
    least = float(np.median(found.stability_scores_n))
    kept = drawn(some_logits(), (128, 128), PointQuery(0.0, least, 0.5))
    wanted = np.flatnonzero(found.stability_scores_n >= least)
    assert 0 < len(wanted) < len(found)
    assert kept.clicks_n.tolist() == wanted.tolist()
    np.testing.assert_array_equal(kept.scores_n, found.scores_n[wanted])


def test_memory_for_one_mask_at_a_time_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = drawn(some_logits(), (128, 128), ALL)
    monkeypatch.setattr(postprocessing, "PATCHES_KEPT", 1)
    monkeypatch.setattr(postprocessing, "PATCHES_AT_ONCE", {"cpu": 1})
    one_by_one = drawn(some_logits(), (128, 128), ALL)
    np.testing.assert_array_equal(at_once.boxes_n4, one_by_one.boxes_n4)
    for index in range(len(at_once)):
        np.testing.assert_array_equal(at_once.crop(index), one_by_one.crop(index))


def test_only_the_patches_that_see_a_mask_are_enlarged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logits = torch.full((3, 256, 256), -5.0)
    logits[0, 100:104, 30:33] = 5.0  # in the window 400:416, 120:132
    logits[2, 250:, :2] = 5.0
    enlarged = []
    draw_some = postprocessing._draw_some

    def counted(patches: Any, some: slice, *rest: Any) -> None:
        enlarged.append(len(patches.masks_q[some]))
        draw_some(patches, some, *rest)

    monkeypatch.setattr(postprocessing, "_draw_some", counted)
    axis = AxisScaling.between(256, 1024, 1024, 1024)
    indices = torch.arange(3)
    given = PointLogits(logits, indices / 10, indices)
    found = draw_masks(given, (axis, axis), 0.0, ALL)
    assert enlarged == [2 + 0 + 1]  # x = 128 is the border of two patches
    assert found.boxes_n4.tolist() == [
        [400, 120, 416, 132],
        [0, 0, 0, 0],
        [1000, 0, 1024, 8],
    ]


@pytest.mark.parametrize("shape", [(1024, 1024), (600, 700), (150, 130), (1500, 900)])
def test_a_grid_of_masks_becomes_the_labels_of_the_plain_way(
    shape: tuple[int, int],
) -> None:
    torch.manual_seed(5)
    noise = torch.randn(24, 1, 12, 12)
    logits = F.interpolate(noise, (256, 256), mode="bicubic")[:, 0] * 9 - 6
    resized = input_shape(shape, 1024)
    rows, columns = (
        AxisScaling.between(256, 1024, inner, outer)
        for inner, outer in zip(resized, shape, strict=True)
    )
    indices = torch.arange(len(logits))
    padded = F.interpolate(logits[:, None], (1024, 1024), mode="bilinear")
    cut = padded[..., : resized[0], : resized[1]]
    full = F.interpolate(cut, shape, mode="bilinear")[:, 0]
    tight, loose = ((full > at).sum(dim=(1, 2)) for at in (1.0, -1.0))
    stabilities = tight / loose.clamp(min=1)
    least = stabilities.sort().values[8:10].mean().item()
    stable = (stabilities >= least).nonzero()[:, 0]
    query = PointQuery(min_score=0.0, min_stability_score=least)
    found = draw_masks(
        PointLogits(logits, indices / 30, indices), (rows, columns), 0, query
    )
    assert found.clicks_n.tolist() == stable.tolist()
    plain, drawn = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    for place, index in enumerate(stable.tolist()):
        plain[(full[index] > 0).numpy()] = place + 1
        drawn[found.draw(place, shape)] = place + 1
    # Sums in another order: a logit of 0 to six digits may fall on either side.
    assert np.count_nonzero(plain != drawn) <= 2


def test_no_logits_are_no_masks() -> None:
    assert len(drawn(some_logits()[:0], (50, 50), ALL)) == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_draws_the_same_masks() -> None:
    logits, shape = some_logits(), (200, 90)
    wanted = drawn(logits, shape, ALL)
    rows, columns = (axis.to(torch.device("cuda")) for axis in axes_for(shape))
    indices = torch.arange(len(logits)).cuda()
    given = PointLogits(logits.cuda(), indices / 10, indices)
    found = draw_masks(given, (rows, columns), 0.0, ALL)
    np.testing.assert_array_equal(found.boxes_n4, wanted.boxes_n4)
    for index in range(len(wanted)):
        np.testing.assert_array_equal(found.crop(index), wanted.crop(index))
