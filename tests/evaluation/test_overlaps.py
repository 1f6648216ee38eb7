"""Overlaps are counted exactly, whatever the blocks, the ids and the file."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from skimage.metrics import contingency_table

from napari_sam.errors import ImageError, ImageReadError, LabelError
from napari_sam.evaluation import overlaps
from napari_sam.evaluation.label_blocks import LabelPair, choose_block
from napari_sam.evaluation.overlaps import OverlapTable, count_overlaps

Rows = list[tuple[int, int, int]]
MIB = 2**20


def rows_of(table: OverlapTable) -> Rows:
    columns = (table.tested_ids, table.reference_ids, table.counts)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def counted(
    tested: object, reference: object, block_shape: tuple[int, ...] | None = None
) -> Rows:
    with LabelPair(tested, reference) as pair:
        return rows_of(count_overlaps(pair.blocks(block_shape)))


def blobs(seed: int, shape: tuple[int, ...], ids: int = 6) -> NDArray[np.uint16]:
    """Labels with runs, as objects have, and single pixels among them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, ids, shape, dtype=np.uint16)
    wide = np.repeat(labels, 5, axis=-1)[..., : shape[-1]]
    return np.where(rng.random(shape) < 0.1, labels, wide)


class Counting:
    """An array that is made up where it is read, and counts what was read."""

    def __init__(self, shape: tuple[int, ...], chunks: tuple[int, ...]) -> None:
        self.shape, self.chunks, self.dtype = shape, chunks, np.dtype(np.uint32)
        self.pixels_read = 0

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[np.uint32]:
        bounds = [part for part in index if isinstance(part, slice)]
        block = np.zeros([part.stop - part.start for part in bounds], np.uint32)
        block += np.arange(bounds[-1].start, bounds[-1].stop, dtype=np.uint32) // 64
        self.pixels_read += block.size
        return block


def test_each_pair_of_ids_has_its_pixels() -> None:
    tested = np.array([[1, 1, 0], [2, 2, 2]])
    reference = np.array([[7, 7, 7], [0, 7, 9]])
    assert counted(tested, reference) == [
        (0, 7, 1),
        (1, 7, 2),
        (2, 0, 1),
        (2, 7, 1),
        (2, 9, 1),
    ]


def test_the_table_is_the_contingency_table_of_scikit_image() -> None:
    tested, reference = blobs(1, (60, 70)), blobs(2, (60, 70))
    known = contingency_table(tested, reference, sparse_type="array").tocoo()
    expected = {
        (int(a), int(b)): int(n)
        for a, b, n in zip(*known.coords, known.data, strict=True)
        if n
    }
    found = counted(tested, reference)
    assert {(a, b): n for a, b, n in found} == expected
    assert [row[:2] for row in found] == sorted(expected)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99),
    shape=st.lists(st.integers(1, 13), min_size=2, max_size=4).map(tuple),
    data=st.data(),
)
def test_the_table_does_not_depend_on_the_blocks(
    seed: int, shape: tuple[int, ...], data: st.DataObject
) -> None:
    tested, reference = blobs(seed, shape), blobs(seed + 100, shape)
    with LabelPair(tested, reference) as pair:
        sides = st.tuples(*(st.integers(1, 15) for _ in pair.shape))
        block_shape = data.draw(sides)
        blocks = pair.blocks(block_shape)
        found = rows_of(count_overlaps(blocks))
        assert len(list(blocks)) == len(blocks)
    whole = OverlapTable(
        tested.ravel().astype(np.uint64),
        reference.ravel().astype(np.uint64),
        np.ones(tested.size, dtype=np.int64),
    )
    assert found == rows_of(overlaps.merge_rows([whole]))


def test_merging_early_and_in_small_pieces_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tested, reference = blobs(3, (40, 50), ids=90), blobs(4, (40, 50), ids=90)
    expected = counted(tested, reference)
    monkeypatch.setattr(overlaps, "SLICE_PIXELS", 7)
    monkeypatch.setattr(overlaps, "PENDING_ROWS", 3)
    assert counted(tested, reference, (3, 50)) == expected


def test_ids_that_no_float_and_no_signed_number_holds_stay_apart() -> None:
    top = 2**64 - 1
    tested = np.array([[2**63, 2**63 + 1], [top, top - 1]], dtype=np.uint64)
    reference = np.array([[2**53, 2**53 + 1], [0, 5]], dtype=np.int64)
    assert counted(tested, reference) == [
        (2**63, 2**53, 1),
        (2**63 + 1, 2**53 + 1, 1),
        (top - 1, 5, 1),
        (top, 0, 1),
    ]


def test_volumes_without_objects_have_background_only() -> None:
    empty = np.zeros((4, 5, 6), dtype=np.uint8)
    assert counted(empty, empty) == [(0, 0, 120)]


def write_as(kind: str, labels: NDArray[Any], folder: Path) -> object:
    path = folder / f"labels.{kind}"
    if kind == "array.zarr":
        zarr.create_array(str(path), data=labels, chunks=(8, 16))
    elif kind == "group.zarr":
        group = zarr.open_group(str(path), mode="w")
        group.create_array("0", data=labels, chunks=(8, 16))
        group.create_array("1", data=labels[::2, ::2], chunks=(8, 16))
    elif kind == "tiled.ome.tif":
        tifffile.imwrite(path, labels, tile=(16, 16), compression="zlib")
    elif kind == "strips.tif":
        tifffile.imwrite(path, labels, rowsperstrip=3, compression="zlib")
    elif kind == "big-endian.tif":
        tifffile.imwrite(path, labels, byteorder=">")
    elif kind == "png":
        Pillow.fromarray(labels).save(path)
    elif kind == "npy":
        np.save(path, np.asfortranarray(labels))
    else:
        return da.from_array(labels, chunks=(7, 9))
    return path


