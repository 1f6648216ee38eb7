"""Files and groups of several images: the user chooses, and is told of the others."""

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_sam.errors import ImageError, ImageWarning
from napari_sam.geometry import Box
from napari_sam.images import open_image


def write_image(group: zarr.Group, path: str, value: int, side: int = 40) -> None:
    """An OME-Zarr image of one level, filled with a value."""
    inner = group.require_group(path) if path else group
    inner.create_array("0", data=np.full((side, 50), value, np.uint16))
    inner.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": n, "type": "space"} for n in "yx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [2, 3]}],
                }
            ],
        }
    ]


def new_group(path: Path) -> zarr.Group:
    return zarr.open_group(path, mode="w", zarr_format=2)


def value_of(source: Any, **options: Any) -> int:
    with open_image(source, **options) as image:
        return int(image.read((), 0, Box(0, 0, 1, 1)).ravel()[0])


@pytest.fixture
def two_images(tmp_path: Path) -> Path:
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for name, side in (("overview", 20), ("scan", 80)):
            pixels = np.full((side, 90), side, np.uint8)
            file.write(pixels, photometric="minisblack", metadata={"Name": name})
    return path


def test_further_images_of_a_file_are_told(two_images: Path) -> None:
    with pytest.warns(ImageWarning, match=r"2 images.*overview.*scan.*--series"):
        image = open_image(two_images)
    assert image.shape == (20, 90)
    assert "scan" in image.notices[0]
    image.close()


@pytest.mark.parametrize("series", [1, "1", "scan"])
def test_the_user_chooses_an_image(two_images: Path, series: Any) -> None:
    assert value_of(two_images, series=series) == 80
    assert value_of(f"{two_images}::{series}") == 80


def test_a_choice_that_is_not_there_names_those_that_are(two_images: Path) -> None:
    with pytest.raises(ImageError, match=r"no image 'third'.*overview.*scan"):
        open_image(two_images, series="third")


def test_a_series_that_is_not_called_0_is_found(tmp_path: Path) -> None:
    group = new_group(tmp_path / "a.zarr")
    group.create_group("OME").attrs["series"] = ["first", "second"]
    write_image(group, "first", 1)
    write_image(group, "second", 2)
    with pytest.warns(ImageWarning, match="first, second"):
        assert value_of(tmp_path / "a.zarr") == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert value_of(tmp_path / "a.zarr", series="second") == 2
        assert value_of(tmp_path / "a.zarr", series=1) == 2


def test_a_plate_names_its_fields(tmp_path: Path) -> None:
    group = new_group(tmp_path / "p.zarr")
    group.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    for number, well in enumerate(("A/1", "B/2")):
        group.require_group(well).attrs["well"] = {"images": [{"path": "0"}]}
        write_image(group, f"{well}/0", number)
    with pytest.raises(ImageError, match=r"2 images: A/1/0, B/2/0"):
        open_image(tmp_path / "p.zarr")
    assert value_of(tmp_path / "p.zarr", series="B/2/0") == 1
    assert value_of(f"{tmp_path / 'p.zarr'}::B/2") == 1


def test_images_further_down_are_found_or_named(tmp_path: Path) -> None:
    group = new_group(tmp_path / "s.zarr")
    write_image(group, "images/he", 7)
    assert value_of(tmp_path / "s.zarr") == 7
    write_image(group, "images/dapi", 8)
    with pytest.raises(ImageError, match="images/dapi, images/he"):
        open_image(tmp_path / "s.zarr")
    assert value_of(tmp_path / "s.zarr", series="images/he") == 7


def test_labels_are_no_further_image(tmp_path: Path) -> None:
    group = new_group(tmp_path / "s.zarr")
    write_image(group, "images/he", 7)
    write_image(group, "labels/cells", 1)
    labels = group["labels/cells"]
    labels.attrs["image-label"] = {"version": "0.4"}
    assert value_of(tmp_path / "s.zarr") == 7


def test_a_level_by_its_path_knows_what_its_image_says(tmp_path: Path) -> None:
    write_image(new_group(tmp_path / "a.zarr"), "", 3)
    assert open_image(tmp_path / "a.zarr" / "0").pixel_size == {"y": 2, "x": 3}
    array = zarr.open(tmp_path / "a.zarr", mode="r")["0"]
    assert open_image(array).pixel_size == {"y": 2, "x": 3}


def test_a_zip_of_the_folder_itself_opens(tmp_path: Path) -> None:
    write_image(new_group(tmp_path / "a.zarr"), "", 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in (tmp_path / "a.zarr").rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(tmp_path))
    assert value_of(tmp_path / "a.zip") == 3


def test_an_array_of_several_in_a_file_of_numpy(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.zeros((4, 5)), two=np.ones((4, 5)))
    with pytest.raises(ImageError, match="one, two"):
        open_image(tmp_path / "a.npz")
    assert value_of(f"{tmp_path / 'a.npz'}::two") == 1


def test_coordinate_systems_of_version_0_6_name_the_axes(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", data=np.zeros((2, 3, 40, 50), np.uint8))
    axes = [{"name": n} for n in "zcyx"]
    axes[1]["type"] = "channel"
    step = {"type": "scale", "scale": [4, 1, 2, 3], "input": "0", "output": "own"}
    group.attrs["ome"] = {
        "version": "0.6",
        "multiscales": [
            {
                "coordinateSystems": [{"name": "own", "axes": axes}],
                "datasets": [{"path": "0", "coordinateTransformations": [step]}],
            }
        ],
    }
    image = open_image(tmp_path / "a.zarr")
    assert (image.axes, image.pixel_size) == ("zcyx", {"z": 4, "y": 2, "x": 3})


@pytest.mark.parametrize("scale", [[0.0, 0.1], [-0.5, 0.1]])
def test_a_scale_that_is_not_positive_says_less(
    tmp_path: Path, scale: list[float]
) -> None:
    group = new_group(tmp_path / "a.zarr")
    write_image(group, "", 3)
    entry = group.attrs["multiscales"]
    entry[0]["datasets"][0]["coordinateTransformations"][0]["scale"] = scale
    group.attrs["multiscales"] = entry
    known = {"y": 0.5, "x": 0.1} if scale[0] else {"x": 0.1}
    assert open_image(tmp_path / "a.zarr").pixel_size == known


def test_a_level_of_another_type_is_left_out(tmp_path: Path) -> None:
    group = new_group(tmp_path / "a.zarr")
    write_image(group, "", 3)
    group.create_array("1", data=np.zeros((20, 25)))
    entry = group.attrs["multiscales"]
    entry[0]["datasets"].append({"path": "1"})
    group.attrs["multiscales"] = entry
    assert [level.stored for level in open_image(tmp_path / "a.zarr").levels] == [True]
