"""Everything from an instance decoder's maps: one window, and a run over many."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_scene import (
    assert_same_objects,
    disc_centres,
    labels_of,
    scene,
    segment,
    truth,
    write_image,
)
from scipy import ndimage

from napari_sam.automatic.tiles.batching import AdaptiveBatchModel
from napari_sam.automatic.window.map_windows import MapWindows
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.automatic.window.segment import segment_window
from napari_sam.errors import MapError, PredictorError
from napari_sam.model.instances import InstanceMaps, MapKind

SIDE = 64
FOUND = AutomaticOptions(object_size=10, mode=AutomaticMode.INSTANCES)


@dataclass
class Mapper:
    """Takes bright blobs for objects, and leads to their centres."""

    instance_share: float | None = 0.15
    finds_instances: bool = True
    window_size: int = SIDE
    window_sizes: tuple[int, ...] = (SIDE // 2, SIDE)
    fingerprint: str = "mapper"
    shown: list[tuple[int, ...]] = field(default_factory=list)
    encoded: int = 0

    def encode(self, pixels_hwc: np.ndarray) -> np.ndarray:
        self.encoded += 1
        return pixels_hwc

    def predict(self, embedding: Any, prompts: Sequence[Any]) -> tuple[()]:
        return ()

    def encode_maps(self, windows: Sequence[np.ndarray]) -> list[tuple[Any, Any]]:
        self.shown += [window.shape[:2] for window in windows]
        return [(window, maps_of(window)) for window in windows]


def maps_of(window: np.ndarray) -> InstanceMaps:
    bright = window[..., 0] > 100
    labels, count = ndimage.label(bright)
    maps = np.zeros((3, *bright.shape), np.float16)
    maps[0] = bright * 0.75
    rows, columns = np.indices(bright.shape)
    centres = ndimage.center_of_mass(bright, labels, range(1, count + 1))
    for number, (y, x) in enumerate(centres, start=1):
        own = labels == number
        way = np.stack([y - rows, x - columns])
        maps[1:, own] = (way / np.maximum(np.hypot(*way), 1))[:, own]
    return InstanceMaps(maps, MapKind.DIRECTIONS, bright.shape)


def blobs(height: int, width: int, pitch: int = 20) -> np.ndarray:
    rows, columns = np.indices((height, width))
    near = np.hypot(rows % pitch - pitch // 2, columns % pitch - pitch // 2) <= 5
    return np.repeat((near * 200).astype(np.uint8)[..., None], 3, axis=2)


def test_the_objects_of_a_window_are_those_of_its_maps() -> None:
    model, pixels = Mapper(), blobs(60, 60)
    found = segment_window(model, pixels, FOUND)
    assert found.labels_hw.max() == 9
    np.testing.assert_array_equal(found.labels_hw > 0, pixels[..., 0] > 0)
    assert found.scores_n.tolist() == [0.75] * 9
    assert model.encoded == 0


def test_specks_are_dropped() -> None:
    large = AutomaticOptions(object_size=70, mode=AutomaticMode.INSTANCES)
    assert segment_window(Mapper(), blobs(60, 60), large).labels_hw.max() == 0


def test_the_mode_is_the_best_that_a_model_has_unless_it_is_said() -> None:
    best = AutomaticOptions(mode=None)
    assert best.mode_for(Mapper()) is AutomaticMode.INSTANCES
    assert best.mode_for(Mapper(finds_instances=False)) is AutomaticMode.GRID
    assert AutomaticOptions().mode_for(Mapper()) is AutomaticMode.INSTANCES
    with pytest.raises(PredictorError, match="mode needs to be one of grid, instances"):
        AutomaticOptions(mode="magic")


def test_a_model_without_a_decoder_says_so() -> None:
    with pytest.raises(MapError, match="need a model with an instance decoder"):
        segment_window(Mapper(finds_instances=False), blobs(60, 60), FOUND)


def test_windows_show_objects_at_the_size_that_maps_like() -> None:
    windows = MapWindows.of(Mapper())
    assert windows.sides == (32, 64, 128, 256)
    assert [windows.for_object(side) for side in (2, 5, 9, 18, 500)] == [
        32,
        32,
        64,
        128,
        256,
    ]
    size = AutomaticOptions(object_size=18, mode=AutomaticMode.INSTANCES)
    assert size.window_side(Mapper()) == 128


def test_batches_are_of_maps() -> None:
    model = Mapper()
    batched = AdaptiveBatchModel(model, FOUND)
    (maps,) = batched.encode([blobs(60, 60)])
    assert isinstance(maps, InstanceMaps)
    assert batched.objects(maps, blobs(60, 60)).labels_hw.max() == 9


def test_a_run_finds_every_object_once_across_its_seams(tmp_path: Path) -> None:
    model = Mapper(window_size=96, window_sizes=(96,), instance_share=0.2)
    image = write_image(tmp_path / "image.zarr", scene())
    report = segment(image, tmp_path / "labels.zarr", model, options=FOUND)
    assert report.objects == len(disc_centres())
    found = labels_of(tmp_path / "labels.zarr")
    assert_same_objects(found, truth())
    assert model.encoded == 0
    assert len(model.shown) > 1
