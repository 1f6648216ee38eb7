"""Fluorescent nuclei: bright on black, in clumps, some out of focus.

Every nucleus whose defocus blur has a deviation under `LABELLED_DEFOCUS` of its
diameter is labelled; one that is blurred more is haze, and belongs to the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.blobs import Blob, LabelCanvas, Painted, random_waves
from napari_sam.scenes.camera import exposed, shading, specks
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

LABELLED_DEFOCUS = 0.15  # of the diameter
DEFOCUS = (0.0, 0.07, 0.3)  # of the diameter: in focus, slightly out, far out
DEFOCUS_SHARES = (0.72, 0.18, 0.10)
MITOTIC_SHARE = 0.04


@dataclass(frozen=True, slots=True)
class Nucleus:
    """A blob, and how it glows."""

    blob: Blob
    gain: float  # brightness, 1 is usual
    defocus: int  # index into DEFOCUS
    texture_yx: tuple[int, int]  # where in the chromatin texture its centre is
    spots: tuple[tuple[float, float, float], ...]  # nucleoli: y, x, radius, in radii


@dataclass(frozen=True, slots=True)
class Specimen:
    """What all nuclei of a scene, or of all frames of a movie, share."""

    chromatin_hw: FloatArray
    contrast: float  # of the chromatin
    light_hw: FloatArray
    background_hw: FloatArray

    @classmethod
    def draw(cls, rng: Generator, options: SceneOptions) -> Specimen:
        """Draw the texture and the light."""
        tile = (max(64, int(options.object_size * 3)),) * 2
        fine = texture_tile(rng, tile, max(1.2, options.object_size / 14))
        coarse = texture_tile(rng, tile, max(1.5, options.object_size / 5))
        background = 0.02 + 0.06 * rng.random() * (
            1 + 0.4 * smooth_field(rng, options.shape_hw, max(options.shape_hw) / 4)
        )
        debris = specks(rng, options.shape_hw, 2.5, (0.7, 2.5))
        background += debris * rng.uniform(0.05, 0.5)
        return cls(
            0.6 * fine + 0.6 * coarse,
            float(rng.uniform(0.08, 0.3)),
            shading(rng, options.shape_hw, float(rng.uniform(0.0, 0.7))),
            background.astype(np.float32),
        )


def draw_nuclei(rng: Generator, options: SceneOptions) -> Scene:
    """Nuclei in clumps; crowded ones touch."""
    size = options.object_size
    points = lattice(rng, options.shape_hw, size * rng.uniform(0.95, 1.25), 0.33)
    share = 0.04 + 0.9 * options.density
    clumping = float(rng.uniform(0.2, 0.9))
    points = scattered(rng, points, options.shape_hw, share, clumping)
    spread = float(rng.uniform(0.06, 0.22))
    nuclei = [random_nucleus(rng, y, x, size, spread) for y, x in points]
    # The first lies well inside: no scene is without an object.
    nuclei[0] = replace(nuclei[0], defocus=0)
    return render(rng, nuclei, Specimen.draw(rng, options), options)


def random_nucleus(
    rng: Generator, y: float, x: float, size: float, spread: float
) -> Nucleus:
    """A nucleus of about `size` pixels across; sizes deviate by the share `spread`."""
    radius = size / 2 * float(np.exp(spread * np.clip(rng.standard_normal(), -2, 2)))
    aspect = 1 + abs(float(rng.normal(0.15, 0.25)))
    gain = float(np.exp(rng.normal(-0.5, 0.4)))
    if rng.random() < MITOTIC_SHARE:
        radius, aspect, gain = radius * 0.75, 2.1, gain * 1.5
    spots = tuple(
        (*rng.uniform(-0.5, 0.5, 2).tolist(), float(rng.uniform(0.08, 0.2)))
        for _ in range(rng.integers(0, 4))
    )
    return Nucleus(
        Blob(
            float(y),
            float(x),
            radius,
            min(aspect, 2.1),
            float(rng.uniform(0, np.pi)),
            random_waves(rng, (0.0, 0.05, 0.03, 0.015)),
        ),
        gain,
        int(rng.choice(len(DEFOCUS), p=DEFOCUS_SHARES)),
        (int(rng.integers(10**6)), int(rng.integers(10**6))),
        spots,
    )


def render(
    rng: Generator, nuclei: Sequence[Nucleus], specimen: Specimen, options: SceneOptions
) -> Scene:
    """Draw nuclei; their label ids are their indices, then compacted."""
    labels, light = light_of(nuclei, specimen, options)
    pixels = exposed(rng, light, options.noise)
    return Scene(pixels, renumbered(largest_components(labels)))


def light_of(
    nuclei: Sequence[Nucleus], specimen: Specimen, options: SceneOptions
) -> tuple[NDArray[np.uint32], FloatArray]:
    """Labels (1 + index in the sequence), and the light on the camera."""
    canvas = LabelCanvas(options.shape_hw)
    planes = np.zeros((len(DEFOCUS), *options.shape_hw), np.float32)
    for index, nucleus in enumerate(nuclei):
        is_labelled = DEFOCUS[nucleus.defocus] < LABELLED_DEFOCUS
        target = canvas if is_labelled else LabelCanvas(options.shape_hw)
        painted = target.paint(nucleus.blob, index + 1)
        if painted is not None:
            plane = planes[nucleus.defocus][painted.window]
            glow = _glow(nucleus, painted, specimen)
            # Nuclei that overlap are in one plane side by side, not one over the other.
            np.copyto(plane, glow, where=painted.won & (glow > 0))
    size = options.object_size
    light = sum(
        blurred(plane, float(np.hypot(options.blur, share * size)))
        for plane, share in zip(planes, DEFOCUS, strict=True)
        if plane.any()
    )
    return canvas.labels, (light + specimen.background_hw) * specimen.light_hw


def _glow(nucleus: Nucleus, painted: Painted, specimen: Specimen) -> FloatArray:
    blob, window = nucleus.blob, painted.window
    corner = [
        start.start - int(centre) + offset
        for start, centre, offset in zip(
            window, (blob.y, blob.x), nucleus.texture_yx, strict=True
        )
    ]
    texture = patch(specimen.chromatin_hw, corner, painted.depth.shape)
    dome = 0.65 + 0.35 * np.sqrt(np.maximum(1 - painted.depth**2, 0))
    glow = dome * np.exp(specimen.contrast * texture)
    if blob.radius > 5:
        y = (np.arange(window[0].start, window[0].stop) - blob.y) / blob.radius
        x = (np.arange(window[1].start, window[1].stop) - blob.x) / blob.radius
        for spot_y, spot_x, radius in nucleus.spots:
            r2 = (y[:, None] - spot_y) ** 2 + (x[None, :] - spot_x) ** 2
            glow = glow * (1 - 0.45 * np.exp(-0.5 * r2 / radius**2))
    lit: FloatArray = (nucleus.gain * glow).astype(np.float32)
    return lit
