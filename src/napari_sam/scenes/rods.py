"""Bacteria: rods, curved rods and chains, alone and in micro-colonies.

Dark in a bright halo (phase contrast), or glowing (a fluorescent protein). Every rod
is labelled, each link of a chain by itself. A rod that would lie on another is not
drawn, so that none is cut in two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, cos, floor, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.camera import exposed, photographed, shading, specks
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import FloatArray, blurred, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice, scattered

OVERLAP = 0.12  # share of a rod that may already be another's
SEGMENT = 9.0  # pixels of a rod's middle line that may be taken for straight


@dataclass(frozen=True, slots=True)
class Rod:
    """A capsule bent along an arc: points (y, x) of its middle line, and half-width."""

    line: tuple[tuple[float, float], ...]
    radius: float

    @classmethod
    def arc(
        cls,
        centre: tuple[float, float],
        length: float,
        radius: float,
        turn: tuple[float, float],
    ) -> Rod:
        """A rod whose direction is `turn[0]` in the middle and bends by `turn[1]`."""
        middle = max(length - 2 * radius, 0.0)
        count = min(1 + int(middle / SEGMENT), 6)
        step = middle / count
        y = x = 0.0
        line = [(y, x)]
        for segment in range(count):
            direction = turn[0] + turn[1] * ((segment + 0.5) / count - 0.5)
            y, x = y + step * sin(direction), x + step * cos(direction)
            line.append((y, x))
        dy = centre[0] - sum(y for y, _ in line) / len(line)
        dx = centre[1] - sum(x for _, x in line) / len(line)
        return cls(tuple((y + dy, x + dx) for y, x in line), radius)

    def depth(self, window: tuple[slice, slice]) -> FloatArray:
        """0 on the middle line, 1 on the outline."""
        y = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None]
        x = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :]
        nearest = np.full((y.size, x.size), np.inf, np.float32)
        for (ay, ax), (by, bx) in pairwise(self.line):
            dy, dx = by - ay, bx - ax
            ry, rx = y - np.float32(ay - 0.5), x - np.float32(ax - 0.5)
            square = dy * dy + dx * dx + 1e-6
            t = ry * np.float32(dy / square) + rx * np.float32(dx / square)
            t = np.minimum(np.maximum(t, np.float32(0)), np.float32(1))
            gap_y, gap_x = ry - t * np.float32(dy), rx - t * np.float32(dx)
            np.minimum(nearest, gap_y * gap_y + gap_x * gap_x, out=nearest)
        depth: FloatArray = (np.sqrt(nearest) / self.radius).astype(np.float32)
        return depth

    def window(self, shape_hw: tuple[int, int]) -> tuple[slice, slice] | None:
        """The pixels that it may touch; None if all are outside the scene."""
        spans = []
        along = zip(*self.line, strict=True)
        for coordinates, length in zip(along, shape_hw, strict=True):
            low = max(0, floor(min(coordinates) - self.radius))
            high = min(length, ceil(max(coordinates) + self.radius))
            if low >= high:
                return None
            spans.append(slice(low, high))
        return spans[0], spans[1]


def draw_rods(rng: Generator, options: SceneOptions) -> Scene:
    """Bacteria of one strain."""
    labels = np.zeros(options.shape_hw, np.uint32)
    delay = np.zeros(options.shape_hw, np.float32)
    texture = smooth_field(rng, options.shape_hw, max(1.0, options.object_size / 12))
    for index, rod in enumerate(_random_rods(rng, options)):
        window = rod.window(options.shape_hw)
        if window is None:
            continue
        depth = rod.depth(window)
        inside = depth < 1
        if np.count_nonzero(labels[window][inside]) > OVERLAP * inside.sum():
            continue
        inside &= labels[window] == 0
        labels[window][inside] = index + 1
        thickness = np.sqrt(np.maximum(1 - depth * depth, 0)) * rng.uniform(0.75, 1.25)
        thickness = thickness * (1 + 0.08 * texture[window])
        delay[window][inside] = thickness[inside]
    if rng.random() < 0.6:
        pixels = dark_pixels(rng, delay, options, options.object_size / 4)
    else:
        pixels = glowing_pixels(rng, delay, options)
    return Scene(pixels, renumbered(largest_components(labels)))


def _random_rods(rng: Generator, options: SceneOptions) -> Iterator[Rod]:
    size = options.object_size
    slimness = float(rng.uniform(2.3, 4.5))
    curvature = float(rng.choice([0.05, 0.25, 1.1]))
    is_chained = rng.random() < 0.3
    width = max(3.0, size / slimness)
    pitch = max(width * 1.05, np.sqrt(size * width) * (0.95 if not is_chained else 1.5))
    points = lattice(rng, options.shape_hw, pitch, 0.3)
    share = 0.03 + 0.85 * options.density
    points = scattered(rng, points, options.shape_hw, share, 0.85)
    order = smooth_field(rng, (16, 16), 6) * 1.6
    rows, columns = options.shape_hw
    for start_y, start_x in points.tolist():
        y, x = start_y, start_x
        cell = int(y / rows * 15.9) % 16, int(x / columns * 15.9) % 16
        angle = float(order[cell] + rng.normal(0, 0.25))
        bend = float(rng.normal(0, curvature))
        for _ in range(int(rng.integers(3, 8)) if is_chained else 1):
            length = max(size * float(np.exp(rng.normal(0, 0.14))), width * 1.2)
            yield Rod.arc((y, x), length, width / 2, (angle, bend))
            y += sin(angle) * length * 0.98
            x += cos(angle) * length * 0.98
            angle += float(rng.normal(0, 0.3))


def dark_pixels(
    rng: Generator, delay: FloatArray, options: SceneOptions, width: float
) -> NDArray[np.uint16]:
    """Phase contrast of rods about `width` pixels wide, from how they delay light."""
    width = max(2.0, width)
    delay = blurred(delay, options.blur * 0.7)
    halo = blurred(delay, width * 0.55) + 0.3 * blurred(delay, width * 1.5)
    grey = 0.5 + rng.uniform(0.3, 0.6) * (halo - 1.1 * delay)
    grey += 0.007 * smooth_field(rng, options.shape_hw, 5)
    grey -= 0.2 * specks(rng, options.shape_hw, 3, (0.6, 1.6))
    light = shading(rng, options.shape_hw, float(rng.uniform(0.05, 0.3)))
    return photographed(rng, grey * light, options.noise)


def glowing_pixels(
    rng: Generator, delay: FloatArray, options: SceneOptions
) -> NDArray[np.uint16]:
    """Fluorescence, from how much light each pixel gives."""
    light = blurred(delay * np.float32(rng.uniform(0.3, 0.8)), options.blur)
    haze = blurred(delay, max(3.0, options.object_size / 2))
    lit = light + 0.12 * haze + np.float32(rng.uniform(0.02, 0.08))
    lamp = shading(rng, options.shape_hw, float(rng.uniform(0, 0.5)))
    return exposed(rng, lit * lamp, options.noise)
