"""TIFF of all kinds, read tile by tile; and files that only look like it."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_sam.errors import ImageError, ImageReadError, ImageWarning
from napari_sam.geometry import Box
from napari_sam.images import open_image


@pytest.fixture
def stack() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 999, (3, 300, 400), dtype=np.uint16)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The offset of each tile or strip that was read."""
    offsets: list[int] = []
    read = tifffile.tifffile.FileCache.read

    def counting(self: Any, handle: Any, offset: int, size: int, **more: Any) -> bytes:
        offsets.append(offset)
        return read(self, handle, offset, size, **more)

    monkeypatch.setattr(tifffile.tifffile.FileCache, "read", counting)
    return offsets


def write(path: Path, array: NDArray[Any], **options: Any) -> None:
    tifffile.imwrite(path, array, photometric="minisblack", **options)


BOX = Box(10, 20, 250, 333)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True, "byteorder": ">"},
        {"compression": "zlib", "rowsperstrip": 16},
        {"compression": "zstd", "tile": (64, 64), "predictor": True},
        {"tile": (128, 128)},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
    ],
)
def test_stacks_of_every_kind_read_alike(
    tmp_path: Path, stack: NDArray, options: dict[str, Any]
) -> None:
    path = tmp_path / ("cells.ome.tif" if "ome" in options else "cells.tif")
    write(path, stack, **options)
    with open_image(path) as image:
        assert (image.name, image.source) == ("cells", str(path))
        assert (image.axes, image.dtype) == ("zyx", np.dtype("=u2"))
        np.testing.assert_array_equal(image.read((1,), 0, BOX)[0], stack[1][BOX.slices])


def test_opening_reads_tags_only_and_a_window_its_own_tiles(
    tmp_path: Path, stack: NDArray, decoded: list[int]
) -> None:
    path = tmp_path / "a.tif"
    write(path, stack, tile=(64, 64), compression="zlib")
    with open_image(path) as image:
        assert decoded == []
        image.read((2,), 0, Box(0, 0, 128, 64))
        assert len(decoded) == 2


def test_a_pyramidal_ome_tiff_has_stored_levels_and_a_scale(
    tmp_path: Path, stack: NDArray
) -> None:
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 500.0,
        "PhysicalSizeYUnit": "nm",
        "PhysicalSizeZ": 2.0,
    }
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(stack, subifds=1, tile=(64, 64), metadata=metadata)
        writer.write(stack[:, ::2, ::2], subfiletype=1, tile=(64, 64))
    with open_image(path) as image:
        assert [level.stored for level in image.levels] == [True, True]
        assert [level.factors for level in image.levels] == [(1, 1), (2, 2)]
        window = image.read((2,), 1, Box(0, 0, 150, 200))
        np.testing.assert_array_equal(window[0], stack[2, ::2, ::2])
        assert image.pixel_size == {"z": 2, "y": 500, "x": 0.25}
        assert image.units == {"z": "micrometer", "y": "nanometer", "x": "micrometer"}


def test_an_ome_tiff_of_several_files_is_one_stack(
    tmp_path: Path, stack: NDArray
) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" Type="uint16" SizeX="400" '
        'SizeY="300" SizeZ="3" SizeC="1" SizeT="1" DimensionOrder="XYZCT">'
        '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
    )
    for z in range(3):
        xml += (
            f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1">'
            f'<UUID FileName="{z}.ome.tif">urn:uuid:{z}</UUID></TiffData>'
        )
    xml += "</Pixels></Image></OME>"
    for z in range(3):
        own = xml.replace('UUID="urn:uuid:0"', f'UUID="urn:uuid:{z}"')
        write(tmp_path / f"{z}.ome.tif", stack[z], description=own, metadata=None)
    with open_image(tmp_path / "0.ome.tif") as image:
        assert image.stack_shape == (3,)
        np.testing.assert_array_equal(image.read((2,), 0, BOX)[0], stack[2][BOX.slices])


