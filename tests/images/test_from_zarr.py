"""OME-Zarr and bare zarr: what it says is used, and only what is shown is read."""

import gc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numpy.typing import NDArray
from zarr.storage import ZipStore
from zarr_scene import write_ome_zarr

from napari_sam.errors import ImageError, ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import open_image


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_tells_axes_levels_and_scale(
    tmp_path: Path, stack: NDArray, version: str
) -> None:
    path = tmp_path / "cells.ome.zarr"
    write_ome_zarr(path, [stack, stack[:, ::2, ::2]], version=version)
    image = open_image(path)
    assert (image.name, image.source) == ("cells", str(path))
    assert (image.axes, image.stack_shape, image.shape) == ("zyx", (3,), (300, 400))
    assert [lv.stored for lv in image.levels] == [True, True]
    assert image.levels[1].factors == (2, 2)
    assert image.pixel_size == {"z": 2, "y": 0.5, "x": 0.5}
    assert image.units == dict.fromkeys("zyx", "micrometer")
    assert image.translation == {"z": 0, "y": 10, "x": 0}
    window = image.read((2,), 0, Box(10, 20, 200, 300))
    np.testing.assert_array_equal(window[0], stack[2, 10:200, 20:300])


def test_a_scale_that_contradicts_the_shapes_is_not_believed(
    tmp_path: Path, stack: NDArray
) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [stack, stack[:, ::4, ::4]])
    image = open_image(tmp_path / "a.zarr")
    assert [lv.factors for lv in image.levels if lv.stored] == [(1, 1), (4, 4)]


def test_the_users_axes_keep_the_sizes_of_axes_that_stay(
    tmp_path: Path, stack: NDArray
) -> None:
    write_ome_zarr(tmp_path / "a.zarr", [stack])
    image = open_image(tmp_path / "a.zarr", axes="tyx")
    assert image.stack_axes == "t"
    assert image.pixel_size == {"y": 0.5, "x": 0.5}


@pytest.mark.parametrize(
    ("omero", "is_rgb"),
    [
        (None, True),
        (["FF0000", "00ff00", "0000FF"], True),
        (["00FF00", "FF0000", "0000FF"], False),
    ],
)
def test_three_uint8_channels_are_rgb_unless_their_colours_differ(
    tmp_path: Path, omero: list[str] | None, is_rgb: bool
) -> None:
    extra = {"omero": {"channels": [{"color": c} for c in omero]}} if omero else {}
    pixels = np.random.default_rng(0).integers(9, 99, (3, 64, 64), dtype=np.uint8)
    write_ome_zarr(tmp_path / "a.zarr", [pixels], axes="cyx", version="0.4", **extra)
    image = open_image(tmp_path / "a.zarr")
    assert (image.is_rgb, image.stack_axes) == (is_rgb, "")
    rgb = image.read_rgb((), 0, Box(0, 0, 64, 64))
    assert (rgb == pixels.transpose(1, 2, 0)).all() == is_rgb


def test_the_first_image_of_a_converted_file_is_found(
    tmp_path: Path, stack: NDArray
) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    write_ome_zarr(tmp_path / "a.zarr" / "0", [stack])
    assert open_image(tmp_path / "a.zarr").shape == (300, 400)


