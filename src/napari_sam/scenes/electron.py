"""Electron micrographs of nerve: axons in myelin among thinner fibres.

The inside of every axon is labelled, with and without myelin; membranes, myelin and
the ground between are background. `object_size` is the diameter of an axon in myelin;
the fibres without it have about half of that. Two kinds: transmission, where myelin is
dark and axons are pale, and scanning, where it is the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.scenes.blobs import Blob, LabelCanvas, random_waves
from napari_sam.scenes.camera import photographed, shading
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import FloatArray, blurred, smooth_field
from napari_sam.scenes.options import Scene, SceneOptions
from napari_sam.scenes.positions import lattice, scattered
from napari_sam.scenes.voronoi import territories, wall_distance

GROUND_SHARE = 0.15  # thin fibres that are glia and ground substance, not labelled


@dataclass(frozen=True, slots=True)
class _Nerve:
    """A cross-section before it is drawn."""

    labels: NDArray[np.uint32]
    is_myelin: NDArray[np.bool_]
    inward: FloatArray  # distance of an inner pixel to its membrane, in pixels
    outward: FloatArray  # distance of a myelin pixel to the axon, in pixels
    membrane: float  # thickness of one, in pixels


def draw_electron(rng: Generator, options: SceneOptions) -> Scene:
    """A cross-section of a nerve."""
    nerve = _nerve(rng, options)
    grey = _transmission(rng, nerve, options)
    if rng.random() < 0.4:
        grey = np.float32(0.95) - grey
    grey = blurred(grey, options.blur * 0.6)
    grey = grey * shading(rng, options.shape_hw, float(rng.uniform(0, 0.15)))
    pixels = photographed(rng, grey, options.noise)
    return Scene(pixels, renumbered(nerve.labels))


def _nerve(rng: Generator, options: SceneOptions) -> _Nerve:
    size, shape = options.object_size, options.shape_hw
    axons, myelin, outward = _axons(rng, options)
    membrane = max(1.0, size * 0.02)
    pitch = max(9.0, size * float(rng.uniform(0.4, 0.6)))
    points = lattice(rng, shape, pitch, 0.42)
    fibres = territories(rng, points, shape, (1.0, 1.0), 0.05 * pitch)
    first = int(axons.max()) + 1
    is_ground = rng.random(len(points) + 1) < GROUND_SHARE
    fibres = np.where(is_ground[fibres], 0, fibres)
    owners = np.where(myelin, first, np.where(axons > 0, axons, fibres + first))
    inward = wall_distance(owners)
    labels = np.where(axons > 0, axons, fibres + np.uint32(first))
    # Thin fibres are rounder than polygons: shrink by more, then grow back.
    is_core = (axons > 0) | ((inward > membrane + pitch * 0.11) & (labels > first))
    near = ndimage.distance_transform_edt(~is_core) < pitch * 0.11
    is_inside = near & ~myelin & (inward > membrane) & (labels != first)
    is_inside |= axons > 0
    labels = np.where(is_inside, labels, 0)
    whole = largest_components(labels, smallest=12)
    return _Nerve(whole, myelin, inward, outward, membrane)


def _axons(
    rng: Generator, options: SceneOptions
) -> tuple[NDArray[np.uint32], NDArray[np.bool_], FloatArray]:
    """Axons (ids), whether a pixel is their myelin, and its distance to the axon."""
    size, shape = options.object_size, options.shape_hw
    points = lattice(rng, shape, size * 1.45, 0.3)
    share = 0.15 + 0.75 * options.density
    points = scattered(rng, points, shape, share, 0.4)
    canvas = LabelCanvas(shape)
    sheath = np.zeros(len(points) + 1, np.float32)
    for index, (y, x) in enumerate(points):
        radius = size / 2 * float(np.exp(np.clip(rng.normal(-0.08, 0.25), -0.6, 0.4)))
        blob = Blob(
            float(y),
            float(x),
            radius,
            1 + float(rng.gamma(2, 0.12)),
            float(rng.uniform(0, np.pi)),
            random_waves(rng, (0.03, 0.07, 0.05, 0.03, 0.02)),
        )
        sheath[index + 1] = radius * rng.uniform(0.22, 0.42)
        canvas.paint(blob, index + 1)
    axons = canvas.labels
    # Axons that touch would share no myelin: each gives way by a membrane's width.
    axons = np.where(wall_distance(axons) < max(1.0, size * 0.04), 0, axons)
    axons = largest_components(axons, smallest=12)
    if not axons.any():
        empty = np.zeros(shape, bool)
        return axons, empty, np.zeros(shape, np.float32)
    outward, nearest = ndimage.distance_transform_edt(axons == 0, return_indices=True)
    owner = axons[tuple(nearest)]
    thickness = sheath[owner] * (1 + 0.15 * smooth_field(rng, shape, max(2, size / 3)))
    myelin = (axons == 0) & (outward < np.maximum(thickness, 1.5))
    return axons, myelin, outward.astype(np.float32)


def _transmission(rng: Generator, nerve: _Nerve, options: SceneOptions) -> FloatArray:
    """Grey, 0 to 1: pale insides with organelles, dark membranes and myelin."""
    size, shape = options.object_size, options.shape_hw
    levels = rng.normal(0.78, 0.045, int(nerve.labels.max()) + 1).astype(np.float32)
    levels[0] = rng.uniform(0.45, 0.62)
    grey = levels[nerve.labels]
    cytosol = smooth_field(rng, shape, max(1.2, size / 40))
    grey = grey + float(rng.uniform(0.03, 0.07)) * cytosol
    grey -= _organelles(rng, nerve, size)
    edge = np.exp(-0.5 * (nerve.inward / max(0.8, nerve.membrane * 0.7)) ** 2)
    grey -= 0.45 * edge * (1 + 0.15 * smooth_field(rng, shape, max(1.5, size / 12)))
    # Myelin is wound: faint rings as wide as a wrap, more than a pixel each.
    rings = np.sin(nerve.outward * (2 * np.pi / max(2.5, size / 22)))
    patchy = smooth_field(rng, shape, max(1.5, size / 15))
    myelin = 0.2 + 0.03 * rings + 0.04 * patchy
    grey = np.where(nerve.is_myelin, myelin, grey)
    return np.clip(grey, 0.03, 0.97).astype(np.float32)


def _organelles(rng: Generator, nerve: _Nerve, size: float) -> FloatArray:
    """Mitochondria (grey, dark rim, folds) and vesicles: what they take off."""
    shape = nerve.labels.shape
    taken = np.zeros(shape, np.float32)
    canvas = LabelCanvas((shape[0], shape[1]))
    room = (nerve.inward > size * 0.09) & (nerve.labels > 0)
    positions = np.argwhere(room)
    if len(positions) and size >= 16:
        count = rng.poisson(1.2 * len(positions) / (0.35 * size * size)) + 1
        for index, (y, x) in enumerate(
            positions[rng.integers(0, len(positions), count)]
        ):
            blob = Blob(
                float(y),
                float(x),
                size * float(rng.uniform(0.05, 0.085)),
                float(rng.uniform(1, 3)),
                float(rng.uniform(0, np.pi)),
                random_waves(rng, (0.06, 0.05)),
            )
            painted = canvas.paint(blob, index + 1)
            if painted is not None:
                rim = np.exp(-(((painted.depth - 0.85) / 0.2) ** 2))
                folds = 0.06 * np.sin(painted.depth * 9)
                own = np.where(painted.won, 0.16 + 0.22 * rim + folds, 0)
                window = taken[painted.window]
                np.maximum(window, own.astype(np.float32), out=window)
    dots = np.maximum(smooth_field(rng, shape, max(1.3, size / 30)) - 2.0, 0)
    inside = np.where(nerve.labels > 0, taken + 0.22 * dots, 0)
    return inside.astype(np.float32)
