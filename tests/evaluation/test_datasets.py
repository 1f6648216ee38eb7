from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from disc_scene import draw

from napari_sam.errors import ImageError, LabelError
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
