"""Round cells with a rim: yeast in phase contrast and brightfield, with buds.

In transmitted light a round cell is an outline: a dark or bright rim, a halo of the
other kind around it, and an inside hardly darker or brighter than the medium, with a
vacuole. Which of them is dark depends on the focus, so it is drawn at random. Every
cell is labelled, a bud by itself; halos are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from napari_sam.scenes.blobs import OUTSIDE, Blob, LabelCanvas, random_waves
from napari_sam.scenes.camera import exposed, photographed, shading, specks
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import FloatArray, blurred, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice, scattered

BUD_SHARE = 0.35
GLOW_SHARE = 0.25
REACH = 1.6  # depth up to which a halo is drawn


@dataclass(frozen=True, slots=True)
class Looks:
    """How the cells of a scene look; brightness is added to a medium of 0.45.

    Parameters
    ----------
    rim, rim_width
        Brightness on the outline, and how far it reaches, in depths.
    halo
        Brightness around it.
    inside, vacuole
        Brightness in the cell, and of its vacuole.
    """

    rim: float
    rim_width: float
    halo: float
    inside: float
    vacuole: float

    @classmethod
    def draw(cls, rng: Generator) -> Looks:
        """Dark rims in bright halos, or the other way round."""
        sign = -1.0 if rng.random() < 0.65 else 1.0
        return cls(
            sign * float(rng.uniform(0.12, 0.4)),
            float(rng.uniform(0.06, 0.2)),
            -sign * float(rng.uniform(0.05, 0.35)),
            float(rng.uniform(-0.2, 0.15)),
            float(rng.uniform(-0.15, 0.2)),
        )


def draw_yeast(rng: Generator, options: SceneOptions) -> Scene:
    """Cells of one strain, alone and in clumps."""
    canvas = LabelCanvas(options.shape_hw)
    nearest = np.full(options.shape_hw, OUTSIDE, np.float32)
    vacuoles = np.zeros(options.shape_hw, np.float32)
    for number, cell in enumerate(_cells(rng, options)):
        painted = canvas.paint(cell, number + 1)
        if painted is None:
            continue
        _add_halo(nearest, cell)
        if rng.random() < 0.7:
            _add_vacuole(rng, vacuoles, cell)
    depth = np.minimum(canvas.depth, nearest)
    if rng.random() < GLOW_SHARE:
        pixels = _glowing(rng, canvas, options)
    else:
        grey = _grey(rng, depth, vacuoles * (canvas.labels > 0), options)
        pixels = photographed(rng, grey, options.noise)
    return Scene(pixels, renumbered(largest_components(canvas.labels)))


def _cells(rng: Generator, options: SceneOptions) -> Iterator[Blob]:
    radius = options.object_size / 2
    pitch = radius * float(rng.uniform(1.75, 2.3))
    points = lattice(rng, options.shape_hw, pitch, 0.15)
    share = 0.05 + 0.85 * options.density
    points = scattered(rng, points, options.shape_hw, share, 0.85)
    spread = float(rng.uniform(0.05, 0.2))
    for y, x in points.tolist():
        own = radius * float(np.exp(rng.normal(-0.05, spread)))
        aspect = 1 + float(rng.gamma(1.5, 0.1))
        angle = float(rng.uniform(0, np.pi))
        waves = random_waves(rng, (0.02, 0.015))
        yield Blob(y, x, own, aspect, angle, waves)
        if rng.random() < BUD_SHARE:
            bud = own * float(rng.uniform(0.35, 0.75))
            away = own + 0.8 * bud
            side = float(rng.uniform(0, 2 * np.pi))
            yield Blob(y + away * np.sin(side), x + away * np.cos(side), bud)


def _add_halo(nearest: FloatArray, cell: Blob) -> None:
    """Depth around a cell, beyond its outline too."""
    reach = cell.reach * REACH
    spans = [
        slice(max(0, int(c - reach)), max(0, min(n, int(c + reach) + 1)))
        for c, n in zip((cell.y, cell.x), nearest.shape, strict=True)
    ]
    half = np.float32(0.5)
    y = np.arange(spans[0].start, spans[0].stop, dtype=np.float32)[:, None] + half
    x = np.arange(spans[1].start, spans[1].stop, dtype=np.float32)[None, :] + half
    if y.size and x.size:
        window = nearest[spans[0], spans[1]]
        np.minimum(window, cell.depth(y, x), out=window)


def _add_vacuole(rng: Generator, vacuoles: FloatArray, cell: Blob) -> None:
    away, side = cell.radius * rng.uniform(0, 0.4), rng.uniform(0, 2 * np.pi)
    y, x = cell.y + away * np.sin(side), cell.x + away * np.cos(side)
    radius = cell.radius * rng.uniform(0.25, 0.5)
    rows = slice(max(0, int(y - 2 * radius)), max(0, int(y + 2 * radius) + 1))
    columns = slice(max(0, int(x - 2 * radius)), max(0, int(x + 2 * radius) + 1))
    window = vacuoles[rows, columns]
    if window.size:
        dy = np.arange(window.shape[0])[:, None] + rows.start - y
        dx = np.arange(window.shape[1])[None, :] + columns.start - x
        spot = np.exp(-(((dy * dy + dx * dx) / radius**2) ** 2)).astype(np.float32)
        np.maximum(window, spot, out=window)


def _grey(
    rng: Generator, depth: FloatArray, vacuoles: FloatArray, options: SceneOptions
) -> FloatArray:
    looks = Looks.draw(rng)
    near = np.minimum(depth, 3.0)
    rim = np.exp(-(((near - 0.95) / looks.rim_width) ** 2))
    halo = np.exp(-(((near - 1.2) / (1.5 * looks.rim_width)) ** 2))
    inside = 1 / (1 + np.exp((near - 0.9) * 20))
    grain = 1 + 0.3 * smooth_field(
        rng, options.shape_hw, max(1.0, options.object_size / 10)
    )
    added = looks.rim * rim + looks.halo * halo + looks.inside * inside * grain
    added = added + looks.vacuole * vacuoles
    grey = np.float32(0.45) + blurred(added.astype(np.float32), options.blur)
    grey -= np.float32(0.15) * specks(rng, options.shape_hw, 3, (0.6, 2.0))
    light = shading(rng, options.shape_hw, float(rng.uniform(0.05, 0.4)))
    lit: FloatArray = (grey * light).astype(np.float32)
    return lit


def _glowing(
    rng: Generator, canvas: LabelCanvas, options: SceneOptions
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    """A dye in the cytoplasm, or in the wall."""
    depth, count = canvas.depth, int(canvas.labels.max()) + 1
    own = np.exp(rng.normal(0, 0.35, count)).astype(np.float32)[canvas.labels]
    if rng.random() < 0.5:
        light = np.sqrt(np.maximum(1 - np.minimum(depth, 1) ** 2, 0))
    else:
        light = np.exp(-(((np.minimum(depth, 3.0) - 0.93) / 0.12) ** 2))
    light = (light * own * np.float32(rng.uniform(0.2, 0.6))).astype(np.float32)
    haze = blurred(light, max(3.0, options.object_size / 2))
    lit = blurred(light, options.blur) + 0.15 * haze + np.float32(0.04)
    lamp = shading(rng, options.shape_hw, float(rng.uniform(0, 0.5)))
    return exposed(rng, (lit * lamp).astype(np.float32), options.noise)
