"""Cells that tile the plane, with bright borders, as in an epithelium.

Every cell is labelled, up to the middle of its walls, so that there is no background
unless a sparse scene (density under one half) has holes: cells without stain, 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.scenes.camera import exposed, shading
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import FloatArray, blurred, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice
from napari_sam.scenes.voronoi import territories, wall_distance


def draw_membranes(rng: Generator, options: SceneOptions) -> Scene:
    """A sheet of cells."""
    owners = tissue(rng, options.shape_hw, (1.0, 1.0), options)
    light = membrane_light(rng, owners, (1.0, 1.0), options)
    light = blurred(light, options.blur)
    light *= shading(rng, options.shape_hw, float(rng.uniform(0, 0.5)))
    return Scene(exposed(rng, light, options.noise), renumbered(owners))


def tissue(
    rng: Generator,
    shape: Sequence[int],
    spacing: Sequence[float],
    options: SceneOptions,
) -> NDArray[np.uint32]:
    """Cells that fill the space, each connected; some are holes, 0."""
    pitch = [options.object_size / step for step in spacing]
    points = lattice(rng, shape, pitch, float(rng.uniform(0.2, 0.42)))
    bend = float(rng.uniform(0.01, 0.05)) * options.object_size
    owners = territories(rng, points, shape, spacing, bend)
    whole = largest_components(owners, smallest=max(4, int(options.object_size / 3)))
    if not whole.all():
        nearest = ndimage.distance_transform_edt(
            whole == 0, sampling=spacing, return_distances=False, return_indices=True
        )
        whole = whole[tuple(nearest)]
    holes = max(0.0, 0.5 - options.density) * 0.4
    if holes:
        is_hole = rng.random(len(points) + 1) < holes
        is_hole[np.bincount(whole.ravel(), minlength=len(points) + 1).argmax()] = False
        whole[is_hole[whole]] = 0
    return whole


def membrane_light(
    rng: Generator,
    owners: NDArray[np.uint32],
    spacing: Sequence[float],
    options: SceneOptions,
) -> FloatArray:
    """Walls, brighter here and there, over a haze that differs from cell to cell."""
    distance = wall_distance(owners, spacing)
    size = options.object_size
    width = max(0.8, size * float(rng.uniform(0.015, 0.04)))
    shape = owners.shape
    patchy = np.exp(
        0.35 * smooth_field(rng, shape, [max(2.0, size / 2 / s) for s in spacing])
        + 0.25 * smooth_field(rng, shape, max(1.5, size / 16))
    )
    walls = np.exp(-0.5 * (distance / width) ** 2) * patchy * rng.uniform(0.5, 0.9)
    levels = rng.uniform(0.0, 1.0, int(owners.max()) + 1).astype(np.float32)
    levels[0] = 0.0
    haze = levels[owners] * float(rng.choice([0.03, 0.08, 0.25]))
    haze = haze * (1 + 0.35 * smooth_field(rng, shape, max(1.5, size / 10)))
    vesicles = np.maximum(smooth_field(rng, shape, max(1.3, size / 20)) - 2.4, 0)
    light: FloatArray = (walls + haze + 0.25 * vesicles + 0.02).astype(np.float32)
    return light
