"""Virtual levels: means of blocks, whatever the chunks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from spies import SpyArray, whole

from napari_sam.geometry import Box
from napari_sam.images import block_means, open_image


def test_virtual_levels_are_means_of_the_pixels_there_are() -> None:
    values = np.arange(7 * 600, dtype=np.float64).reshape(7, 600)
    image = open_image(values, axes="yx")
    level = image.read((), 1, whole(image, 1))[0]
    assert level.shape == (4, 300)
    assert level[0, 0] == values[:2, :2].mean()
    assert level[3, 7] == values[6:, 14:16].mean()


@pytest.mark.parametrize("chunks", [(64, 100), (1, 900), (700, 7), (3000, 3000), None])
def test_block_means_do_not_depend_on_chunks_or_windows(
    noise: NDArray, chunks: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_means, "REGION_SIDE", 96)
    monkeypatch.setattr(block_means, "REGION_PIXELS", 96**2)
    image = open_image(SpyArray(noise, chunks))
    cut = noise[: 175 * 4].reshape(175, 4, 225, 4).mean(axis=(1, 3))
    window = image.read((), 2, Box(3, 5, 170, 221))[0]
    np.testing.assert_array_equal(window, np.rint(cut[3:170, 5:221]))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(257, 600), st.data())
def test_any_window_of_a_virtual_level_is_its_part_of_the_whole(
    height: int, width: int, data: st.DataObject
) -> None:
    values = np.random.default_rng(height * width).normal(size=(height, width))
    image = open_image(values, axes="yx")
    h, w = image.levels[1].shape
    y0, x0 = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    y1, x1 = data.draw(st.integers(y0 + 1, h)), data.draw(st.integers(x0 + 1, w))
    window = image.read((), 1, Box(y0, x0, y1, x1))[0]
    means = [
        [values[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(x0, x1)]
        for y in range(y0, y1)
    ]
    np.testing.assert_allclose(window, means, atol=1e-12)


def test_a_coarse_window_of_a_huge_plane_is_read_in_bounded_pieces() -> None:
    spy = SpyArray(np.broadcast_to(np.uint8(7), (20_000, 20_000)), (512, 512))
    image = open_image(spy)
    coarsest = len(image.levels) - 1
    assert (image.read((), coarsest, whole(image, coarsest)) == 7).all()
    assert max(spy.reads) <= block_means.REGION_PIXELS
    assert sum(spy.reads) == 20_000**2


def test_not_a_number_does_not_spread_into_block_means() -> None:
    values = np.full((300, 300), 5, np.float32)
    values[0, 0], values[0, 1], values[4:6, 4:6] = np.nan, np.inf, np.nan
    means = open_image(values).read((), 1, Box(0, 0, 4, 4))[0]
    assert means[0, 0] == 5
    assert np.isnan(means[2, 2])


@pytest.mark.parametrize("dtype", ["u8", "i8"])
def test_the_largest_integers_survive_block_means(dtype: str) -> None:
    top = np.iinfo(dtype).max
    image = open_image(np.full((300, 300), top, dtype))
    assert image.read((), 1, Box(0, 0, 1, 1)).item() >= top - 2**11
