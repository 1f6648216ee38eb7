"""Arrays of other libraries, and lists of arrays: at their word, or a clear error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import torch
import xarray
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.images import open_image

BOX = Box(3, 5, 20, 30)


@pytest.fixture
def pixels() -> NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 4000, (40, 50), dtype=np.uint16)


class Pyramid(Sequence[Any]):
    """Levels that look like the first one, as the data of a layer of napari do."""

    def __init__(self, levels: list[Any]) -> None:
        self._levels = levels
        self.shape, self.dtype = levels[0].shape, levels[0].dtype

    def __getitem__(self, index: Any) -> Any:
        return self._levels[index]

    def __len__(self) -> int:
        return len(self._levels)


def test_the_names_of_axes_count() -> None:
    channels = xarray.DataArray(np.zeros((5, 40, 50), "u2"), dims=["c", "y", "x"])
    assert open_image(channels).axes == "cyx"
    turned = xarray.DataArray(np.zeros((50, 40), "u2"), dims=["x", "y"])
    assert open_image(turned).shape == (40, 50)
    words = xarray.DataArray(
        np.zeros((2, 3, 40, 50), "u2"), dims=["time", "channel", "row", "column"]
    )
    assert open_image(words).axes == "tcyx"


def test_names_that_mean_nothing_leave_the_rule() -> None:
    array = xarray.DataArray(np.zeros((20, 40, 50)), dims=["dim_0", "dim_1", "dim_2"])
    assert open_image(array).axes == "zyx"


def test_a_lazy_named_array_is_read_chunk_by_chunk(pixels: NDArray) -> None:
    lazy = xarray.DataArray(da.from_array(pixels, chunks=(20, 25)), dims=["y", "x"])
    image = open_image(lazy)
    np.testing.assert_array_equal(image.read((), 0, BOX)[0], pixels[BOX.slices])
    assert image.blocks(0) == (20, 25)


def test_a_tensor_is_an_array(pixels: NDArray) -> None:
    tensor = torch.from_numpy(pixels.astype(np.float32)).requires_grad_()
    image = open_image(tensor)
    np.testing.assert_array_equal(image.read((), 0, BOX)[0], pixels[BOX.slices])


def test_a_tensor_of_a_type_that_numpy_lacks_is_refused() -> None:
    with pytest.raises(ImageError, match="pixels that numpy knows"):
        open_image(torch.zeros((8, 8), dtype=torch.bfloat16))


def test_a_pyramid_that_looks_like_its_first_level_is_one(pixels: NDArray) -> None:
    image = open_image(Pyramid([pixels, pixels[::2, ::2]]))
    assert [level.stored for level in image.levels][:2] == [True, True]
    np.testing.assert_array_equal(image.read((), 0, BOX)[0], pixels[BOX.slices])


def test_frames_of_one_size_are_a_stack(pixels: NDArray) -> None:
    image = open_image([pixels, pixels + 1, pixels + 2])
    assert (image.stack_axes, image.stack_shape) == ("z", (3,))
    window = image.read((2,), 0, BOX)[0]
    np.testing.assert_array_equal(window, pixels[BOX.slices] + 2)


def test_an_array_of_unknown_size_says_what_to_call(pixels: NDArray) -> None:
    lazy = da.from_array(pixels, chunks=20)
    with pytest.raises(ImageError, match="compute_chunk_sizes"):
        open_image(lazy[lazy[:, 0] > 5])


def test_a_picture_in_memory_is_read_as_from_a_file(
    pixels: NDArray, tmp_path: Path
) -> None:
    picture = Pillow.fromarray(pixels.astype(np.uint8))
    picture.save(tmp_path / "a.png")
    from_file = open_image(tmp_path / "a.png").read((), 0, BOX)
    np.testing.assert_array_equal(open_image(picture).read((), 0, BOX), from_file)


@pytest.mark.parametrize("sources", [[], [1, 2], [np.zeros((4, 4)), "a.png"]])
def test_other_lists_are_refused(sources: list[Any]) -> None:
    with pytest.raises(ImageError, match="at least one array"):
        open_image(sources)
