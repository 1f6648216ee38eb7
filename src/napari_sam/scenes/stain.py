"""Brightfield stains: nuclei that absorb light, in tissue or in a smear.

Colour follows Beer and Lambert: every stain has an absorption a channel, and what is
seen is white light times exp(-the sum of them). Nuclei are labelled; cytoplasm, fibres
and red blood cells are background.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.blobs import Blob, LabelCanvas, random_waves
from napari_sam.scenes.camera import shading, specks
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import (
    FloatArray,
    blurred,
    patch,
    smooth_field,
    texture_tile,
)
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice, scattered

# Absorption of red, green and blue light.
HAEMATOXYLIN = (0.75, 0.95, 0.38)
EOSIN = (0.10, 0.85, 0.40)
SMEAR_SHARE = 0.35


def draw_stain(rng: Generator, options: SceneOptions) -> Scene:
    """A section of tissue, or single cells on glass."""
    size = options.object_size
    is_smear = rng.random() < SMEAR_SHARE
    pitch = size * float(rng.uniform(1.6, 2.4) if is_smear else rng.uniform(1.0, 1.4))
    points = lattice(rng, options.shape_hw, pitch, 0.4)
    share = 0.05 + (0.85 if is_smear else 0.75) * options.density
    clumping = 0.9 if is_smear else 0.6
    points = scattered(rng, points, options.shape_hw, share, clumping)
    cytoplasm = _smear(rng, points, options) if is_smear else _tissue(rng, options)
    labels, chromatin = _nuclei(rng, points, is_smear, options)
    return Scene(
        _coloured(rng, chromatin, cytoplasm, options),
        renumbered(largest_components(labels)),
    )


def _nuclei(
    rng: Generator, points: NDArray[np.float64], is_smear: bool, options: SceneOptions
) -> tuple[NDArray[np.uint32], FloatArray]:
    """Labels, and the absorption of chromatin."""
    size = options.object_size
    tile = (max(64, int(size * 3)),) * 2
    clumps = texture_tile(rng, tile, max(1.2, size / 10))
    clumps = clumps + 0.6 * texture_tile(rng, tile, max(1.2, size / 4))
    flow = smooth_field(rng, (8, 8), 4)
    canvas = LabelCanvas(options.shape_hw)
    absorbed = np.zeros(options.shape_hw, np.float32)
    texture = float(rng.uniform(0.08, 0.28))
    for index, (y, x) in enumerate(points):
        spindle = not is_smear and rng.random() < 0.2
        turn = flow[
            int(y / options.shape_hw[0] * 7) % 8, int(x / options.shape_hw[1] * 7) % 8
        ]
        blob = Blob(
            float(y),
            float(x),
            size / 2 * float(np.exp(0.18 * np.clip(rng.standard_normal(), -2, 2))),
            float(rng.uniform(2.2, 4.0) if spindle else 1 + rng.gamma(2, 0.15)),
            float(turn * 1.5 + rng.normal(0, 0.5)),
            random_waves(rng, (0.02, 0.05, 0.04, 0.02)),
        )
        painted = canvas.paint(blob, index + 1)
        if painted is None:
            continue
        strength = float(np.exp(rng.normal(-0.15, 0.3)))
        grain = patch(clumps, rng.integers(0, 1000, 2).tolist(), painted.depth.shape)
        rim = np.exp(-(((painted.depth - 0.93) / 0.09) ** 2))
        own = strength * np.maximum(0.75 + texture * grain + 0.2 * rim, 0.15)
        np.copyto(absorbed[painted.window], own.astype(np.float32), where=painted.won)
    return canvas.labels, absorbed


def _tissue(rng: Generator, options: SceneOptions) -> FloatArray:
    """Absorption of fibres and cytoplasm, with white gaps."""
    shape, size = options.shape_hw, options.object_size
    field = 0.5 + 0.18 * smooth_field(rng, shape, max(3, size * 1.5))
    # Fibres: noise stretched along x, then bent by sliding its columns along y.
    tall = (shape[0] + 2 * int(size * 2) + 2, shape[1])
    fibres = smooth_field(rng, tall, (max(1.2, size / 9), max(6, size * 1.3)))
    slide = smooth_field(rng, shape, max(8, size * 3)) * size * 0.8
    rows = np.arange(shape[0])[:, None] + int(size * 2)
    rows = np.clip(np.rint(rows + slide).astype(np.intp), 0, tall[0] - 1)
    field = field + rng.uniform(0.06, 0.2) * fibres[rows, np.arange(shape[1])[None, :]]
    field = field + 0.07 * smooth_field(rng, shape, max(1.2, size / 10))
    gaps = smooth_field(rng, shape, max(4, size * 2.2)) - rng.uniform(0.9, 2.2)
    open_tissue: FloatArray = field * (1 - np.clip(gaps * 4, 0, 0.96))
    return open_tissue.astype(np.float32)


def _smear(
    rng: Generator, points: NDArray[np.float64], options: SceneOptions
) -> FloatArray:
    """Absorption of the cytoplasm around each nucleus, on clean glass."""
    shape, size = options.shape_hw, options.object_size
    field = np.full(shape, 0.02, np.float32)
    canvas = LabelCanvas(shape)
    spread = float(rng.uniform(0.65, 1.3))
    grain = smooth_field(rng, shape, max(1.3, size / 8))
    for index, (y, x) in enumerate(points):
        dy, dx = rng.normal(0, 0.12 * size, 2)
        blob = Blob(
            float(y + dy),
            float(x + dx),
            size * spread * float(rng.uniform(0.8, 1.2)),
            float(rng.uniform(1, 1.5)),
            float(rng.uniform(0, np.pi)),
            random_waves(rng, (0.04, 0.06, 0.05, 0.04)),
        )
        painted = canvas.paint(blob, index + 1)
        if painted is not None:
            edge = np.clip((1.0 - painted.depth) * 8, 0, 1)
            own = edge * rng.uniform(0.15, 0.4) * (1 + 0.2 * grain[painted.window])
            field[painted.window] = np.maximum(field[painted.window], own)
    return field


def _coloured(
    rng: Generator, chromatin: FloatArray, cytoplasm: FloatArray, options: SceneOptions
) -> NDArray[np.uint8]:
    """White light through both stains, as a camera shows it."""
    dirt = specks(rng, options.shape_hw, 2, (0.6, 2.0))
    # Laboratories differ: from blue to purple, from pink to grey.
    dark = np.array(HAEMATOXYLIN) * rng.uniform(0.75, 1.25, 3) * rng.uniform(0.7, 1.3)
    pale = np.array(EOSIN) * rng.uniform(0.7, 1.3, 3) * rng.uniform(0.4, 1.1)
    if rng.random() < 0.35:
        pale = dark * rng.uniform(0.3, 0.7)
    light = rng.uniform(0.88, 0.98) * rng.uniform(0.96, 1.0, 3)
    lamp = shading(rng, options.shape_hw, float(rng.uniform(0, 0.15)))
    # Chromatin and cytoplasm are blurred together: the optics see one section.
    stains = np.stack([chromatin + 0.6 * dirt, cytoplasm * (chromatin == 0)])
    chromatin, cytoplasm = blurred(stains, max(0.5, options.blur))
    absorbed = chromatin[..., None] * dark.astype(np.float32) + (
        cytoplasm + 0.3 * chromatin
    )[..., None] * pale.astype(np.float32)
    seen = np.exp(-absorbed) * light.astype(np.float32) * lamp[..., None]
    grain = rng.standard_normal(seen.shape, dtype=np.float32)
    grain += rng.standard_normal(lamp.shape, dtype=np.float32)[..., None]
    seen = seen + grain * np.float32(0.002 + 0.04 * options.noise)
    shown: NDArray[np.uint8] = np.clip(np.rint(seen * 255), 0, 255).astype(np.uint8)
    return shown
