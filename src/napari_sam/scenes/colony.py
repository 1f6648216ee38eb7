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

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import FloatArray, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.rods import dark_pixels, glowing_pixels

COCCI_SHARE = 0.25
DARK_SHARE = 0.65
SMALLEST_WIDTH = 4.0  # pixels
WHOLE = 0.7  # of a rod's area; less, cut off where domains meet, is not drawn
LONE_GAP = 0.04  # share of the rods that are missing inside a colony


class Wall:
    """Where each pixel lies in its brick.

    Attributes
    ----------
    ids_hw
        1 to n.
    depth_hw
        0 on the middle line of the rod that the brick holds, 1 on its outline.
    along_hw
        From one end of the rod to the other, 0 to 1.
    areas
        Of each whole rod in pixels, by id; [0] is nothing's.
    """

    def __init__(self, shape_hw: tuple[int, int], width: float, fill: float) -> None:
        self.ids_hw = np.zeros(shape_hw, dtype=np.int64)
        self.depth_hw = np.full(shape_hw, np.inf, dtype=np.float32)
        self.along_hw = np.zeros(shape_hw, dtype=np.float32)
        self.areas = [0.0]
        self._width, self._fill = width, fill

    def lay(
        self,
        pixels: NDArray[np.bool_],
        places_n: FloatArray,
        across_n: FloatArray,
        lengths: NDArray[np.float64],
        start: float,
    ) -> None:
        """Lay a row of bricks of given `lengths` into the n pixels that are its own."""
        ends = start + np.cumsum(lengths)
        number = np.searchsorted(ends, places_n)
        own = lengths[number]
        along = places_n - (ends[number] - own)
        # What is left of the distance to the middle once the straight part is off.
        beyond = np.maximum(np.abs(along - own / 2) - (own - self._width) / 2, 0)
        radius = self._width * self._fill / 2
        self.depth_hw[pixels] = np.hypot(beyond, across_n) / radius
        self.along_hw[pixels] = along / own
        self.ids_hw[pixels] = len(self.areas) + number
        self.areas += (0.9 * lengths * self._width * self._fill**2).tolist()


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
    labels = largest_components(labels)
    delay = _delay(rng, bricks, labels > 0)
    if rng.random() < DARK_SHARE:
        pixels = dark_pixels(rng, delay, options, width)
    else:
        pixels = glowing_pixels(rng, delay, options)
    return Scene(pixels, renumbered(labels))


def _bricks(
    rng: Generator, shape_hw: tuple[int, int], width: float, length: float
) -> Wall:
    """Fill the scene with bent rows of bricks."""
    wall = Wall(shape_hw, width, float(rng.uniform(0.84, 1.0)))
    domains = _domains(rng, shape_hw, length)
    spread = float(rng.uniform(0.08, 0.3))
    for domain in np.unique(domains):
        u, v = _bent(rng, shape_hw, length)
        here = domains == domain
        row_of = np.floor(v / width).astype(int)
        for row in np.unique(row_of[here]):
            pixels = here & (row_of == row)
            places = u[pixels]
            lengths = _lengths(rng, places, width, length, spread)
            start = float(places.min() - length * rng.random())
            wall.lay(pixels, places, v[pixels] - (row + 0.5) * width, lengths, start)
    return wall


def _bent(
    rng: Generator, shape_hw: tuple[int, int], length: float
) -> tuple[FloatArray, FloatArray]:
    """Coordinates along and across rows of one direction that bend."""
    rows, columns = np.indices(shape_hw, dtype=np.float32)
    angle = float(rng.uniform(0, np.pi))
    bend = np.float32(rng.uniform(0.0, 0.35) * length)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = columns * c + rows * s + bend * smooth_field(rng, shape_hw, 3 * length)
    v = rows * c - columns * s + bend * smooth_field(rng, shape_hw, 3 * length)
    return u, v


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
    rng: Generator, bricks: Wall, inside: NDArray[np.bool_], options: SceneOptions
) -> NDArray[np.bool_]:
    """By id: whole rods, inside of what a smooth field makes the colonies."""
    count = len(bricks.areas)
    where = smooth_field(rng, options.shape_hw, 2.5 * options.object_size)
    ids = bricks.ids_hw[inside]
    areas = np.bincount(ids, minlength=count)
    height = np.bincount(ids, where[inside], count) / np.maximum(areas, 1)
    level = np.quantile(where, np.clip(0.75 - options.density, 0, 1))
    kept: NDArray[np.bool_] = (
        (areas > WHOLE * np.array(bricks.areas))
        & (height >= level)
        & (rng.random(count) >= LONE_GAP)
    )
    kept[0] = False
    return kept


def _delay(rng: Generator, bricks: Wall, drawn: NDArray[np.bool_]) -> FloatArray:
    """How much each pixel delays or gives light: round across, nucleoids along."""
    own = rng.uniform(0.8, 1.2, len(bricks.areas)).astype(np.float32)[bricks.ids_hw]
    flatness = float(rng.uniform(1.0, 3.0))
    thickness = np.sqrt(np.maximum(1 - np.minimum(bricks.depth_hw, 1) ** 2, 0))
    thickness = thickness ** np.float32(1 / flatness)
    count = int(rng.integers(1, 4))
    strength = np.float32(rng.uniform(0.0, 0.3))
    pale = np.cos(2 * np.pi * count * (bricks.along_hw - 0.5 / count))
    pale = (1 - strength / 2) - strength / 2 * pale
    delay: FloatArray = (own * thickness * pale * drawn).astype(np.float32)
    return delay
