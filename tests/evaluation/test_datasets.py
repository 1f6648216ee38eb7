from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from disc_scene import draw
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_sam.errors import ImageError, ImageWarning, LabelError
from napari_sam.evaluation.datasets import read_dataset
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.labels import LabelGeometry, LabelStore


def test_a_folder_gives_its_images_by_name(discs: Path) -> None:
    dataset = read_dataset(discs)
    assert dataset.name == "discs"
    assert [(plane.name, plane.plane) for plane in dataset.planes] == [
        ("a", ()),
        ("b", ()),
    ]
    assert np.unique(dataset.planes[0].read_labels()).tolist() == [0, 1, 2, 3]
    assert dataset.planes[0].open_image().shape == (200, 200)


def test_a_stack_gives_its_planes(tmp_path: Path) -> None:
    labels = np.zeros((3, 20, 30), dtype=np.uint16)
    labels[1] = 7
    axes = {"axes": "ZYX"}
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        path = tmp_path / kind / "s.tif"
        tifffile.imwrite(path, labels, photometric="minisblack", metadata=axes)
    planes = read_dataset(tmp_path).planes
    assert [plane.plane for plane in planes] == [(0,), (1,), (2,)]
    assert [int(plane.read_labels().max()) for plane in planes] == [0, 7, 0]


def test_an_ome_zarr_image_gives_the_labels_inside_it(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64), dtype=np.uint8)
    source = tmp_path / "image.zarr"
    with LabelStore.open(source, LabelGeometry.of(open_image(pixels))):
        pass  # any OME-Zarr with one level will do as an image
    geometry = LabelGeometry.of(open_image(source))
    with LabelStore.open(source / "labels" / "cells", geometry) as store:
        store.add(np.ones((5, 6), dtype=bool), box=Box(10, 20, 15, 26))
    for path in (source, f"{source}::cells"):
        (plane,) = read_dataset(path).planes
        assert plane.read_labels().sum() == 30
    with pytest.raises(ImageError, match="nuclei"):
        read_dataset(f"{source}::nuclei")


def test_an_image_without_labels_is_named(discs: Path) -> None:
    (discs / "labels" / "b.png").unlink()
    with pytest.raises(ImageError, match=r"b\.png needs one label image"):
        read_dataset(discs)


def test_labels_of_another_shape_are_refused(discs: Path) -> None:
    draw(discs, "b", [])
    tifffile.imwrite(discs / "labels" / "b.tif", np.zeros((5, 5), np.uint16))
    (discs / "labels" / "b.png").unlink()
    with pytest.raises(LabelError, match="shape"):
        read_dataset(discs)


def test_two_images_of_one_name_are_refused(discs: Path) -> None:
    tifffile.imwrite(discs / "images" / "a.tif", np.zeros((200, 200), np.uint8))
    with pytest.raises(ImageError, match=r"several of \['a'\]"):
        read_dataset(discs)


def test_ids_below_zero_are_refused(tmp_path: Path) -> None:
    draw(tmp_path, "a", [])
    (tmp_path / "labels" / "a.png").unlink()
    np.save(tmp_path / "labels" / "a.npy", np.full((200, 200), -1, np.int32))
    (plane,) = read_dataset(tmp_path).planes
    with pytest.raises(LabelError, match="has -1"):
        plane.read_labels()


def test_a_mask_is_one_object(tmp_path: Path) -> None:
    draw(tmp_path, "a", [])
    (tmp_path / "labels" / "a.png").unlink()
    np.save(tmp_path / "labels" / "a.npy", np.ones((200, 200), bool))
    (plane,) = read_dataset(tmp_path).planes
    assert plane.read_labels().sum() == 40_000


def test_files_beside_images_and_labels_do_not_matter(discs: Path) -> None:
    (discs / "man_track.txt").write_text("1 0 3 0")
    (discs / "images" / "notes.txt").write_text("x")
    assert len(read_dataset(discs).planes) == 2


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="images/ and labels/"):
        read_dataset(tmp_path)


@pytest.fixture
def cells(tmp_path: Path) -> NDArray[np.uint8]:
    """Two objects; `tmp_path` has empty folders for images and labels."""
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    labels = np.zeros((48, 64), np.uint8)
    labels[5:15, 5:15], labels[25:40, 30:45] = 1, 2
    return labels


def ids_of(root: Path) -> list[int]:
    (plane,) = read_dataset(root).planes
    return np.unique(plane.read_labels()).tolist()


def test_the_numbers_of_a_palette_are_ids(tmp_path: Path, cells: NDArray) -> None:
    Pillow.fromarray(cells).save(tmp_path / "images" / "a.png")
    picture = Pillow.fromarray(cells)
    picture.putpalette([0, 0, 0, 255, 0, 0, *[0, 255, 0] * 254])
    picture.save(tmp_path / "labels" / "a.png")
    assert ids_of(tmp_path) == [0, 1, 2]


def test_what_a_system_leaves_beside_files_is_no_image(
    tmp_path: Path, cells: NDArray
) -> None:
    for kind in ("images", "labels"):
        tifffile.imwrite(tmp_path / kind / "a.tif", cells)
        (tmp_path / kind / "._a.tif").write_bytes(b"\0\5\x16\7Mac OS X")
    assert ids_of(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize("forms", [("NFD", "NFC"), ("NFC", "NFD")])
def test_an_accent_may_be_written_in_two_ways(
    tmp_path: Path, cells: NDArray, forms: tuple[Any, Any]
) -> None:
    for kind, form in zip(("images", "labels"), forms, strict=True):
        name = unicodedata.normalize(form, "zelle_\u00fc.tif")
        tifffile.imwrite(tmp_path / kind / name, cells)
    assert ids_of(tmp_path) == [0, 1, 2]


@pytest.mark.parametrize(
    "shapes", [((1, 1, 48, 64), (48, 64)), ((48, 64), (1, 48, 64))]
)
def test_axes_of_one_plane_do_not_count(
    tmp_path: Path, cells: NDArray, shapes: tuple[tuple[int, ...], tuple[int, ...]]
) -> None:
    for kind, shape in zip(("images", "labels"), shapes, strict=True):
        np.save(tmp_path / kind / "a.npy", cells.reshape(shape))
    assert ids_of(tmp_path) == [0, 1, 2]


def test_planes_are_those_of_the_labels(tmp_path: Path, cells: NDArray) -> None:
    stack = np.stack([cells * n for n in (0, 1, 3, 0, 2)])
    np.save(tmp_path / "images" / "a.npy", stack[:, None])
    np.save(tmp_path / "labels" / "a.npy", stack[None])
    planes = read_dataset(tmp_path).planes
    assert [int(plane.read_labels().max()) for plane in planes] == [0, 2, 6, 0, 4]


def test_every_picture_counts_and_others_with_labels_are_named(
    tmp_path: Path, cells: NDArray
) -> None:
    for name in ("a.bmp", "b.png"):
        Pillow.fromarray(cells).save(tmp_path / "images" / name)
        Pillow.fromarray(cells).save(tmp_path / "labels" / f"{name[0]}.png")
    assert [plane.name for plane in read_dataset(tmp_path).planes] == ["a", "b"]
    (tmp_path / "images" / "c.czi").write_bytes(b"ZISRAWFILE")
    (tmp_path / "images" / "notes.txt").write_text("no image")
    Pillow.fromarray(cells).save(tmp_path / "labels" / "c.png")
    with pytest.warns(ImageWarning, match=r"not read: c\.czi\."):
        read_dataset(tmp_path)
