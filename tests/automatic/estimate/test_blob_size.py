"""The size of an image's objects, estimated without a model."""

from __future__ import annotations

from math import pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread

from napari_sam.automatic.estimate.blob_size import estimate_blobs, estimate_object_size
from napari_sam.errors import ImageError

FLUO = Path(__file__).parents[4] / "shared" / "data" / "dsb2018_fluo"


def discs(radius: float, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Blurred, noisy discs in dim surroundings, on a loose grid."""
    rng = np.random.default_rng(11)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    image = np.zeros(shape, dtype=np.float32)
    step = int(3.5 * radius)
    for y in range(step // 2, shape[0], step):
        for x in range(step // 2, shape[1], step):
            dy, dx = rng.uniform(-radius / 3, radius / 3, 2)
            inside = (rows - y - dy) ** 2 + (columns - x - dx) ** 2 <= radius**2
            image[inside] = rng.uniform(0.6, 1.0)
    image = ndimage.gaussian_filter(image, 1)
    return image + rng.normal(0, 0.05, shape).astype(np.float32)


@pytest.mark.parametrize("radius", [4, 8, 20, 45])
@pytest.mark.parametrize("bright", [True, False])
def test_the_size_and_tone_of_discs_are_found(radius: float, bright: bool) -> None:
    image = discs(radius, (300, 420))
    estimate = estimate_blobs(1000 + 200 * image if bright else 1000 - 200 * image)
    assert estimate is not None
    assert estimate.bright == bright
    assert estimate.object_size == pytest.approx(radius * sqrt(pi), rel=0.25)


def test_the_size_in_a_large_image_is_in_its_own_pixels() -> None:
    image = discs(30, (1500, 900))
    assert estimate_object_size(image) == pytest.approx(30 * sqrt(pi), rel=0.25)


def test_colours_are_averaged() -> None:
    gray = (100 * discs(10, (200, 200)).clip(0, 1)).astype(np.uint8)
    size = estimate_object_size(np.repeat(gray[..., None], 3, axis=2))
    assert size == pytest.approx(estimate_object_size(gray))


@pytest.mark.parametrize("shape", [(64, 64), (1, 1), (2, 300), (5, 5, 3)])
def test_where_nothing_stands_out_there_is_no_size(shape: tuple[int, ...]) -> None:
    assert estimate_object_size(np.full(shape, 7, dtype=np.uint16)) is None


@pytest.mark.parametrize("shape", [(0, 5), (5,), (1, 2, 3, 4)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="height, width"):
        estimate_object_size(np.zeros(shape))


@pytest.mark.skipif(not FLUO.is_dir(), reason=f"no annotated images in {FLUO}")
@pytest.mark.parametrize("index", [6, 20, 50])
def test_the_size_of_nuclei_is_found_to_a_factor_of_one_and_a_half(index: int) -> None:
    path = sorted((FLUO / "images").iterdir())[index]
    areas = np.bincount(imread(FLUO / "labels" / path.name).ravel())[1:]
    truth = np.sqrt(np.median(areas[areas > 0]))
    size = estimate_object_size(imread(path))
    assert size is not None
    assert truth / 1.5 < size < truth * 1.5
