"""Values that stand for "no data" do not settle what is black."""

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.images.intensity import fill_value


def slide(fill: float, dtype: str) -> NDArray:
    """Tissue on a pedestal, and no data around it."""
    rng = np.random.default_rng(0)
    pixels = np.full((400, 400), fill, dtype)
    pixels[72:328, 72:328] = rng.normal(30000, 40, (256, 256)).astype(dtype)
    pixels[150:200, 150:200] += np.asarray(1400, dtype)
    return pixels


@pytest.mark.parametrize(
    ("fill", "dtype"),
    [
        (0, "u2"),
        (-32768, "i4"),
        (-9999, "f4"),
        (np.finfo(np.float32).min, "f4"),
        (1e6, "f8"),
    ],
)
def test_tissue_keeps_its_grey_levels(fill: float, dtype: str) -> None:
    image = open_image(slide(fill, dtype))
    shown = image.read_rgb((), 0, Box(72, 72, 328, 328))
    assert len(np.unique(shown)) > 50


def test_a_fill_that_is_not_clear_can_be_named() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(500, 4000, (200, 200)).astype(np.uint16)
    pixels[:50] = 77
    assert open_image(pixels).contrast[0][0] == 77
    assert open_image(pixels, fill=77).contrast[0][0] >= 500


@pytest.mark.parametrize("dark", ["noise", "zero", "clipped"])
def test_a_dark_background_is_no_fill(dark: str) -> None:
    rng = np.random.default_rng(0)
    pixels = (
        rng.normal(100, 10, (200, 200)) if dark == "noise" else np.zeros((200, 200))
    )
    pixels[50:90, 50:90] = rng.normal(2000, 400, (40, 40))
    if dark == "clipped":
        pixels = np.clip(pixels + rng.normal(0, 20, pixels.shape), 0, None)
    assert fill_value(pixels.astype(np.uint16).ravel()) is None


def test_a_mask_has_no_fill() -> None:
    pixels = np.zeros((90, 90), np.uint8)
    pixels[20:40, 20:40] = 255
    assert fill_value(pixels.ravel()) is None
