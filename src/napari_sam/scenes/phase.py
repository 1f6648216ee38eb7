"""Phase contrast: spread cells, grey on grey, in bright halos.

A phase-contrast microscope shows how much a cell delays light, less the local mean of
that delay: thick cells are dark, glow at their border (halo) and pale inside
(shade-off). So a delay is drawn, and its wide blur is taken off. Every cell that is
not debris is labelled, processes included, halo not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.blobs import (
    Blob,
    LabelCanvas,
    Painted,
    Spike,
    random_waves,
)
from napari_sam.scenes.camera import photographed, shading, specks
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import (
    FloatArray,
    blurred,
    patch,
    texture_tile,
)
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice, scattered

ROUND_SHARE = 0.12  # cells about to divide, or loose: round, thick, in a strong halo


@dataclass(frozen=True, slots=True)
class SpreadCell:
    """A blob, and how it delays light."""

    blob: Blob
    thickness: float  # 1 is a flat cell, 3 a round one
    texture_yx: tuple[int, int]
    nucleus_yx: tuple[float, float]  # from the centre, in radii


@dataclass(frozen=True, slots=True)
class Optics:
    """What all cells of a scene, or of all frames of a movie, share."""

    granules_hw: FloatArray
    granularity: float
    halo: float  # deviation of the halo, in pixels
    contrast: float
    light_hw: FloatArray
    debris_hw: FloatArray

    @classmethod
    def draw(cls, rng: Generator, options: SceneOptions) -> Optics:
        """Draw the texture, the light and the dirt."""
        size = options.object_size
        tile = (max(64, int(size * 2.5)),) * 2
        granules = texture_tile(rng, tile, max(1.0, size / 60))
        granules = granules + 0.9 * texture_tile(rng, tile, max(1.5, size / 20))
        dirt = specks(rng, options.shape_hw, 5, (0.6, 1.8))
        dirt -= specks(rng, options.shape_hw, 5, (0.6, 1.8))
        return cls(
            granules,
            float(rng.uniform(0.06, 0.16)),
            max(1.5, size * float(rng.uniform(0.05, 0.1))),
            float(rng.uniform(0.25, 0.5)),
            shading(rng, options.shape_hw, float(rng.uniform(0.0, 0.25))),
            dirt,
        )


def draw_phase(rng: Generator, options: SceneOptions) -> Scene:
    """Cells on the bottom of a dish."""
    size = options.object_size
    points = lattice(rng, options.shape_hw, size * rng.uniform(0.9, 1.2), 0.4)
    share = 0.05 + 0.75 * options.density
    clumping = float(rng.uniform(0.2, 0.9))
    points = scattered(rng, points, options.shape_hw, share, clumping)
    flow = float(rng.uniform(0, np.pi))
    cells = [random_cell(rng, y, x, size, flow) for y, x in points]
    return render(rng, cells, Optics.draw(rng, options), options)


def random_cell(
    rng: Generator, y: float, x: float, size: float, flow: float
) -> SpreadCell:
    """A cell that lies along `flow` (radians) more often than not, or a round one."""
    texture = int(rng.integers(10**6)), int(rng.integers(10**6))
    if rng.random() < ROUND_SHARE:
        blob = Blob(
            float(y), float(x), size * 0.24, 1.1, flow, random_waves(rng, (0.03,))
        )
        return SpreadCell(blob, 3.0, texture, (0.0, 0.0))
    angle = flow + float(rng.normal(0, 0.6))
    poles = [0.0, np.pi, *rng.uniform(0, 2 * np.pi, rng.integers(0, 3)).tolist()]
    spikes = tuple(
        Spike(
            pole + float(rng.normal(0, 0.25)),
            float(rng.uniform(0.1, 0.75)),
            float(rng.uniform(5, 30)),
        )
        for pole in poles
    )
    blob = Blob(
        float(y),
        float(x),
        size * 0.37 * float(np.exp(0.15 * np.clip(rng.standard_normal(), -2, 2))),
        1 + float(rng.gamma(2.0, 0.35)),
        angle,
        random_waves(rng, (0.04, 0.07, 0.05, 0.03, 0.02)),
        spikes,
    )
    nucleus = float(rng.uniform(-0.2, 0.2)), float(rng.uniform(-0.2, 0.2))
    return SpreadCell(blob, float(rng.uniform(0.7, 1.4)), texture, nucleus)


def render(
    rng: Generator, cells: Sequence[SpreadCell], optics: Optics, options: SceneOptions
) -> Scene:
    """Draw cells; their label ids are their indices in the sequence, then compacted."""
    labels, grey = grey_of(cells, optics, options)
    pixels = photographed(rng, grey, options.noise)
    return Scene(pixels, renumbered(largest_components(labels)))


def grey_of(
    cells: Sequence[SpreadCell], optics: Optics, options: SceneOptions
) -> tuple[NDArray[np.uint32], FloatArray]:
    """Labels (1 + index in the sequence), and the picture in grey, 0 to 1."""
    canvas = LabelCanvas(options.shape_hw)
    delay = np.zeros(options.shape_hw, np.float32)
    for index, cell in enumerate(cells):
        painted = canvas.paint(cell.blob, index + 1)
        if painted is not None:
            own = _delay(cell, painted, optics)
            np.copyto(delay[painted.window], own, where=painted.won)
    # Where cells meet there is a thin gap, which light goes through undelayed.
    delay *= np.clip((1.0 - canvas.depth) * 7 + 0.25, 0, 1)
    delay = blurred(delay, options.blur)
    seen = 0.8 * blurred(delay, optics.halo) + 0.35 * blurred(delay, 2.5 * optics.halo)
    grey = 0.45 + optics.contrast * (seen - delay) + 0.25 * optics.debris_hw
    return canvas.labels, (grey * optics.light_hw).astype(np.float32)


def _delay(cell: SpreadCell, painted: Painted, optics: Optics) -> FloatArray:
    blob, window = cell.blob, painted.window
    corner = [
        span.start - int(centre) + offset
        for span, centre, offset in zip(
            window, (blob.y, blob.x), cell.texture_yx, strict=True
        )
    ]
    granules: NDArray[np.floating] = patch(
        optics.granules_hw, corner, painted.depth.shape
    )
    bulk = np.sqrt(np.maximum(1.0 - painted.depth, 0.0))
    delay: NDArray[np.floating] = 0.35 + 0.65 * bulk
    if blob.radius > 4:
        y = (np.arange(window[0].start, window[0].stop) - blob.y) / blob.radius
        x = (np.arange(window[1].start, window[1].stop) - blob.x) / blob.radius
        y, x = y[:, None] - cell.nucleus_yx[0], x[None, :] - cell.nucleus_yx[1]
        # A smooth, pale nucleus in granular cytoplasm, with two dark nucleoli.
        nucleus = np.exp(-(((y * y + x * x) / 0.16) ** 3))
        granules = granules * (1 - 0.75 * nucleus)
        delay = delay - 0.25 * nucleus
        for side in (-0.16, 0.14):
            r2 = (y - side) ** 2 + (x + 0.6 * side) ** 2
            delay = delay + 0.6 * np.exp(-r2 / 0.006)
    delayed: NDArray[np.floating] = cell.thickness * (
        delay + optics.granularity * granules * (0.4 + bulk)
    )
    return delayed.astype(np.float32)
