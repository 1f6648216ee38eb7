"""Synthetic scenes as crops to train on, shown as `open_image` would show them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_sam.images import intensity_range, stretch
from napari_sam.scenes import OBJECT_SIZES, SceneKind, make_scene, random_options
from napari_sam.training.config import Phase

LARGEST_SHARE = 0.8
"""Of the crop's side that an object may span."""

EXTENTS = {
    SceneKind.NUCLEI: 1.3,
    SceneKind.MEMBRANES: 1.1,
    SceneKind.PHASE: 1.5,
    SceneKind.STAIN: 1.2,
    SceneKind.RODS: 2.1,
    SceneKind.ELECTRON: 2.7,
    SceneKind.FILAMENTS: 3.0,
    SceneKind.COLONY: 1.9,
    SceneKind.YEAST: 1.35,
}
"""A scene's `object_size` in sides of its median object (square roots of areas), as
measured: the length of a rod is not the side of a square of its area."""

SHARES = {
    SceneKind.NUCLEI: 0.08,
    SceneKind.MEMBRANES: 0.1,
    SceneKind.PHASE: 0.1,
    SceneKind.STAIN: 0.06,
    SceneKind.RODS: 0.12,
    SceneKind.ELECTRON: 0.06,
    SceneKind.FILAMENTS: 0.03,
    SceneKind.COLONY: 0.28,
    SceneKind.YEAST: 0.17,
}
"""Of the scenes: mostly the kinds that no data set here shows."""


def draw_scene(
    rng: np.random.Generator, phase: Phase
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """(s, s, 3) pixels and (s, s) ids of a scene with objects of the phase's size."""
    kind = rng.choice(list(SHARES), p=list(SHARES.values()))
    options = replace(random_options(rng, phase.size), kind=SceneKind(kind))
    low, high = phase.object_size
    high = min(high, LARGEST_SHARE * phase.size)
    size = float(np.exp(rng.uniform(*np.log([min(low, high), high]))))
    extent = min(size * EXTENTS[options.kind], OBJECT_SIZES[1])
    scene = make_scene(replace(options, object_size=max(extent, OBJECT_SIZES[0])))
    pixels = scene.pixels
    if pixels.ndim == 2:
        shown = stretch(pixels, *intensity_range(pixels))
        pixels = np.repeat(shown[..., None], 3, axis=-1)
    return pixels.astype(np.uint8), scene.labels_hw.astype(np.int32)
