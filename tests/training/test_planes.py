"""Where crops come from: held or read, weighted, left out."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from training_scene import disc_arrays, write_discs

from napari_sam.errors import ImageError, TrainingError
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.training import planes
from napari_sam.training.config import DataSource, Phase
from napari_sam.training.pictures import open_pictures
from napari_sam.training.planes import compact, open_planes


def test_a_plane_is_held_as_eight_bit_colours_and_ids(tmp_path: Path) -> None:
    ((plane,), left_out) = open_planes([DataSource(write_discs(tmp_path / "d"))])
    pixels, labels = disc_arrays()
    np.testing.assert_array_equal(plane.image, pixels)
    np.testing.assert_array_equal(plane.labels, labels)
    assert (plane.shape, plane.object_count, left_out) == ((90, 90), 9, [])
    assert plane.object_size == pytest.approx(np.sqrt(317), abs=0.1)


def test_a_large_plane_is_read_crop_by_crop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DataSource(write_discs(tmp_path / "d"))
    ((held,), _) = open_planes([source])
    monkeypatch.setattr(planes, "LARGEST_HELD", 1000)
    ((read,), _) = open_planes([source])
    assert isinstance(read.image, Image)
    assert isinstance(read.labels, Image)
    assert (read.object_count, read.object_size) == (9, held.object_size)
    box = Box(10, 10, 60, 50)
    for a, b in zip(read.cut(box), held.cut(box), strict=True):
        np.testing.assert_array_equal(a, compact(b) if b.ndim == 2 else b)


def test_planes_beyond_the_memory_that_is_allowed_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes, "HELD_BYTES", 90 * 90 * 7 * 2)
    found, _ = open_planes([DataSource(write_discs(tmp_path / "d", count=3))])
    assert [isinstance(plane.image, Image) for plane in found] == [False, False, True]


def test_crops_of_a_large_plane_are_drawn_where_objects_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planes, "LARGEST_HELD", 1000)
    monkeypatch.setattr(planes, "BLOCK", 64)
    pixels, labels = disc_arrays()
    for kind, array in (("images", pixels[..., 0]), ("labels", labels)):
        (tmp_path / kind).mkdir()
        large = np.zeros((1024, 1024), np.uint8)
        large[700:790, 800:890] = array
        tifffile.imwrite(tmp_path / kind / "slide.tif", large)
    ((plane,), _) = open_planes([DataSource(tmp_path)])
    near = Box(640, 768, 832, 896)
    assert plane.places
    assert all(near.contains(place) for place in plane.places)
    rng = np.random.default_rng(0)
    boxes = [plane.draw_box(rng, 100) for _ in range(20)]
    assert all(box.shape == (100, 100) and box.intersects(near) for box in boxes)


def test_a_stack_is_a_plane_for_each_slice(tmp_path: Path) -> None:
    pixels, labels = disc_arrays()
    for kind, array in (("images", pixels[..., 0]), ("labels", labels)):
        (tmp_path / kind).mkdir()
        stack = np.stack([array] * 4)
        tifffile.imwrite(
            tmp_path / kind / "stack.tif",
            stack,
            photometric="minisblack",
            metadata={"axes": "ZYX"},
        )
    learned, left_out = open_planes([DataSource(tmp_path, leave_out=1)])
    assert [plane.object_count for plane in learned] == [9, 9, 9]
    assert len(left_out) == 1


@pytest.mark.parametrize("largest_held", [10**6, 1000])
def test_labels_inside_an_ome_zarr_image_are_learned_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest_held: int
) -> None:
    monkeypatch.setattr(planes, "LARGEST_HELD", largest_held)
    pixels, labels = disc_arrays()
    geometry = LabelGeometry.of(open_image(labels))
    for path, ids in (("", pixels[..., 0]), ("labels/cells", labels)):
        with LabelStore.open(tmp_path / "image.zarr" / path, geometry) as store:
            for number in np.unique(ids[ids > 0]):
                store.add(ids == number, box=Box.of_shape(ids.shape))
    ((plane,), _) = open_planes([DataSource(tmp_path / "image.zarr::cells")])
    assert isinstance(plane.labels, Image) == (largest_held < labels.size)
    assert (plane.object_count, plane.shape) == (9, labels.shape)
    found = plane.cut(Box.of_shape(labels.shape))[1]
    np.testing.assert_array_equal(found, labels)


def test_the_last_planes_by_name_are_left_out(tmp_path: Path) -> None:
    source = DataSource(write_discs(tmp_path / "d", count=4), leave_out=1)
    learned, left_out = open_planes([source])
    assert [plane.name for plane in learned] == ["00", "01", "02"]
    assert [plane.name for plane in left_out] == ["03"]


def test_leaving_everything_out_is_refused(tmp_path: Path) -> None:
    source = DataSource(write_discs(tmp_path / "d", count=2), leave_out=2)
    with pytest.raises(TrainingError, match=r"less than the planes .* 2, got 2"):
        open_planes([source])


def test_the_planes_of_a_source_share_its_share(tmp_path: Path) -> None:
    sources = [
        DataSource(write_discs(tmp_path / "a", count=1), share=0.75),
        DataSource(write_discs(tmp_path / "b", count=3), share=0.25),
    ]
    learned, _ = open_planes(sources)
    assert [x.weight for x in learned] == pytest.approx([0.75, *[0.25 / 3] * 3])


def test_labels_that_are_all_background_are_refused(tmp_path: Path) -> None:
    folder = write_discs(tmp_path / "d")
    tifffile.imwrite(folder / "labels" / "00.tif", np.zeros((90, 90), np.uint8))
    (folder / "labels" / "00.png").unlink()
    with pytest.raises(ImageError, match="labels of its 1 planes are all 0"):
        open_planes([DataSource(folder)])


def test_ids_become_small_and_negative_ones_background() -> None:
    ids = np.array([[-1, 0, 70_000], [5, 70_000, -3]], dtype=np.int64)
    np.testing.assert_array_equal(compact(ids), [[0, 0, 2], [1, 2, 0]])


@pytest.mark.parametrize("inside", ["images", "."])
def test_pictures_need_no_labels(tmp_path: Path, inside: str) -> None:
    folder = write_discs(tmp_path / "d", count=2)
    source = DataSource(folder if inside == "images" else folder / "images")
    (folder / "labels").rename(tmp_path / "gone")
    learned, left_out = open_pictures([source], Phase(size=32))
    assert [plane.name for plane in learned] == ["00", "01"]
    assert left_out == []
    pixels, labels = learned[0].cut(Box(0, 0, 30, 40))
    assert (pixels.shape, labels.any()) == ((30, 40, 3), False)
