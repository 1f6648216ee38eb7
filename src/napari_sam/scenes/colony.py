r"""Micro-colonies: bacteria side by side, with hardly a gap, as they grow.

Rods of a colony lie in rows, as bricks do, and the rows bend together:

       ______ _________ ____            a pixel's row is its place across the rows,
      (______|_________|____)           its brick the place along them; both are
       |________|_____|____|     ->     taken from coordinates that a smooth field
      (___|________|_______)            bends

A colony has several such domains, each with a direction of its own. Bricks of about
one length and width are cocci. Every bacterium is labelled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.fields import FloatArray, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.pieces import largest_pieces, renumbered
from napari_sam.scenes.rods import dark_pixels, glowing_pixels

COCCI_SHARE = 0.25
DARK_SHARE = 0.65
SMALLEST_WIDTH = 4.0  # pixels
WHOLE = 0.7  # of a rod's area; less, cut off where domains meet, is not drawn
LONE_GAP = 0.04  # share of the rods that are missing inside a colony


@dataclass(frozen=True, slots=True)
class Bricks:
    """Where each pixel lies in its brick.

    Parameters
    ----------
    ids_hw
        1 to n.
    depth_hw
        0 on the middle line of the rod that the brick holds, 1 on its outline.
    along_hw
        From one end of the rod to the other, 0 to 1.
    full_n
        Area of each whole rod in pixels, by id; [0] is nothing's.
    """

    ids_hw: NDArray[np.int64]
    depth_hw: FloatArray
    along_hw: FloatArray
    full_n: NDArray[np.float64]


def draw_colony(rng: Generator, options: SceneOptions) -> Scene:
    """One or more micro-colonies of one strain."""
    size = options.object_size
    is_round = rng.random() < COCCI_SHARE
    slimness = rng.uniform(1.0, 1.35) if is_round else rng.uniform(2.0, 5.5)
    width = max(SMALLEST_WIDTH, size / slimness)
    bricks = _bricks(rng, options.shape_hw, width, size)
    inside = bricks.depth_hw < 1
    kept = _kept(rng, bricks, inside, options)
    labels = np.where(inside & kept[bricks.ids_hw], bricks.ids_hw, 0)
    labels = largest_pieces(labels)
    delay = _delay(rng, bricks, labels > 0)
    if rng.random() < DARK_SHARE:
        pixels = dark_pixels(rng, delay, options, width)
    else:
        pixels = glowing_pixels(rng, delay, options)
    return Scene(pixels, renumbered(labels))


def _bricks(
    rng: Generator, shape_hw: tuple[int, int], width: float, length: float
) -> Bricks:
    """Fill the scene with bent rows of bricks."""
    domains = _domains(rng, shape_hw, length)
    rows, columns = np.indices(shape_hw, dtype=np.float32)
    ids = np.zeros(shape_hw, dtype=np.int64)
    depth = np.full(shape_hw, np.inf, dtype=np.float32)
    along = np.zeros(shape_hw, dtype=np.float32)
    areas = [0.0]
    spread = float(rng.uniform(0.08, 0.3))
    fill = float(rng.uniform(0.84, 1.0))
    for domain in range(int(domains.max()) + 1):
        angle = float(rng.uniform(0, np.pi))
        bend = float(rng.uniform(0.0, 0.35)) * length
        u = columns * np.cos(angle) + rows * np.sin(angle)
        v = rows * np.cos(angle) - columns * np.sin(angle)
        u = u + bend * smooth_field(rng, shape_hw, 3 * length)
        v = v + bend * smooth_field(rng, shape_hw, 3 * length)
        row_of = np.floor(v / width).astype(int)
        here = domains == domain
        for row in range(int(row_of[here].min()), int(row_of[here].max()) + 1):
            pixels = here & (row_of == row)
            if not pixels.any():
                continue
            place = u[pixels]
            lengths = _lengths(rng, place, width, length, spread)
            cuts = place.min() - length * rng.random() + np.cumsum(lengths)
            number = np.searchsorted(cuts, place)
            longs = lengths[number]
            from_end = place - (cuts[number] - longs)
            across = v[pixels] - (row + 0.5) * width
            straight = np.maximum(np.abs(from_end - longs / 2) - (longs - width) / 2, 0)
            depth[pixels] = 2 * np.hypot(straight, across) / (width * fill)
            along[pixels] = from_end / longs
            ids[pixels] = len(areas) + number
            areas += (lengths * width * fill**2 * 0.9).tolist()
    return Bricks(ids, depth, along, np.array(areas))


def _lengths(
    rng: Generator, place: FloatArray, width: float, length: float, spread: float
) -> NDArray[np.float64]:
    """Of the bricks of a row, enough of them to fill it."""
    count = int(float(np.ptp(place)) / (0.4 * length)) + 6
    lengths = length * np.exp(rng.normal(0, spread, count))
    longest: NDArray[np.float64] = np.maximum(lengths, max(1.02 * width, 0.5 * length))
    return longest


def _domains(
    rng: Generator, shape_hw: tuple[int, int], length: float
) -> NDArray[np.intp]:
    """Which direction each pixel's rows have: patches around a few points."""
    span = max(shape_hw) / length
    count = int(rng.integers(1, 2 + min(int(span), 5)))
    rows, columns = np.indices(shape_hw, dtype=np.float32)
    wobble = smooth_field(rng, shape_hw, length) * np.float32(length / 3)
    nearest = [
        np.hypot(rows - rng.uniform(0, shape_hw[0]), columns - x) + wobble * (i % 2)
        for i, x in enumerate(rng.uniform(0, shape_hw[1], count))
    ]
    domains: NDArray[np.intp] = np.argmin(np.stack(nearest), axis=0)
    return domains


def _kept(
    rng: Generator, bricks: Bricks, inside: NDArray[np.bool_], options: SceneOptions
) -> NDArray[np.bool_]:
    """By id: whole rods, inside of what a smooth field makes the colonies."""
    count = len(bricks.full_n)
    where = smooth_field(rng, options.shape_hw, 2.5 * options.object_size)
    ids = bricks.ids_hw[inside]
    areas = np.bincount(ids, minlength=count)
    height = np.bincount(ids, where[inside], count) / np.maximum(areas, 1)
    level = np.quantile(where, np.clip(0.75 - options.density, 0, 1))
    kept: NDArray[np.bool_] = (
        (areas > WHOLE * bricks.full_n)
        & (height >= level)
        & (rng.random(count) >= LONE_GAP)
    )
    kept[0] = False
    return kept


def _delay(rng: Generator, bricks: Bricks, drawn: NDArray[np.bool_]) -> FloatArray:
    """How much each pixel delays or gives light: round across, nucleoids along."""
    own = rng.uniform(0.8, 1.2, len(bricks.full_n)).astype(np.float32)[bricks.ids_hw]
    flatness = float(rng.uniform(1.0, 3.0))
    thickness = np.sqrt(np.maximum(1 - np.minimum(bricks.depth_hw, 1) ** 2, 0))
    thickness = thickness ** np.float32(1 / flatness)
    count = int(rng.integers(1, 4))
    strength = np.float32(rng.uniform(0.0, 0.3))
    pale = np.cos(2 * np.pi * count * (bricks.along_hw - 0.5 / count))
    pale = (1 - strength / 2) - strength / 2 * pale
    delay: FloatArray = (own * thickness * pale * drawn).astype(np.float32)
    return delay