def test_an_imagej_hyperstack_keeps_axes_and_scale(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 9, (2, 4, 3, 20, 30), dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        array,
        imagej=True,
        resolution=(4, 2),
        metadata={"axes": "TZCYX", "unit": "um", "spacing": 3.0, "finterval": 7.0},
    )
    with open_image(tmp_path / "a.tif", channels=[2]) as image:
        assert (image.axes, image.stack_shape) == ("tzcyx", (2, 4))
        assert image.pixel_size == {"t": 7, "z": 3, "y": 0.5, "x": 0.25}
        assert image.units["x"] == "micrometer"
        window = image.read((1, 3), 0, Box(0, 0, 20, 30))
        np.testing.assert_array_equal(window[0], array[1, 3, 2])


@pytest.mark.parametrize("samples", [3, 4])
@pytest.mark.parametrize(
    "options", [{}, {"planarconfig": "separate"}, {"tile": (32, 32)}]
)
def test_rgb_keeps_its_colours_and_drops_alpha(
    tmp_path: Path, samples: int, options: dict[str, Any]
) -> None:
    rgb = np.random.default_rng(0).integers(9, 99, (60, 70, samples), dtype=np.uint8)
    array = np.moveaxis(rgb, -1, 0) if "planarconfig" in options else rgb
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", **options)
    with open_image(tmp_path / "a.tif") as image:
        assert (image.is_rgb, image.channel_count, image.stack_axes) == (True, 3, "")
        window = image.read_rgb((), 0, Box(0, 0, 60, 70))
        np.testing.assert_array_equal(window, rgb[..., :3])


