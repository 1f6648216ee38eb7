"""Filaments: thin, long and bent, such as fibres, hyphae and flagella.

Every filament is labelled. One that runs into another ends there, since a label image
cannot hold that one passes under the other.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.scenes.camera import exposed, photographed, shading, specks
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import FloatArray, blurred, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice, scattered

STEP = 0.5  # pixels between the points of a filament
SHORTEST = 0.45  # of the length wanted; one that ends earlier is left out
CONTOUR = 1.25  # length along a filament over its span


def draw_filaments(rng: Generator, options: SceneOptions) -> Scene:
    """A loose mesh of filaments."""
    size = options.object_size
    thickness = float(np.clip(size * rng.uniform(0.03, 0.1), 2.0, 14.0))
    pitch = max(size * 0.45, thickness * 2.5, 10.0)
    points = lattice(rng, options.shape_hw, pitch, 0.5)
    share = 0.08 + 0.8 * options.density
    points = scattered(rng, points, options.shape_hw, share, 0.5)
    # The first lies well inside; the others in any order, so that no corner of a
    # clump always wins.
    rng.shuffle(points[1:])
    labels = np.zeros(options.shape_hw, np.uint32)
    mass = np.zeros(options.shape_hw, np.float32)
    flow = float(rng.uniform(0, 2 * np.pi))
    wildness = float(rng.uniform(0.2, 3.0))
    bending = float(rng.uniform(0.5, 2.0))
    for index, point in enumerate(points):
        angle = flow + float(rng.normal(0, wildness))
        line = _walk(rng, point, angle, bending, size * CONTOUR)
        _draw(labels, mass, line, thickness / 2, index + 1)
    beads = smooth_field(rng, options.shape_hw, max(1.5, thickness))
    mass *= np.maximum(1 + 0.2 * beads, 0.3)
    pixels = (_glowing if rng.random() < 0.65 else _dark)(rng, mass, options)
    return Scene(pixels, renumbered(largest_components(labels)))


def _walk(
    rng: Generator,
    start: NDArray[np.float64],
    angle: float,
    bending: float,
    length: float,
) -> NDArray[np.float64]:
    """Points (n, 2) half a pixel apart; the direction wanders smoothly."""
    count = max(8, int(length / STEP))
    turns = smooth_field(rng, (count,), max(4.0, count / 5))
    directions = angle + bending * np.cumsum(turns) * (3.0 / count)
    steps = np.stack([np.sin(directions), np.cos(directions)], axis=1) * STEP
    line: NDArray[np.float64] = start + np.cumsum(steps, axis=0) - steps.sum(axis=0) / 2
    return line


def _draw(
    labels: NDArray[np.uint32],
    mass: FloatArray,
    line: NDArray[np.float64],
    radius: float,
    label: int,
) -> None:
    """Draw the longest stretch of a filament that is inside and touches no other."""
    margin = int(np.ceil(radius)) + 2
    low = np.maximum(np.floor(line.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(line.max(axis=0)).astype(int) + margin, labels.shape)
    if (low >= high).any():
        return
    window = slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))
    cells = np.floor(line).astype(int) - low
    inside = ((cells >= 0) & (cells < high - low)).all(axis=1)
    taken = labels[window]
    is_taken = taken > 0
    free = inside.copy()
    free[inside] = ~is_taken[tuple(cells[inside].T)]
    first, last = _longest_run(free)
    if (last - first) < SHORTEST * len(line) or inside.sum() < 8:
        return
    middle = np.ones(taken.shape, bool)
    middle[tuple(cells[first:last].T)] = False
    distance = ndimage.distance_transform_edt(middle).astype(np.float32)
    own = (distance < radius) & ~is_taken
    taken[own] = label
    bright = np.exp(-0.5 * (distance / (0.6 * radius)) ** 2)
    np.copyto(mass[window], bright, where=own)


def _longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """First and one past the last index of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    if edges.size == 0:
        return 0, 0
    starts, stops = edges[::2], edges[1::2]
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])


def _glowing(
    rng: Generator, mass: FloatArray, options: SceneOptions
) -> NDArray[np.uint16]:
    light = blurred(mass * np.float32(rng.uniform(0.4, 1.0)), options.blur)
    haze = blurred(mass, max(4.0, options.blur * 6))
    lit = light + 0.2 * haze + np.float32(rng.uniform(0.02, 0.1))
    lamp = shading(rng, options.shape_hw, float(rng.uniform(0.1, 0.6)))
    return exposed(rng, lit * lamp, options.noise)


def _dark(
    rng: Generator, mass: FloatArray, options: SceneOptions
) -> NDArray[np.uint16]:
    seen = blurred(mass, options.blur)
    halo = blurred(mass, 2 + 2 * options.blur)
    grey = 0.55 - np.float32(rng.uniform(0.15, 0.35)) * (seen - 0.9 * halo)
    grey += 0.015 * smooth_field(rng, options.shape_hw, 6)
    grey -= 0.2 * specks(rng, options.shape_hw, 3, (0.7, 2.0))
    lamp = shading(rng, options.shape_hw, float(rng.uniform(0.05, 0.3)))
    return photographed(rng, grey * lamp, options.noise)
