"""From light to counts: uneven light, shot noise, read noise, dust."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.fields import FloatArray, smooth_field

PEDESTAL = 100.0  # counts that a camera adds so that none is negative
FULL_SCALE = 4000.0  # counts of a bright object


def shading(rng: Generator, shape_hw: tuple[int, int], strength: float) -> FloatArray:
    """Uneven light, 1 on average: a vignette off centre, and slow waves."""
    height, width = shape_hw
    y0, x0 = rng.uniform(0.3, 0.7, 2)
    y = ((np.arange(height) + 0.5) / height - y0).astype(np.float32)[:, None]
    x = ((np.arange(width) + 0.5) / width - x0).astype(np.float32)[None, :]
    waves = smooth_field(rng, shape_hw, max(shape_hw) / 2.5)
    light = 1.0 + strength * (0.3 - 1.6 * (y * y + x * x) + 0.25 * waves)
    bright_enough: FloatArray = np.maximum(light, 0.2).astype(np.float32)
    return bright_enough


def exposed(rng: Generator, signal: FloatArray, noise: float) -> NDArray[np.uint16]:
    """Counts of a scientific camera.

    Parameters
    ----------
    rng
        Draws the noise.
    signal
        Light, 0 is none and 1 a bright object.
    noise
        0 to 1: fewer photons and more read noise.
    """
    photons = 8.0 + 3000.0 * (1.0 - noise) ** 4
    rate = np.maximum(signal, 0.0) * photons
    counts = rng.poisson(rate).astype(np.float32) * (FULL_SCALE / photons)
    counts += rng.standard_normal(signal.shape, dtype=np.float32) * (3 + 60 * noise)
    counted: NDArray[np.uint16] = np.clip(
        np.rint(counts + PEDESTAL), 0, 2**16 - 1
    ).astype(np.uint16)
    return counted


def photographed(rng: Generator, grey: FloatArray, noise: float) -> NDArray[np.uint16]:
    """Counts of a camera in plenty of light, where grain is the same everywhere.

    `grey` is 0 (black) to 1 (white).
    """
    grain = rng.standard_normal(grey.shape, dtype=np.float32)
    seen = grey + grain * np.float32(0.003 + 0.06 * noise)
    counted: NDArray[np.uint16] = np.clip(
        np.rint(seen * FULL_SCALE + PEDESTAL), 0, 2**16 - 1
    ).astype(np.uint16)
    return counted


def specks(
    rng: Generator, shape_hw: Sequence[int], count: float, radii: tuple[float, float]
) -> FloatArray:
    """Dust and debris: soft spots of 0 to 1, about `count` of them."""
    field = np.zeros(shape_hw, np.float32)
    for _ in range(rng.poisson(count)):
        centre = [float(rng.uniform(0, n)) for n in shape_hw]
        spread = float(np.exp(rng.uniform(np.log(radii[0]), np.log(radii[1]))))
        strength = float(rng.uniform(0.3, 1.0))
        stretch = float(rng.uniform(0.6, 1.6))
        spans = [
            slice(max(0, int(c - 4 * spread)), min(n, int(c + 4 * spread) + 1))
            for c, n in zip(centre, shape_hw, strict=True)
        ]
        y, x = (
            (np.arange(span.start, span.stop) - c) / spread
            for c, span in zip(centre, spans, strict=True)
        )
        spot = np.exp(
            -0.5 * ((y[:, None] * stretch) ** 2 + (x[None, :] / stretch) ** 2)
        )
        window = field[spans[0], spans[1]]
        np.maximum(window, strength * spot.astype(np.float32), out=window)
    return field
