"""Windows of levels that are not stored: means of square blocks of a finer one.

A window of a coarse level may span the whole plane, so its blocks are summed up
region by region. Regions follow the chunks, which need not line up with the blocks:

    blocks  |-------|-------|-------|
    regions |---------|---------|----     a block may collect from several regions
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.images.levels import StoredLevel

REGION_SIDE = 2048
REGION_PIXELS = REGION_SIDE**2
"""Read at once, for each channel, unless one chunk is larger."""


def read_block_means(
    base: StoredLevel,
    plane: tuple[int, ...],
    channels: Sequence[int],
    box: Box,
    step: int,
) -> NDArray[Any]:
    """A window of the level whose pixels are means of step x step pixels of `base`.

    Blocks that stick out of the plane are means of the pixels they have. NaN and
    infinite pixels do not count; a block without any other is NaN.

    Parameters
    ----------
    base
        The stored level that is averaged.
    plane
        Index along the stack axes.
    channels
        Which to read.
    box
        In pixels of the coarser level, inside of it.
    step
        Side of a block, in pixels of `base`.

    Returns
    -------
    numpy.ndarray
        (channels, height, width) of the type of `base`, integers rounded; bool becomes
        float32, the part of a block that is true, 0..1.
    """
    sums_chw = np.zeros((len(channels), *box.shape))
    counts_chw = np.zeros((len(channels), *box.shape))
    y0, x0 = box.y0 * step, box.x0 * step
    area = Box(y0, x0, box.y1 * step, box.x1 * step).clip(Box.of_shape(base.shape))
    for region in regions(area, base):
        pixels_chw = base.read(plane, channels, region)
        rows = range(region.y0 // step - box.y0, (region.y1 - 1) // step + 1 - box.y0)
        columns = range(
            region.x0 // step - box.x0, (region.x1 - 1) // step + 1 - box.x0
        )
        target = (..., slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        cuts_y = [max(0, (r + box.y0) * step - region.y0) for r in rows]
        cuts_x = [max(0, (c + box.x0) * step - region.x0) for c in columns]
        if pixels_chw.dtype.kind == "f":
            finite_chw = np.isfinite(pixels_chw)
            counts_chw[target] += _block_sums(finite_chw, cuts_y, cuts_x)
            pixels_chw = np.where(finite_chw, pixels_chw, 0)
        else:
            counts_chw[target] += np.outer(
                np.diff([*cuts_y, region.shape[0]]), np.diff([*cuts_x, region.shape[1]])
            )
        sums_chw[target] += _block_sums(pixels_chw, cuts_y, cuts_x)
    return _means(sums_chw, counts_chw, np.dtype(base.array.dtype))


def regions(area: Box, level: StoredLevel) -> Iterator[Box]:
    """Cut an area along chunks into regions of at most 2048 x 2048 pixels.

    A chunk that is larger stays whole, since reading a part of it costs all of it.
    Arrays in memory have no chunks and are cut anyway.
    """
    if level.is_chunked:
        chunk_h, chunk_w = level.plane_chunks
        width = chunk_w * max(1, min(REGION_SIDE, REGION_PIXELS // chunk_h) // chunk_w)
        wide = min(width, area.shape[1])
        height = chunk_h * max(1, REGION_PIXELS // (wide * chunk_h))
    else:
        height = width = REGION_SIDE
    for y in range(area.y0 // height * height, area.y1, height):
        for x in range(area.x0 // width * width, area.x1, width):
            yield Box(y, x, y + height, x + width).clip(area)


def _block_sums(
    values_chw: NDArray[Any], cuts_y: Sequence[int], cuts_x: Sequence[int]
) -> NDArray[np.float64]:
    """Sum over blocks that start at the cuts, in float64; infinite beyond that."""
    with np.errstate(over="ignore"):
        rows_chw = np.add.reduceat(values_chw, cuts_y, axis=1, dtype=np.float64)
        sums_chw: NDArray[np.float64] = np.add.reduceat(rows_chw, cuts_x, axis=2)
    return sums_chw


def _means(
    sums_chw: NDArray[np.float64],
    counts_chw: NDArray[np.float64],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Divide, and return to the type of the pixels."""
    empty_chw = counts_chw == 0
    means_chw = sums_chw / np.where(empty_chw, 1, counts_chw)
    means_chw[empty_chw] = np.nan
    if dtype.kind == "b":
        return means_chw.astype(np.float32)
    if dtype.kind == "f":
        return means_chw.astype(dtype.newbyteorder("="))
    np.rint(means_chw, out=means_chw)
    if dtype.itemsize < 8:
        return means_chw.astype(dtype.newbyteorder("="))
    # The largest 64-bit integers round up to a float just beyond the type.
    info = np.iinfo(dtype)
    top = np.nextafter(float(info.max), 0)
    return np.clip(means_chw, info.min, top).astype(dtype.newbyteorder("="))
