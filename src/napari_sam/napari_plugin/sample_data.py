"""Images to try the plugin on: made on the spot, or out of scikit-image's wheel.

They need no network, and are the same each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.transform import downscale_local_mean

LayerData = tuple[Any, dict[str, Any], str]

SLIDE_SIDE = 3072
SLIDE_NUCLEI = 1350
COARSEST_SIDE = 384
GRID = 64
"""Side, in pixels, of the squares that hold at most one nucleus of the slide."""

STACK_SHAPE = (24, 384, 384)
MOVIE_SHAPE = (20, 256, 256)


def slide() -> list[LayerData]:
    """A slide of fluorescent nuclei, 3072 x 3072, with a pyramid."""
    rng = np.random.default_rng(1)
    plane = np.zeros((SLIDE_SIDE, SLIDE_SIDE), dtype=np.float32)
    cells = SLIDE_SIDE // GRID
    for cell in rng.choice(cells * cells, SLIDE_NUCLEI, replace=False):
        centre = (np.array(divmod(cell, cells)) + rng.uniform(0.35, 0.65, 2)) * GRID
        _draw(plane, centre, rng.uniform(10, 22, 2), rng.uniform(0.4, 1.0))
    levels = [_as_photographed(plane, rng, blur=1.5)]
    while max(levels[-1].shape) > COARSEST_SIDE:
        means = downscale_local_mean(levels[-1], 2)  # type: ignore[no-untyped-call]
        levels.append(means.round().astype(np.uint8))
    return [
        (
            levels,
            {
                "name": "slide of nuclei",
                "multiscale": True,
                "scale": (0.5, 0.5),
                "units": ("micrometer", "micrometer"),
                "axis_labels": ("y", "x"),
                "contrast_limits": (0, 255),
            },
            "image",
        )
    ]


def stack() -> list[LayerData]:
    """A stack in z of round cells."""
    rng = np.random.default_rng(2)
    volume = np.zeros(STACK_SHAPE, dtype=np.float32)
    for _ in range(40):
        centre = rng.uniform((4, 30, 30), np.array(STACK_SHAPE) - (4, 30, 30))
        _draw(volume, centre, (*rng.uniform(3, 6, 1), *rng.uniform(16, 26, 2)), 0.8)
    pixels = _as_photographed(volume, rng, blur=(0.7, 1.5, 1.5))
    facts = {
        "name": "stack of cells",
        "scale": (2.0, 0.5, 0.5),
        "units": ("micrometer",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    return [(pixels, facts, "image")]


def movie() -> list[LayerData]:
    """A time-lapse of cells that wander."""
    rng = np.random.default_rng(3)
    frames = np.zeros(MOVIE_SHAPE, dtype=np.float32)
    count = 14
    centres = rng.uniform(30, MOVIE_SHAPE[1] - 30, (count, 2))
    radii = rng.uniform(9, 16, (count, 2))
    speeds = rng.normal(0, 1.5, (count, 2))
    for frame in frames:
        for centre, radius in zip(centres, radii, strict=True):
            _draw(frame, centre, radius, 0.8)
        centres = centres + speeds
        # Cells turn around at the border.
        outside = (centres < 20) | (centres > MOVIE_SHAPE[1] - 20)
        speeds = np.where(outside, -speeds, speeds)
    pixels = _as_photographed(frames, rng, blur=(0, 1.5, 1.5))
    facts = {
        "name": "wandering cells",
        "scale": (30.0, 0.65, 0.65),
        "units": ("second", "micrometer", "micrometer"),
        "axis_labels": ("t", "y", "x"),
    }
    return [(pixels, facts, "image")]


def coins() -> list[LayerData]:
    """A photograph of ancient coins: round things on a dark ground, as cells are."""
    pixels = data.coins()  # type: ignore[no-untyped-call]
    return [(pixels, {"name": "coins"}, "image")]


def _draw(
    pixels: NDArray[np.float32],
    centre: Sequence[float] | NDArray[np.float64],
    radii: Sequence[float] | NDArray[np.float64],
    brightness: float,
) -> None:
    """Draw an ellipsoid, brighter in the middle, over what is darker there."""
    sides = [
        (max(0, int(c - r)), min(n, int(c + r) + 2))
        for c, r, n in zip(centre, radii, pixels.shape, strict=True)
    ]
    if any(low >= high for low, high in sides):
        return
    grid = np.ogrid[tuple(slice(low, high) for low, high in sides)]
    distance = sum(
        ((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True)
    )
    part = pixels[tuple(slice(low, high) for low, high in sides)]
    body = np.where(distance <= 1, brightness * (1 - 0.3 * distance), 0)
    np.maximum(part, body, out=part, casting="same_kind")


def _as_photographed(
    scene: NDArray[np.float32],
    rng: np.random.Generator,
    blur: float | Sequence[float],
) -> NDArray[np.uint8]:
    """Blur and noise, as from a camera."""
    blurred = gaussian_filter(scene, blur)
    noise = 6 * rng.standard_normal(scene.shape, dtype=np.float32)
    pixels: NDArray[np.float32] = 20 + 190 * blurred + noise
    return np.clip(pixels, 0, 255).astype(np.uint8)
