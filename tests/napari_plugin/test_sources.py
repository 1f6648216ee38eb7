"""A layer is opened by its file only where the file is what it shows."""

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import layer_source
from numpy.typing import NDArray
from plugin_scene import noise, ome_zarr

from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.napari_plugin.sources import LayerSource

CORNER = Box(0, 0, 5, 5)


def layer_from(path: Path, data: Any, **facts: Any) -> Image:
    with layer_source(path=str(path)):
        return Image(data, **facts)


def test_the_file_counts_where_it_is_what_the_layer_shows(tmp_path: Path) -> None:
    pixels = noise(3, 64, 72)
    path = ome_zarr(tmp_path / "a.ome.zarr", pixels, "zyx")
    opened = LayerSource.of(layer_from(path, pixels)).open()
    assert (opened.file, opened.axes) == (str(path), "zyx")
    assert opened.image.source == str(path)


@pytest.mark.parametrize("change", ["pixels", "shape", "type"])
def test_data_that_are_not_the_files_are_read_themselves(
    tmp_path: Path, change: str
) -> None:
    pixels = noise(3, 64, 72)
    path = ome_zarr(tmp_path / "a.ome.zarr", pixels, "zyx")
    changed = {
        "pixels": 255 - pixels,
        "shape": pixels[:, :60],
        "type": pixels.astype(np.uint16),
    }[change]
    opened = LayerSource.of(layer_from(path, changed)).open()
    assert opened.file is None
    np.testing.assert_array_equal(
        opened.image.read((1,), 0, CORNER)[0], changed[1, :5, :5]
    )


@pytest.mark.parametrize("channel", [0, 2, 3])
def test_a_channel_that_a_reader_split_off_is_found_by_its_pixels(
    tmp_path: Path, channel: int
) -> None:
    pixels = noise(4, 3, 64, 72)
    path = ome_zarr(tmp_path / "a.ome.zarr", pixels, "czyx")
    layer = layer_from(path, da.from_array(pixels)[channel])
    opened = LayerSource.of(layer).open()
    assert (opened.file, opened.axes) == (str(path), "zyx")
    assert opened.image.channels == (channel,)


def test_channels_that_look_the_same_are_not_guessed_at(tmp_path: Path) -> None:
    pixels = np.repeat(noise(1, 64, 72), 2, axis=0)
    path = ome_zarr(tmp_path / "a.ome.zarr", pixels, "cyx")
    opened = LayerSource.of(layer_from(path, pixels[1])).open()
    assert opened.file is None


def test_channels_with_a_slider_are_all_there(tmp_path: Path) -> None:
    pixels = noise(2, 2, 3, 64, 72)
    path = ome_zarr(tmp_path / "a.ome.zarr", pixels, "tczyx")
    source = LayerSource.of(layer_from(path, pixels))
    opened = source.open()
    assert (opened.file, opened.axes) == (str(path), "tczyx")
    assert opened.image.stack_axes == "tz"
    assert source.open(channels=[1]).image.channels == (1,)


def test_colours_are_no_axis_of_the_layer(tmp_path: Path) -> None:
    pixels = noise(64, 72, 3)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb")
    opened = LayerSource.of(layer_from(path, pixels, rgb=True)).open()
    assert (opened.file, opened.axes) == (str(path), "yx")
    assert opened.image.is_rgb


def test_a_file_that_cannot_be_read_leaves_the_data(tmp_path: Path) -> None:
    path = tmp_path / "a.czi"
    path.write_text("another format")
    opened = LayerSource.of(layer_from(path, noise(64, 72))).open()
    assert opened.file is None
    assert opened.image.shape == (64, 72)


def test_a_pyramid_in_memory_keeps_its_levels() -> None:
    pixels = noise(1024, 1024)
    layer = Image([pixels, pixels[::2, ::2]], multiscale=True, name="mine")
    opened = LayerSource.of(layer).open()
    assert [level.stored for level in opened.image.levels[:2]] == [True, True]
    assert opened.image.name == "mine"


def test_zarr_arrays_are_known_by_the_group_that_they_lie_in(tmp_path: Path) -> None:
    pixels = noise(64, 72)
    path = ome_zarr(tmp_path / "a.ome.zarr", pixels, "yx")
    group = zarr.open_group(path, mode="r")
    layer = Image([group["0"], group["1"]], multiscale=True)
    assert LayerSource.of(layer).open().file == str(path)


@pytest.mark.parametrize(
    ("labels", "shape", "axes"),
    [
        (("t", "y", "x"), (5, 20, 30), "tyx"),
        (("time", "Channel", "y", "x"), (5, 2, 20, 30), "tcyx"),
        (None, (5, 20, 30), "zyx"),
        (("a", "b", "c"), (5, 20, 30), "zyx"),
        (None, (20, 4), "yx"),
        (None, (5, 20, 4), "zyx"),
    ],
)
def test_axes_are_as_labelled_or_else_by_the_rule(
    labels: tuple[str, ...] | None, shape: tuple[int, ...], axes: str
) -> None:
    layer = Image(noise(*shape), axis_labels=labels, rgb=False)
    assert LayerSource.of(layer).layer_axes == axes


def test_the_users_word_on_axes_counts() -> None:
    layer = Image(noise(3, 5, 20, 30), rgb=False)
    assert LayerSource.of(layer).layer_axes == "czyx"
    opened = LayerSource.of(layer, "tzyx").open()
    assert opened.image.stack_shape == (3, 5)


def test_too_many_axes_need_the_users_word() -> None:
    layer = ViewerModel().add_image(noise(2, 2, 2, 2, 20, 30), rgb=False)
    with pytest.raises(ImageError, match="axes="):
        LayerSource.of(layer)
    assert LayerSource.of(layer, "ptczyx").open().image.stack_axes == "tpz"


def test_looking_at_a_layer_reads_nothing() -> None:
    def fail() -> NDArray[np.uint8]:
        raise AssertionError("A block was read.")

    layer = Image(noise(64, 72))
    lazy = da.map_blocks(fail, dtype=np.uint8, chunks=((64,), (72,)), meta=noise(0, 0))
    source = LayerSource("lazy", (lazy,), "yx", None)
    assert source.open().image.shape == (64, 72)
    assert LayerSource.of(layer).arrays == (layer.data,)
