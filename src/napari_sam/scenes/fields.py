"""Random fields: the grain, the shading and the textures of every kind of scene.

Interpolation is written as sums of slices, not as a matrix product, so that a seed
gives the same bits whatever linear algebra library is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

WIDE_BLUR = 4.0  # a wider one is done on fewer pixels, to the same effect

FloatArray = NDArray[np.float32]


def smooth_field(
    rng: Generator, shape: Sequence[int], scale: float | Sequence[float]
) -> FloatArray:
    """Gaussian noise with features of about `scale` pixels, mean 0, deviation about 1.

    `scale` may be given for each axis; 1 or less is white noise along it.
    """
    scales = (
        [float(scale)] * len(shape) if isinstance(scale, float | int) else list(scale)
    )
    steps = [max(1.0, each) for each in scales]
    coarse = rng.standard_normal(
        [ceil(n / step) + 4 for n, step in zip(shape, steps, strict=True)],
        dtype=np.float32,
    )
    for axis, (length, step) in enumerate(zip(shape, steps, strict=True)):
        if step > 1.0:
            # The weights of a cubic B-spline keep 0.48 of the variance on average.
            coarse = enlarged(coarse, axis, length, step) * np.float32(1.44)
        else:
            coarse = np.take(coarse, range(length), axis)
    return coarse


def texture_tile(
    rng: Generator, shape: Sequence[int], scale: float | Sequence[float]
) -> FloatArray:
    """A smooth field whose opposite sides fit, for `patch`; features about `scale`."""
    scales = [float(scale)] * len(shape) if isinstance(scale, float | int) else scale
    counts = [
        max(1, round(n / max(1.0, each))) for n, each in zip(shape, scales, strict=True)
    ]
    tile = rng.standard_normal(counts, dtype=np.float32)
    for axis, (length, count) in enumerate(zip(shape, counts, strict=True)):
        if count < length:
            tile = np.take(tile, np.arange(count + 4) % count, axis)
            tile = enlarged(tile, axis, length, length / count) * np.float32(1.44)
    return tile


def enlarged(
    coarse: FloatArray, axis: int, length: int, step: float, offset: float = 0.5
) -> FloatArray:
    """Cubic B-spline along an axis: output i lies at input 1 + (i + offset) / step."""
    position = (np.arange(length) + offset) / step
    index = np.floor(position).astype(np.intp)
    t = (position - index).astype(np.float32)
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    aligned = [length if each == axis else 1 for each in range(coarse.ndim)]
    total: FloatArray = np.zeros((), np.float32)
    for shift, weight in enumerate(weights):
        rows = np.take(coarse, index + shift, axis)
        total = total + rows * weight.reshape(aligned)
    return total


def blurred(field_hw: FloatArray, sigma: float) -> FloatArray:
    """Gaussian blur of the last two axes, mirrored at the border."""
    if sigma <= 0:
        return field_hw
    step = int(sigma // WIDE_BLUR) + 1
    sigmas = [0.0] * (field_hw.ndim - 2) + [sigma / step] * 2
    if step == 1:
        narrow: FloatArray = ndimage.gaussian_filter(field_hw, sigmas, truncate=3.0)
        return narrow
    blocks = field_hw
    for axis in (-2, -1):
        blocks = _block_means(blocks, axis, step)
    blocks = ndimage.gaussian_filter(blocks, sigmas, truncate=3.0)
    height, width = field_hw.shape[-2:]
    pads = [(0, 0)] * (field_hw.ndim - 2) + [(2, 3)] * 2
    blocks = np.pad(blocks, pads, mode="edge")
    # A block's mean sits at its middle; two rows of padding put it at input 2 + i.
    offset = 0.5 + step / 2
    blocks = enlarged(blocks, field_hw.ndim - 2, height, step, offset)
    return enlarged(blocks, field_hw.ndim - 1, width, step, offset)


def _block_means(field: FloatArray, axis: int, step: int) -> FloatArray:
    lines = np.moveaxis(field, axis, -1)
    missing = -lines.shape[-1] % step
    lines = np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(0, missing)], mode="edge")
    means = lines.reshape(*lines.shape[:-1], -1, step).mean(axis=-1)
    return np.moveaxis(means, -1, axis)


def patch(
    tile_hw: FloatArray, corner: Sequence[int], shape: Sequence[int]
) -> FloatArray:
    """A part of a texture that repeats for ever in every direction."""
    repeated = tile_hw
    for axis, (start, length) in enumerate(zip(corner, shape, strict=True)):
        indices = np.arange(start, start + length) % tile_hw.shape[axis]
        repeated = np.take(repeated, indices, axis)
    return repeated
