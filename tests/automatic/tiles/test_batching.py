"""Batches of any size come to the same, and a device that is full gets smaller ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from run_scene import OPTIONS, SHAPE, Gray, Regions, scene

from napari_sam.automatic.estimate.planning import plan_run
from napari_sam.automatic.plan import RunPlan, RunRequest
from napari_sam.automatic.tiles.batching import AdaptiveBatchModel
from napari_sam.automatic.tiles.chunk_cache import ChunkCache
from napari_sam.automatic.tiles.segment import segment_tiles
from napari_sam.automatic.tiles.tile import TilePixels, TileResult, read_tile
from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.model.window_model.point_masks import PointMasks, PointQuery
from napari_sam.prompts import Click


@dataclass
class Batches(Regions):
    """Regions, encoded several at a time, as far as there is room."""

    room: int = 1000  # windows
    room_for_clicks: int = 1000
    given: list[int] = field(default_factory=list)
    clicks_at_once: list[int] = field(default_factory=list)

    def encode(self, pixels_hwc: Gray) -> Any:
        if self.room < 1:
            raise torch.OutOfMemoryError("not even one")
        return super().encode(pixels_hwc)

    def encode_many(self, windows: Sequence[Gray]) -> list[Any]:
        self.given.append(len(windows))
        if len(windows) > self.room:
            raise torch.OutOfMemoryError("no room")
        return [self.encode(window) for window in windows]

    def predict_many(
        self, embedding: Any, clicks: list[Click], query: PointQuery
    ) -> PointMasks:
        self.clicks_at_once.append(query.clicks_at_once)
        if query.clicks_at_once > self.room_for_clicks:
            raise torch.OutOfMemoryError("no room")
        return super().predict_many(embedding, clicks, query)


@pytest.fixture(scope="module")
def work() -> tuple[RunPlan, list[TilePixels]]:
    image = open_image(scene(), contrast_limits=(0, 255))
    request = RunRequest(
        image.fingerprint, "f", ((),), Box.of_shape(SHAPE), 0, OPTIONS, skip_empty=False
    )
    plan = replace(plan_run(image, Regions(), request), windows_along=3)
    chunks = ChunkCache(plan, image)
    return plan, [read_tile(plan, image, tile, chunks) for tile in plan.tiles()]


Work = tuple[RunPlan, list[TilePixels]]


def found(work: Work, model: Regions, at_once: int | None = None, **how: Any) -> Any:
    plan, tiles = work
    batched = AdaptiveBatchModel(model, plan.options, at_once)
    return list(segment_tiles(plan, batched, tiles, **how))


def assert_same(results: list[TileResult], wanted: list[TileResult]) -> None:
    assert [result.tile for result in results] == [result.tile for result in wanted]
    for result, other in zip(results, wanted, strict=True):
        assert result.failures == other.failures
        assert list(result.results) == list(other.results)
        for cell, found in result.results.items():
            same = other.results[cell].labels_hw
            np.testing.assert_array_equal(found.labels_hw, same)


@pytest.fixture(scope="module")
def plain(work: Work) -> list[TileResult]:
    """One window after the other."""
    results = found(work, Regions())
    assert sum(len(result.results) for result in results) > 10
    return results


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
def test_batches_of_any_size_find_the_same(
    work: Work, plain: list[TileResult], at_once: int
) -> None:
    model = Batches()
    assert_same(found(work, model, at_once), plain)
    most = max(len(tile.windows) for tile in work[1])
    assert max(model.given, default=1) == min(at_once, most)


def test_a_thread_that_encodes_ahead_finds_the_same(
    work: Work, plain: list[TileResult]
) -> None:
    with ThreadPoolExecutor(1) as encoder:
        assert_same(found(work, Batches(), 2, encoder=encoder), plain)


def test_a_full_device_gets_half_and_never_more_again(
    work: Work, plain: list[TileResult]
) -> None:
    model = Batches(room=2)
    assert_same(found(work, model, 9), plain)
    assert model.given[:3] == [9, 5, 3]
    assert max(model.given[3:]) == 2
    assert model.encodes == sum(len(tile.windows) for tile in work[1])


def test_a_full_device_gets_fewer_clicks(work: Work, plain: list[TileResult]) -> None:
    model = Batches(room_for_clicks=20)
    assert_same(found(work, model), plain)
    assert model.clicks_at_once[:3] == [64, 32, 16]
    assert set(model.clicks_at_once[3:]) == {16}


def test_a_window_for_which_there_is_no_room_at_all_fails(work: Work) -> None:
    results = found(work, Batches(room=0), 4)
    failures = [failure for result in results for failure in result.failures]
    assert len(failures) == sum(len(tile.windows) for tile in work[1])
    assert {failure.reason for failure in failures} == {"not even one"}


def test_a_click_for_which_there_is_no_room_fails_its_window(work: Work) -> None:
    model = Batches(room_for_clicks=0)
    results = found(work, model)
    assert model.clicks_at_once[:7] == [64, 32, 16, 8, 4, 2, 1]
    assert all(result.failures and not result.results for result in results)


def test_one_bad_window_of_a_batch_fails_alone(
    work: Work, plain: list[TileResult]
) -> None:
    class OneBad(Batches):
        def encode_many(self, windows: Sequence[Gray]) -> list[Any]:
            raise RuntimeError("one of them is bad")

    model = OneBad(failing={3})
    results = found(work, model, 4)
    failures = [failure for result in results for failure in result.failures]
    assert [failure.reason for failure in failures] == ["the device is gone"]
    count, wanted = (sum(len(r.results) for r in of) for of in (results, plain))
    assert count == wanted - 1


def test_every_window_is_announced_before_the_model_gets_it(work: Work) -> None:
    model = Batches()
    announced: list[Box] = []

    def watch(window: Box) -> None:
        assert model.encodes <= len(announced)
        if len(announced) == 7:
            raise Cancelled("enough")
        announced.append(window)

    with pytest.raises(Cancelled):
        found(work, model, 3, before_window=watch)
    assert model.encodes == 6


def test_tiles_without_windows_come_out_in_their_turn(work: Work) -> None:
    plan, tiles = work

    def some_empty() -> Iterator[TilePixels]:
        for number, tile in enumerate(tiles):
            yield replace(tile, windows={}) if number % 2 else tile

    with ThreadPoolExecutor(1) as encoder:
        results = list(
            segment_tiles(
                plan,
                AdaptiveBatchModel(Batches(), plan.options),
                some_empty(),
                encoder=encoder,
            )
        )
    assert [result.tile for result in results] == [tile.tile for tile in tiles]
    assert [bool(result.window_count) for result in results[:2]] == [True, False]