@pytest.mark.parametrize("dtype", ["bool", "u1", "i2", "u4", "f2", "f4", "f8", "u8"])
def test_pixel_types_of_tiff_survive(tmp_path: Path, dtype: str) -> None:
    array = np.random.default_rng(0).integers(0, 2, (40, 50)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    with open_image(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(image.read((), 0, Box(0, 0, 40, 50))[0], array)


def test_a_tiff_behind_a_url_is_read_in_parts(stack: NDArray) -> None:
    memory = fsspec.filesystem("memory")
    with memory.open("/a.tif", "wb") as file:
        tifffile.imwrite(file, stack, photometric="minisblack", tile=(64, 64))
    with open_image("memory://a.tif") as image:
        np.testing.assert_array_equal(image.read((1,), 0, BOX)[0], stack[1][BOX.slices])
    memory.rm("/a.tif")


def test_a_file_nobody_closed_is_closed_without_a_warning(
    tmp_path: Path, stack: NDArray
) -> None:
    write(tmp_path / "a.tif", stack, compression="zlib")
    image = open_image(tmp_path / "a.tif")
    image.read((0,), 0, BOX)
    del image
    gc.collect()


def test_a_closed_image_says_that_it_cannot_be_read(
    tmp_path: Path, stack: NDArray
) -> None:
    write(tmp_path / "a.tif", stack, compression="zlib")
    with open_image(tmp_path / "a.tif") as image:
        pass
    with pytest.raises(ImageReadError, match="Open it again"):
        image.read((0,), 0, BOX)


def test_a_damaged_tile_is_named_and_others_still_work(
    tmp_path: Path, stack: NDArray
) -> None:
    path = tmp_path / "a.tif"
    write(path, stack[0], tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[8]  # of 7 tiles a row
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(64))
    with open_image(path) as image:
        with pytest.raises(ImageReadError, match="Chunk y=1, x=1 "):
            image.read((), 0, BOX)
        assert image.read((), 0, Box(0, 0, 64, 400)).shape == (1, 64, 400)


@pytest.mark.parametrize("options", [{}, {"tile": (64, 64), "compression": "zlib"}])
@pytest.mark.parametrize("part", [0.001, 0.2, 0.7])
def test_a_truncated_file_is_an_error_of_ours(
    tmp_path: Path, stack: NDArray, part: float, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    write(path, stack, **options)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with (
        pytest.raises((ImageError, ImageReadError)) as caught,
        open_image(path) as image,
    ):
        image.read((len(stack) - 1,), 0, Box(0, 0, 300, 400))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"this is text", b"II*\0", b"MM\0*" + bytes(100), bytes(10)]
)
def test_what_only_has_a_tiff_name_is_an_image_error(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"a\.tif") as caught:
        open_image(path)
    assert "\n" not in str(caught.value)


def test_axes_that_do_not_fit_leave_no_file_open(
    tmp_path: Path, stack: NDArray
) -> None:
    write(tmp_path / "a.tif", stack)
    with pytest.raises(ImageError):
        open_image(tmp_path / "a.tif", axes="yx")
    gc.collect()


def test_alpha_of_a_grey_picture_is_dropped(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 99, (40, 50, 2), dtype=np.uint8)
    options = {"photometric": "minisblack", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", pixels, planarconfig="contig", **options)
    with open_image(tmp_path / "a.tif") as image:
        assert image.channel_count == 1
        window = image.read((), 0, Box(0, 0, 40, 50))
        np.testing.assert_array_equal(window[0], pixels[..., 0])


def test_inks_become_colours(tmp_path: Path) -> None:
    inks = np.zeros((40, 50, 4), np.uint8)
    inks[:20, :, 0] = 255  # cyan
    inks[20:, :, 3] = 255  # black
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    with open_image(tmp_path / "a.tif") as image:
        shown = image.read_rgb((), 0, Box(0, 0, 40, 50))
    assert shown[0, 0].tolist() == [0, 255, 255]
    assert shown[39, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", ["bool", "u1", "u2"])
def test_where_white_is_zero_it_is_turned_around(tmp_path: Path, dtype: str) -> None:
    most = True if dtype == "bool" else np.iinfo(dtype).max
    pixels = np.full((40, 50), most, dtype)
    pixels[10:20, 10:20] = 0  # white
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    with open_image(tmp_path / "a.tif") as image:
        shown = image.read((), 0, Box(0, 0, 40, 50))[0]
    assert shown[15, 15] == most
    assert shown[0, 0] == 0


@pytest.mark.parametrize(
    ("unit", "pixels_per_unit", "size"),
    [("CENTIMETER", 40_000, 0.25), ("INCH", 101_600, 0.25), ("INCH", 300, None)],
)
def test_resolution_tags_count_where_they_are_a_measurement(
    tmp_path: Path, unit: str, pixels_per_unit: int, size: float | None
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((40, 50), np.uint8),
        resolution=(pixels_per_unit, pixels_per_unit),
        resolutionunit=unit,
    )
    with open_image(tmp_path / "a.tif") as image:
        known = {} if size is None else {"y": size, "x": size}
        assert image.pixel_size == pytest.approx(known)


def test_slices_that_a_writer_called_colours_are_slices(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((3, 40, 50), np.float32),
        photometric="rgb",
        planarconfig="separate",
    )
    with pytest.warns(ImageWarning, match="taken for slices"):
        image = open_image(tmp_path / "a.tif")
    assert image.stack_shape == (3,)
    image.close()


def test_a_page_in_a_file_that_is_missing_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uuids = ["urn:uuid:" + str(n) * 8 + "-1111-1111-1111-111111111111" for n in (1, 2)]
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}.ome.tif">{uuid}</UUID></TiffData>'
        for z, (name, uuid) in enumerate(zip("ab", uuids, strict=True))
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/'
        f'2016-06" UUID="{uuids[0]}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="50" SizeY="40" SizeZ="2" '
        f'SizeC="1" SizeT="1"><Channel ID="C:0" SamplesPerPixel="1"/>{data}</Pixels>'
        "</Image></OME>"
    )
    pixels = np.full((40, 50), 7, np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, description=xml, metadata=None)
    with open_image(tmp_path / "a.ome.tif") as image:
        assert image.read((0,), 0, Box(0, 0, 40, 50)).max() == 7
        with pytest.raises(ImageReadError, match="another file"):
            image.read((1,), 0, Box(0, 0, 40, 50))
