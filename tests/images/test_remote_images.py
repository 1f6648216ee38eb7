"""Images behind a URL."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image as Pillow
from zarr_scene import write_ome_zarr

from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.images import open_image


@pytest.mark.parametrize("is_consolidated", [False, True])
def test_ome_zarr_is_read_over_http(
    tmp_path: Path, serve: Callable[[], str], stack: NDArray, is_consolidated: bool
) -> None:
    path = tmp_path / "cells.ome.zarr"
    write_ome_zarr(path, [stack], version="0.4")
    if is_consolidated:
        zarr.consolidate_metadata(str(path))
    (path / "s0/0/0/0").unlink()
    url = f"{serve()}/cells.ome.zarr"
    image = open_image(url)
    assert (image.source, image.name) == (url, "cells")
    window = image.read((1,), 0, Box(40, 40, 300, 400))[0]
    np.testing.assert_array_equal(window, stack[1, 40:, 40:])
    assert not image.read((0,), 0, Box(0, 0, 32, 32)).any()


@pytest.mark.parametrize("path", ["nothing.zarr", "nothing.tif", "nothing.png"])
def test_a_url_with_nothing_there_is_an_image_error(
    serve: Callable[[], str], path: str
) -> None:
    with pytest.raises(ImageError, match="nothing"):
        open_image(f"{serve()}/{path}")


def test_a_picture_is_read_over_http(tmp_path: Path, serve: Callable[[], str]) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Pillow.fromarray(grey).save(tmp_path / "a.png")
    image = open_image(f"{serve()}/a.png")
    np.testing.assert_array_equal(image.read((), 0, Box(0, 0, 8, 8))[0], grey)


def test_a_tiff_is_read_over_http(tmp_path: Path, serve: Callable[[], str]) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    tifffile.imwrite(tmp_path / "a.tif", grey, compression="zlib")
    with open_image(f"{serve()}/a.tif") as image:
        np.testing.assert_array_equal(image.read((), 0, Box(0, 0, 8, 8))[0], grey)


def test_a_large_tiff_needs_a_server_that_sends_parts(
    tmp_path: Path, serve: Callable[[], str]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3000, 3000), np.uint8))
    with pytest.raises(ImageError, match=r"read in parts.*Download it"):
        open_image(f"{serve()}/a.tif")


def test_a_file_url_is_a_path(tmp_path: Path, stack: NDArray) -> None:
    write_ome_zarr(tmp_path / "a b.zarr", [stack])
    image = open_image((tmp_path / "a b.zarr").as_uri())
    assert (image.source, image.name) == (str(tmp_path / "a b.zarr"), "a b")


def test_a_server_that_is_gone_is_an_image_error(serve: Callable[[], str]) -> None:
    with pytest.raises(ImageError, match="can be reached"):
        open_image("http://127.0.0.1:9/cells.zarr")
