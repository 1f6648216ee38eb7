"""PNG, JPEG and .npy: header first, pixels when a window is asked for."""

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_sam.errors import ImageError, ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import from_raster, open_image
from napari_sam.images.sources import find_image

BOX = Box(0, 0, 30, 40)


def save(path: Path, pixels: NDArray[Any], mode: str | None = None) -> Path:
    picture = Pillow.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)
    return path


@pytest.fixture
def rgb() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(9, 99, (30, 40, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_stay_and_alpha_goes(tmp_path: Path, rgb: NDArray, mode: str) -> None:
    image = open_image(save(tmp_path / "cells.png", rgb, mode))
    assert (image.name, image.axes, image.is_rgb) == ("cells", "yxc", True)
    np.testing.assert_array_equal(image.read_rgb((), 0, BOX), rgb)


@pytest.mark.parametrize(
    ("mode", "dtype"), [("L", "uint8"), ("LA", "uint8"), ("1", "bool")]
)
def test_grey_pictures_have_one_channel(
    tmp_path: Path, rgb: NDArray, mode: str, dtype: str
) -> None:
    image = open_image(save(tmp_path / "a.png", rgb, mode))
    assert (image.dtype, image.channel_count) == (np.dtype(dtype), 1)
    assert image.read_rgb((), 0, BOX).shape == (30, 40, 3)


def test_a_palette_becomes_colours(tmp_path: Path, rgb: NDArray) -> None:
    assert open_image(save(tmp_path / "a.png", rgb, "P")).is_rgb


def test_sixteen_bits_survive(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 2**16, (30, 40), dtype=np.uint16)
    image = open_image(save(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(image.read((), 0, BOX)[0], grey)


def test_jpeg_is_read(tmp_path: Path) -> None:
    image = open_image(save(tmp_path / "a.jpg", np.full((30, 40, 3), 77, np.uint8)))
    assert (image.read_rgb((), 0, BOX) == 77).all()


def test_npy_is_mapped(tmp_path: Path) -> None:
    stack = np.arange(2 * 30 * 40).reshape(2, 30, 40)
    np.save(tmp_path / "a.npy", stack)
    image = open_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(image.read((1,), 0, BOX)[0], stack[1])


def test_a_truncated_png_opens_but_does_not_read(tmp_path: Path, rgb: NDArray) -> None:
    path = save(tmp_path / "a.png", rgb)
    path.write_bytes(path.read_bytes()[:200])
    image = open_image(path)
    with pytest.raises(ImageReadError) as caught:
        image.read_rgb((), 0, BOX)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.png", b""),
        ("a.png", b"\x89PNG\r\n\x1a\n"),
        ("a.txt", b"hello"),
        ("a.npy", b"\x93NUMPY"),
        ("a.zip", b"PK\x03\x04"),
    ],
)
def test_files_that_are_no_picture_are_an_image_error(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=name) as caught:
        open_image(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.png .*FileNotFoundError"):
        open_image(tmp_path / "a.png")


def test_a_picture_over_pillows_limit_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rgb: NDArray
) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 500)
    image = open_image(save(tmp_path / "a.png", rgb))
    np.testing.assert_array_equal(image.read_rgb((), 0, Box.of_shape(image.shape)), rgb)
    assert Pillow.MAX_IMAGE_PIXELS == 500


def test_a_picture_larger_than_memory_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rgb: NDArray
) -> None:
    monkeypatch.setattr(from_raster, "_memory", lambda: 1000)
    with pytest.raises(ImageError, match="OME-Zarr or tiled TIFF"):
        open_image(save(tmp_path / "a.png", rgb))


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
@pytest.mark.parametrize("ending", ["png", "jp2"])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, samples: int, ending: str) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65535, (30, 40, samples), dtype=np.uint16).squeeze()
    encode = imagecodecs.png_encode if ending == "png" else imagecodecs.jpeg2k_encode
    options = {} if ending == "png" else {"level": 0}
    (tmp_path / f"a.{ending}").write_bytes(encode(pixels, **options))
    image = open_image(tmp_path / f"a.{ending}")
    colours = pixels.reshape(30, 40, -1)
    shown = colours[..., :3] if samples >= 3 else colours[..., :1]
    np.testing.assert_array_equal(image.read((), 0, BOX), np.moveaxis(shown, -1, 0))


def test_deep_colours_of_ppm_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65535, (30, 40, 3)).astype(">u2")
    (tmp_path / "a.ppm").write_bytes(b"P6\n40 30\n65535\n" + pixels.tobytes())
    image = open_image(tmp_path / "a.ppm")
    np.testing.assert_array_equal(image.read((), 0, BOX), np.moveaxis(pixels, -1, 0))


@pytest.mark.parametrize("ending", ["gif", "png", "webp"])
def test_frames_are_time_points(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (30, 40), dtype=np.uint8) for _ in range(4)]
    first, *rest = [Pillow.fromarray(frame) for frame in frames]
    options = {"lossless": True} if ending == "webp" else {}
    path = tmp_path / f"a.{ending}"
    first.save(path, save_all=True, append_images=rest, **options)
    image = open_image(path)
    assert (image.stack_axes, image.stack_shape) == ("t", (4,))
    for number in (3, 0, 2):
        np.testing.assert_array_equal(image.read((number,), 0, BOX)[0], frames[number])


def test_a_palette_has_colours_to_see_and_numbers_for_labels(tmp_path: Path) -> None:
    labels = np.arange(1200, dtype=np.uint8).reshape(30, 40) % 7
    picture = Pillow.fromarray(labels).convert("P")
    picture.putpalette([number * 7 % 256 for number in range(768)])
    picture.save(tmp_path / "a.png")
    stored = find_image(tmp_path / "a.png")
    assert stored.is_rgb
    assert stored.indices is not None
    np.testing.assert_array_equal(stored.indices[slice(0, 30), slice(0, 40)], labels)


def test_a_grey_palette_is_grey(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40), dtype=np.uint8)
    Pillow.fromarray(pixels).save(tmp_path / "a.gif")
    image = open_image(tmp_path / "a.gif")
    np.testing.assert_array_equal(image.read((), 0, BOX)[0], pixels)
    assert not image.is_rgb
