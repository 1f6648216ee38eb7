"""Drawing only the part of a mask that holds something loses nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model import drawing
from napari_sam.model.drawing import Answers, AxisScaling, draw_masks
from napari_sam.model.point_masks import PointMasks, PointQuery, boxes_of
from napari_sam.model.resizing import input_shape

LOW, SIDE = 32, 128
ALL = PointQuery(min_score=0.0, min_stability=0.0, stability_offset=0.5)
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
    answers = Answers(logits, indices / 10, indices)
    return draw_masks(answers, axes_for(shape), 0.0, query)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_masks_and_stabilities_are_those_of_logits_enlarged_whole(
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
        assert found.stabilities_n[index] == pytest.approx(stability, abs=1e-3)


def test_boxes_are_tight_and_an_empty_mask_has_an_empty_one() -> None:
    found = drawn(some_logits(), (200, 90), ALL)
    assert found.boxes_n4[0].tolist() == [0, 0, 0, 0]
    assert found.boxes_n4[1].tolist() == [0, 0, 200, 90]
    masks_nhw = np.stack([found.draw(i, (200, 90)) for i in range(len(found))])
    np.testing.assert_array_equal(found.boxes_n4, boxes_of(masks_nhw))


def test_unstable_masks_are_dropped_and_the_order_stays() -> None:
    found = drawn(some_logits(), (128, 128), ALL)
    least = float(np.median(found.stabilities_n))
    kept = drawn(some_logits(), (128, 128), PointQuery(0.0, least, 0.5))
    wanted = np.flatnonzero(found.stabilities_n >= least)
    assert 0 < len(wanted) < len(found)
    assert kept.clicks_n.tolist() == wanted.tolist()
    np.testing.assert_array_equal(kept.scores_n, found.scores_n[wanted])


def test_memory_for_one_mask_at_a_time_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = drawn(some_logits(), (128, 128), ALL)
    monkeypatch.setattr(drawing, "NUMBERS_AT_ONCE", 1)
    one_by_one = drawn(some_logits(), (128, 128), ALL)
    np.testing.assert_array_equal(at_once.boxes_n4, one_by_one.boxes_n4)
    for index in range(len(at_once)):
        np.testing.assert_array_equal(at_once.crop(index), one_by_one.crop(index))


def test_a_small_mask_costs_little_of_a_large_window() -> None:
    logits = torch.full((1, 256, 256), -5.0)
    logits[0, 100:104, 30:33] = 5.0
    axis = AxisScaling.between(256, 1024, 1024, 1024)
    start, length = axis.span((logits > -1).any(dim=2))
    assert length.item() == 32
    assert start.item() <= 400 - 2
    assert start.item() + 32 >= 416 + 2


def test_no_answers_are_no_masks() -> None:
    assert len(drawn(some_logits()[:0], (50, 50), ALL)) == 0
