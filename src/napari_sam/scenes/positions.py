"""Where objects go: a lattice, jittered and thinned.

A lattice keeps neighbours a little apart without comparing every pair; thinning it
with a smooth field leaves the clumps and clearings that real samples have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from napari_sam.scenes.fields import smooth_field


def lattice(
    rng: Generator, shape: Sequence[int], pitch: float | Sequence[float], jitter: float
) -> NDArray[np.float64]:
    """Points (n, axes) about `pitch` apart that cover `shape` and one pitch around it.

    Rows are staggered; `jitter` is in pitches.
    """
    pitches = (
        [float(pitch)] * len(shape) if isinstance(pitch, float | int) else list(pitch)
    )
    counts = [int(n / each) + 3 for n, each in zip(shape, pitches, strict=True)]
    cells = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1)
    points = cells.astype(np.float64) - 1.0 + rng.random(len(shape))
    points[..., -1] += 0.5 * (cells[..., -2] % 2)
    points += rng.uniform(-jitter, jitter, points.shape)
    flat: NDArray[np.float64] = (points * pitches).reshape(-1, len(shape))
    return flat


def scattered(
    rng: Generator,
    points: NDArray[np.float64],
    shape: Sequence[int],
    share: float,
    clumping: float,
) -> NDArray[np.float64]:
    """About `share` of the points, one of them well inside `shape` and listed first.

    `clumping` 0 takes them evenly, 1 in clumps.
    """
    middle = np.array(shape) / 2
    central = int(np.argmin(((points - middle) ** 2).sum(axis=1)))
    offset = middle - points[central]
    points = points + np.where(np.abs(offset) > np.array(shape) / 5, offset, 0.0)
    low = points.min(axis=0)
    spans = np.ptp(points, axis=0) + 1.0
    cells = 24
    field = smooth_field(rng, [cells] * points.shape[1], cells / 6)
    where = ((points - low) / spans * cells).astype(np.intp)
    taste = rng.random(len(points)) * (1 - clumping)
    taste += clumping * 0.5 * (1 + np.clip(field[tuple(where.T)], -1.5, 1.5) / 1.5)
    taste[central] = -1.0
    count = max(1, round(share * len(points)))
    return points[np.argsort(taste, kind="stable")[:count]]
