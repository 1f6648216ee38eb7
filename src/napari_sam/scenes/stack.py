"""Three-dimensional scenes: nuclei and tissue, z from bottom to top.

Planes lie `Z_STEP` pixels apart, as they mostly do, so that a ball is flat in a stack;
the optics blur z more than y and x. `density` and `object_size` mean what they do in
2D. A nucleus is labelled in every plane that cuts it, however dim the plane above.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.errors import SceneError
from napari_sam.scenes.camera import exposed, shading
from napari_sam.scenes.components import largest_components, renumbered
from napari_sam.scenes.fields import (
    FloatArray,
    patch,
    smooth_field,
    texture_tile,
)
from napari_sam.scenes.membranes import membrane_light, tissue
from napari_sam.scenes.options import (
    Scene,
    SceneKind,
    SceneOptions,
)
from napari_sam.scenes.positions import lattice, scattered

Z_STEP = 2.0  # pixels
Z_BLUR = 2.5  # times the blur in y and x
DEEPEST_SHADE = 0.45  # of the light is lost on the way through the stack
SPACING = (Z_STEP, 1.0, 1.0)


def make_stack(options: SceneOptions, depth: int) -> Scene:
    """Draw `depth` planes of nuclei or membranes; the same call gives the same bytes.

    Raises
    ------
    SceneError
        Another kind, or no plane.
    """
    draw = {SceneKind.NUCLEI: _nuclei, SceneKind.MEMBRANES: _membranes}.get(
        SceneKind(options.kind)
    )
    if draw is None or depth < 1:
        raise SceneError(
            "A stack needs kind nuclei or membranes, and a depth of 1 plane or more; "
            f"got kind {options.kind} and depth {depth}."
        )
    rng = np.random.default_rng(options.seed)
    light, labels = draw(rng, (depth, *options.shape_hw), options)
    sigmas = (options.blur * Z_BLUR / Z_STEP, options.blur, options.blur)
    light = ndimage.gaussian_filter(light, sigmas, truncate=3.0)
    loss = 1 - DEEPEST_SHADE * np.arange(depth, dtype=np.float32) / depth
    lamp = shading(rng, options.shape_hw, float(rng.uniform(0, 0.4)))
    pixels = exposed(rng, light * loss[:, None, None] * lamp, options.noise)
    return Scene(pixels, renumbered(labels))


def _membranes(
    rng: Generator, shape: tuple[int, int, int], options: SceneOptions
) -> tuple[FloatArray, NDArray[np.uint32]]:
    # Holes are decided in the plane's terms; a stack of tissue is whole.
    owners = tissue(rng, shape, SPACING, replace(options, density=1.0))
    return membrane_light(rng, owners, SPACING, options), owners


def _nuclei(
    rng: Generator, shape: tuple[int, int, int], options: SceneOptions
) -> tuple[FloatArray, NDArray[np.uint32]]:
    size = options.object_size
    pitch = size * float(rng.uniform(0.95, 1.2))
    points = lattice(rng, shape, (pitch / Z_STEP, pitch, pitch), 0.3)
    points = scattered(rng, points, shape, 0.04 + 0.9 * options.density, 0.5)
    labels = np.zeros(shape, np.uint32)
    depths = np.ones(shape, np.float32)
    light = 0.03 + 0.01 * smooth_field(rng, shape, max(shape) / 4)
    tile = tuple(max(8, int(2 * size / step)) for step in SPACING)
    chromatin = texture_tile(rng, tile, [max(1.0, size / 10 / s) for s in SPACING])
    bumps = texture_tile(rng, tile, [max(1.5, size / 2.5 / s) for s in SPACING])
    for index, point in enumerate(points):
        axes = size / 2 * np.exp(np.clip(rng.normal(0, 0.14, 3), -0.3, 0.3))
        frame = (np.linalg.qr(rng.standard_normal((3, 3)))[0] / axes).T
        gain = float(np.exp(rng.normal(-0.5, 0.35)))
        corner = rng.integers(0, 1000, 3)
        window = _window(point, float(axes.max()) * 1.3, shape)
        if window is None:
            continue
        extent = [span.stop - span.start for span in window]
        depth = _ball(point, frame, window) * (
            1 + 0.07 * patch(bumps, corner.tolist(), extent)
        )
        won = (depth < 1) & (depth < depths[window])
        labels[window][won] = index + 1
        depths[window][won] = depth[won]
        texture = np.exp(0.18 * patch(chromatin, corner.tolist(), extent))
        glow = gain * texture * (0.7 + 0.3 * np.sqrt(np.maximum(1 - depth**2, 0)))
        light[window][won] = glow[won]
    return light, largest_components(labels)


def _window(
    point: NDArray[np.float64], reach: float, shape: tuple[int, int, int]
) -> tuple[slice, slice, slice] | None:
    """Pixels within `reach` (in pixels of y and x) of a point; None if none."""
    spans = []
    for centre, spacing, length in zip(point, SPACING, shape, strict=True):
        low = max(0, int(np.floor(centre - reach / spacing)))
        high = min(length, int(np.ceil(centre + reach / spacing)) + 1)
        if low >= high:
            return None
        spans.append(slice(low, high))
    return spans[0], spans[1], spans[2]


def _ball(
    point: NDArray[np.float64],
    frame: NDArray[np.float64],
    window: tuple[slice, slice, slice],
) -> FloatArray:
    """Depth in an ellipsoid whose axes, over their lengths, are the rows of `frame`."""
    z, y, x = (
        ((np.arange(span.start, span.stop) + 0.5 - centre) * spacing).astype(np.float32)
        for centre, spacing, span in zip(point, SPACING, window, strict=True)
    )
    squares: FloatArray = np.zeros((), np.float32)
    for row_z, row_y, row_x in frame.astype(np.float32):
        along = row_z * z[:, None, None] + row_y * y[:, None] + row_x * x
        squares = squares + along * along
    depth: FloatArray = np.sqrt(squares)
    return depth
