r"""Closed outlines around a centre: nuclei, spread cells, axons.

A blob is an ellipse whose radius varies with the angle. Its *depth* is 0 at the
centre and 1 on the outline. Where blobs overlap, a pixel belongs to the one in which
it lies deeper, which gives neighbours the flat contact line that touching cells have:

        .--.  .--.              .--.--.
       /   (\/)   \     ->     /   |   \
       \   (/\)   /            \   |   /
        '--'  '--'              '--'--'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import cos, sin, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.fields import FloatArray

OUTSIDE = np.float32(9.0)  # the depth of a pixel near no blob


@dataclass(frozen=True, slots=True)
class Spike:
    """A process that a cell puts out: direction, length in radii, and sharpness."""

    angle: float
    length: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Blob:
    """A closed outline.

    Parameters
    ----------
    y, x
        Centre, in pixels; pixel (0, 0) covers 0 to 1.
    radius
        Of the circle that the outline would be without the rest, in pixels.
    aspect
        Long axis over short axis, 1 or more.
    angle
        Of the long axis, radians from x towards y.
    waves
        Complex amplitudes of 2, 3, 4 ... waves around the outline, in radii.
    spikes
        Processes.
    """

    y: float
    x: float
    radius: float
    aspect: float = 1.0
    angle: float = 0.0
    waves: tuple[complex, ...] = ()
    spikes: tuple[Spike, ...] = ()

    @property
    def reach(self) -> float:
        """Distance from the centre beyond which no pixel belongs to it."""
        bumps = sum(abs(wave) for wave in self.waves)
        bumps += max((spike.length for spike in self.spikes), default=0.0) * 1.5
        return self.radius * sqrt(self.aspect) * (1.0 + bumps) + 1.0

    def depth(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Depth of pixel centres given as a column `y` and a row `x`."""
        dy, dx = y - np.float32(self.y), x - np.float32(self.x)
        c, s = cos(self.angle), sin(self.angle)
        stretch = sqrt(self.aspect)
        along = (dx * np.float32(c) + dy * np.float32(s)) / np.float32(stretch)
        across = (dy * np.float32(c) - dx * np.float32(s)) * np.float32(stretch)
        rho = np.sqrt(along * along + across * across) + np.float32(1e-6)
        radius: FloatArray = np.ones((), np.float32)
        if self.waves or self.spikes:
            # cos and sin of k times the angle come from powers of one direction.
            direction = ((along + 1j * across) / rho).astype(np.complex64)
            radius = radius + self._bumps(direction)
        radius = np.maximum(radius, np.float32(0.25)) * np.float32(self.radius)
        return rho / radius

    def _bumps(self, direction: NDArray[np.complex64]) -> FloatArray:
        bumps = np.zeros(direction.shape, np.float32)
        power = direction
        for wave in self.waves:
            power = power * direction
            bumps += power.real * np.float32(wave.real)
            bumps += power.imag * np.float32(wave.imag)
        for spike in self.spikes:
            c, s = np.float32(cos(spike.angle)), np.float32(sin(spike.angle))
            facing = direction.real * c + direction.imag * s
            lobe = np.maximum(facing, 0) ** np.float32(spike.sharpness)
            bumps += np.float32(spike.length) * lobe
        return bumps


@dataclass(frozen=True, slots=True)
class Painted:
    """Where a blob landed on a canvas."""

    window: tuple[slice, slice]
    depth: FloatArray  # of the window's pixels
    won: NDArray[np.bool_]  # the window's pixels that were the blob's when painted


class LabelCanvas:
    """Labels, and how deep each pixel lies in its object."""

    def __init__(self, shape_hw: tuple[int, int]) -> None:
        self.labels = np.zeros(shape_hw, np.uint32)
        self.depth = np.full(shape_hw, OUTSIDE, np.float32)

    def paint(self, blob: Blob, label: int) -> Painted | None:
        """Give `label` the pixels that lie deepest in the blob; None if it is out."""
        height, width = self.labels.shape
        y0, y1 = max(0, int(blob.y - blob.reach)), min(height, int(blob.y + blob.reach))
        x0, x1 = max(0, int(blob.x - blob.reach)), min(width, int(blob.x + blob.reach))
        if y0 >= y1 or x0 >= x1:
            return None
        window = slice(y0, y1), slice(x0, x1)
        y = np.arange(y0, y1, dtype=np.float32)[:, None] + np.float32(0.5)
        x = np.arange(x0, x1, dtype=np.float32)[None, :] + np.float32(0.5)
        depth = blob.depth(y, x)
        won = (depth < 1.0) & (depth < self.depth[window])
        np.copyto(self.labels[window], np.uint32(label), where=won)
        np.copyto(self.depth[window], depth, where=won)
        return Painted(window, depth, won)


def random_waves(rng: Generator, sizes: Iterable[float]) -> tuple[complex, ...]:
    """Waves of random phase whose amplitudes deviate by `sizes`."""
    deviations = np.array(list(sizes))
    parts = rng.standard_normal((2, deviations.size)) * deviations * 0.7
    return tuple(complex(a, b) for a, b in parts.T)