KINDS = (
    "array.zarr",
    "group.zarr",
    "tiled.ome.tif",
    "strips.tif",
    "big-endian.tif",
    "png",
    "npy",
    "dask",
)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_read_from_any_file(kind: str, tmp_path: Path) -> None:
    tested, reference = blobs(5, (37, 45), 900), blobs(6, (37, 45))
    stored = write_as(kind, tested, tmp_path)
    assert counted(stored, reference) == counted(tested, reference)


def test_memory_holds_a_few_blocks_and_no_volume(tmp_path: Path) -> None:
    shape = (20, 1024, 1024)  # 80 MiB of uint32 each
    paths = [str(tmp_path / name) for name in ("a.zarr", "b.zarr")]
    for path, width in zip(paths, (64, 96), strict=True):
        array = zarr.create_array(path, shape=shape, chunks=(1, 512, 512), dtype="u4")
        plane = np.arange(1024, dtype=np.uint32) // width
        for z in range(shape[0]):
            array[z] = np.broadcast_to(plane + 100 * (z // 4), shape[1:])
    tracemalloc.start()
    try:
        rows = counted(*paths)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(count for _, _, count in rows) == np.prod(shape)
    assert peak < 64 * MIB


def test_every_pixel_is_read_once() -> None:
    tested = Counting((3, 700, 1500), chunks=(1, 256, 256))
    reference = Counting((3, 700, 1500), chunks=(2, 128, 512))
    counted(tested, reference)
    assert tested.pixels_read == reference.pixels_read == 3 * 700 * 1500


def test_small_chunks_are_taken_together_along_x_first() -> None:
    assert choose_block((9, 4096, 4096), (1, 64, 64), (1, 64, 64)) == (1, 512, 4096)
    assert choose_block((9, 100, 100), (1, 64, 64), (1, 1, 1)) == (9, 100, 100)


def test_a_block_holds_a_chunk_of_both_volumes() -> None:
    assert choose_block((64, 900, 900), (32, 16, 16), (1, 900, 1)) == (32, 900, 64)


def test_chunks_that_cross_are_not_multiplied() -> None:
    crossing = choose_block((4000, 4000, 900), (4000, 1, 900), (1, 4000, 900))
    assert np.prod(crossing) <= 4000 * 900


def test_leading_axes_and_channels_of_size_one_are_left_out(tmp_path: Path) -> None:
    labels = blobs(7, (5, 20, 30))
    path = str(tmp_path / "labels.zarr")
    names = ("t", "z", "c", "y", "x")
    array = zarr.create_array(
        path, shape=(1, 5, 1, 20, 30), dtype="u2", dimension_names=names
    )
    array[...] = labels[None, :, None]
    expected = counted(labels, labels)
    assert counted(path, labels) == expected
    assert counted(labels, labels[None, None]) == expected


def test_other_shapes_are_refused_with_both() -> None:
    tested, reference = np.zeros((3, 8, 8), int), np.zeros((1, 8, 8), int)
    with pytest.raises(LabelError, match=r"\(3, 8, 8\).*\(1, 8, 8\)"):
        LabelPair(tested, reference)


def test_an_axis_of_one_pixel_inside_counts_as_shape() -> None:
    with pytest.raises(LabelError, match="same shape"):
        LabelPair(np.zeros((3, 1, 8), int), np.zeros((3, 8), int))


def test_colours_are_no_labels(tmp_path: Path) -> None:
    path = tmp_path / "colours.png"
    Pillow.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    with pytest.raises(LabelError, match="one channel"):
        LabelPair(np.zeros((8, 8), int), path)


def test_fractions_are_no_labels() -> None:
    with pytest.raises(LabelError, match="whole numbers, got float32"):
        LabelPair(np.zeros((8, 8), np.float32), np.zeros((8, 8), int))


def test_negative_ids_are_refused() -> None:
    with pytest.raises(LabelError, match="got -1"):
        counted(np.array([[0, -1]]), np.array([[0, 1]]))


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.png"):
        LabelPair(np.zeros((8, 8), int), tmp_path / "nothing.png")


def test_a_damaged_chunk_is_told_with_its_region(tmp_path: Path) -> None:
    path = tmp_path / "labels.zarr"
    labels = blobs(8, (16, 32), 99)
    zarr.create_array(str(path), data=labels, chunks=(16, 16))
    (path / "c" / "0" / "1").write_bytes(b"no chunk")
    with pytest.raises(ImageReadError, match=r"\[0:16, 16:32\]"):
        counted(path, labels, (16, 16))


def test_a_block_of_no_pixel_is_refused() -> None:
    labels = np.zeros((8, 8), int)
    with (
        LabelPair(labels, labels) as pair,
        pytest.raises(LabelError, match="2 sizes of at least one"),
    ):
        pair.blocks((0, 8))
