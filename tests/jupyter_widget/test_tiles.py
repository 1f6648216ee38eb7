"""Pixels, labels and masks as they are sent."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.jupyter_widget.tile_view import cheap, mask_level
from napari_sam.jupyter_widget.tiles import (
    SIDE,
    TileKey,
    image_tile,
    label_shapes,
    label_tile,
    mask_tile,
    tiles_of,
)
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.predictor.candidates import Candidate

SHAPE = (700, 1100)


def gray() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, SHAPE, dtype=np.uint8)


def candidate(box: Box) -> Candidate:
    return Candidate(
        mask=np.random.default_rng(1).random(box.shape) > 0.3,
        box=box,
        score=1.0,
        plane=(),
        level=0,
        complete=True,
        unmet=(),
        window=box,
        window_level=0,
        window_size=0,
        logits_hw=None,
    )


def test_tiles_of_level_0_are_exactly_the_pixels_and_cover_the_image() -> None:
    pixels = gray()
    image = open_image(pixels, contrast_limits=(0, 255))
    shown = np.zeros_like(pixels)
    for row in range(2):
        for column in range(3):
            tile = image_tile(image, TileKey("image", (), 0, row, column), None)
            assert tile is not None
            assert max(tile.shape) <= SIDE
            box = tile.key.box(SHAPE)
            assert box is not None
            shown[box.slices] = np.asarray(Picture.open(BytesIO(tile.data)))
    assert np.abs(shown.astype(int) - pixels).max() <= 1


def test_there_are_no_tiles_beside_the_image_or_beyond_its_levels() -> None:
    image = open_image(gray())
    assert image_tile(image, TileKey("image", (), 0, 2, 0), None) is None
    assert image_tile(image, TileKey("image", (), 99, 0, 0), None) is None
    assert mask_tile(None, TileKey("candidate", (), 31, 0, 0), SHAPE) is None


def test_coarser_levels_are_smaller_and_follow_the_contrast() -> None:
    image = open_image(gray())
    key = TileKey("image", (), 2, 0, 0)
    dark = image_tile(image, key, ((0, 2550),))
    bright = image_tile(image, key, ((0, 64),))
    assert dark is not None
    assert bright is not None
    assert dark.encoding == "jpeg"
    assert dark.shape == image.levels[2].shape
    means = [np.asarray(Picture.open(BytesIO(t.data))).mean() for t in (dark, bright)]
    assert means[0] < 30
    assert means[1] > 200


def test_labels_arrive_as_the_ids_that_are_on_disk(tmp_path: Path) -> None:
    geometry = LabelGeometry.of(open_image(gray()))
    box = Box(500, 500, 520, 530)
    with LabelStore.open(tmp_path / "l.zarr", geometry) as labels:
        labels.add(np.ones(box.shape, dtype=bool), box, label_id=70000)
        shapes = label_shapes(labels)
        parts = {
            (row, column): label_tile(
                labels, TileKey("labels", (), 0, row, column), shapes
            )
            for row in (0, 1)
            for column in (0, 1)
        }
    total = 0
    for tile in parts.values():
        assert tile is not None
        ids = np.frombuffer(zlib.decompress(tile.data), "<u4").reshape(tile.shape)
        assert set(np.unique(ids).tolist()) == {0, 70000}
        total += int((ids > 0).sum())
    assert total == box.area


def test_background_travels_without_bytes(tmp_path: Path) -> None:
    geometry = LabelGeometry.of(open_image(gray()))
    with LabelStore.open(tmp_path / "l.zarr", geometry) as labels:
        tile = label_tile(labels, TileKey("labels", (), 0, 0, 0), label_shapes(labels))
    assert tile is not None
    assert (tile.encoding, tile.data) == ("empty", b"")


def test_a_candidate_in_tiles_is_the_candidate_at_any_level() -> None:
    shown = candidate(Box(405, 407, 633, 1001))
    full = np.zeros(SHAPE, dtype=bool)
    full[shown.box.slices] = shown.mask
    for level in (0, 1, 3):
        step = 1 << level
        wanted = full[::step, ::step]
        found = np.zeros_like(wanted)
        for key in tiles_of("candidate", shown, level, Box.of_shape(SHAPE)):
            tile = mask_tile(shown, key, SHAPE)
            assert tile is not None
            box = key.box(wanted.shape)
            assert box is not None
            assert box.shape == tile.shape
            if tile.encoding == "bits":
                bits = np.frombuffer(zlib.decompress(tile.data), np.uint8)
                found[box.slices] = np.unpackbits(bits, count=box.area).reshape(
                    box.shape
                )
        assert np.array_equal(found, wanted)


def test_only_tiles_in_view_are_sent_before_anybody_asks() -> None:
    shown = candidate(Box(0, 0, 700, 1100))
    keys = tiles_of("candidate", shown, 0, Box(0, 0, 100, 600))
    assert [(key.row, key.column) for key in keys] == [(0, 0), (0, 1)]
    assert tiles_of("candidate", candidate(Box(0, 0, 5, 5)), 0, Box(9, 9, 10, 10)) == []


def test_masks_are_halved_as_long_as_the_screen_does_not_show_it() -> None:
    assert [mask_level(zoom) for zoom in (8, 1, 0.5, 0.3, 0.01)] == [0, 0, 1, 1, 6]


def test_a_tile_that_would_read_a_whole_slide_is_not_asked_for() -> None:
    slide = open_image(np.broadcast_to(np.uint8(3), (60000, 60000)))
    assert cheap(open_image(gray())) == [True] * len(open_image(gray()).levels)
    is_cheap = cheap(slide)
    assert is_cheap[0]
    assert not is_cheap[-1]