def test_a_plate_asks_for_one_of_its_fields(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w").attrs["plate"] = {"wells": []}
    with pytest.raises(ImageError, match="one field"):
        open_image(tmp_path / "a.zarr")


def test_old_axes_are_plain_letters(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(2, 9, 8), chunks=(1, 9, 8), dtype="u1")
    group.attrs["multiscales"] = [
        {"version": "0.3", "axes": ["t", "y", "x"], "datasets": [{"path": "0"}]}
    ]
    assert open_image(tmp_path / "a.zarr").stack_axes == "t"


@pytest.mark.parametrize(
    "multiscale",
    [
        {"datasets": [{"path": "nowhere"}]},
        {"datasets": [{}]},
        {"datasets": []},
        {},
        "text",
        {"datasets": [{"path": "0"}], "axes": [{"type": "space"}]},
        {"datasets": [{"path": "0"}], "axes": ["z", "t"]},
        {
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": ["a"]}],
                }
            ]
        },
    ],
)
def test_broken_metadata_are_an_image_error(tmp_path: Path, multiscale: Any) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    group.create_array("0", shape=(9, 8), chunks=(9, 8), dtype="u1")
    group.attrs["multiscales"] = [multiscale]
    with pytest.raises(ImageError) as caught:
        open_image(tmp_path / "a.zarr")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_bare_array_is_guessed_or_told_by_its_dimension_names(
    tmp_path: Path, zarr_format: Any
) -> None:
    names = {"dimension_names": ["time", "y", "x"]} if zarr_format == 3 else {}
    zarr.create_array(
        tmp_path / "a.zarr",
        shape=(5, 60, 70),
        chunks=(1, 60, 70),
        dtype=">u2",
        zarr_format=zarr_format,
        **names,
    )
    image = open_image(str(tmp_path / "a.zarr"))
    assert image.stack_axes == ("t" if names else "z")
    assert image.dtype == np.dtype("=u2")


def test_a_bare_group_of_levels_is_a_pyramid(tmp_path: Path, stack: NDArray) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for number in (0, 1):
        group.create_array(f"level{number}", data=stack[0, :: 2**number, :: 2**number])
    (tmp_path / "a.zarr" / "notes").mkdir()
    image = open_image(tmp_path / "a.zarr")
    assert [lv.shape for lv in image.levels] == [(300, 400), (150, 200)]


def test_a_bare_group_of_unrelated_arrays_names_them(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("cells", data=np.zeros((9, 9)))
    group.create_array("names", data=np.zeros(4))
    with pytest.raises(ImageError, match=r"cells \(9, 9\), names \(4,\)"):
        open_image(tmp_path / "a.zarr")


def test_zipped_zarr_is_read_and_closed(tmp_path: Path, stack: NDArray) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_ome_zarr(store, [stack])
    with open_image(tmp_path / "a.zip") as image:
        np.testing.assert_array_equal(
            image.read((1,), 0, Box(0, 0, 40, 40))[0], stack[1, :40, :40]
        )


def test_a_zip_without_an_image_is_closed_again(tmp_path: Path) -> None:
    with ZipStore(tmp_path / "a.zip", mode="w") as store:
        zarr.create_group(store)
    with pytest.raises(ImageError, match="no arrays"):
        open_image(tmp_path / "a.zip")
    gc.collect()


@pytest.mark.parametrize("what", ["missing", "empty", "text"])
def test_a_folder_without_zarr_is_an_image_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.zarr"
    if what != "missing":
        path.mkdir()
    if what == "text":
        (path / "notes.txt").write_text("hello")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ImageError, match=r"a\.zarr"):
        open_image(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_unreadable_chunk_in_the_middle_is_named(
    tmp_path: Path, stack: NDArray, version: str
) -> None:
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, [stack], version=version)
    chunk = path / ("s0/0/2/3" if version == "0.4" else "s0/c/0/0/0")
    chunk.write_bytes(bytes(chunk.stat().st_size))
    image = open_image(path)
    with pytest.raises(ImageReadError, match="Chunk z=0, y=") as caught:
        image.read((0,), 0, Box(0, 0, 300, 400))
    assert "\n" not in str(caught.value)
    assert image.read((0,), 0, Box(256, 256, 300, 400)).shape == (1, 44, 144)


def test_arrays_on_disk_know_their_path_and_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(9, 9), chunks=(9, 9), dtype="u1")
    image = open_image(array)
    assert image.source == str(path)
    assert image.fingerprint == open_image(path).fingerprint
    assert image.fingerprint != open_image(path, axes="xy").fingerprint
