"""Where an automatic run clicks: grids of points, on a window and on crops of it.

A crop shows a part of the image larger. Layer 0 is the whole image; layer k has
2^k x 2^k crops that overlap, so that an object that one crop's edge cuts lies
whole in its neighbour:

    layer 0        layer 1
    +---------+    +-----+===+-----+
    |         |    |     |   |     |     overlap: a share of the short side, halved
    |         |    +=====+===+=====+     from layer to layer
    |         |    |     |   |     |
    +---------+    +-----+===+-----+
"""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from napari_sam.geometry import Box


def point_grid(rows: int, columns: int) -> NDArray[np.float64]:
    """(n, 2) x, y at the centres of rows x columns equal cells, as shares of 0..1."""
    x, y = (np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def layer_grids(
    points_per_side: int, layers: int, downscale_factor: int
) -> list[NDArray[np.float64]]:
    """A grid for the whole image and one for the crops of each layer."""
    sides = [int(points_per_side / downscale_factor**i) for i in range(layers + 1)]
    return [point_grid(side, side) for side in sides]


def crop_boxes(
    shape: tuple[int, int], layers: int, overlap_ratio: float
) -> list[tuple[Box, int]]:
    """The whole image and every crop, each with its layer.

    Parameters
    ----------
    shape
        (height, width) of the image.
    layers
        How many layers of crops, 0 for none.
    overlap_ratio
        Overlap of the crops of layer 1, as a share of the image's short side.
    """
    height, width = shape
    boxes = [(Box.of_shape(shape), 0)]
    for layer in range(1, layers + 1):
        count = 2**layer
        overlap = int(overlap_ratio * min(shape) * 2 / count)
        side_y = ceil((overlap * (count - 1) + height) / count)
        side_x = ceil((overlap * (count - 1) + width) / count)
        boxes += [
            (Box(y, x, min(y + side_y, height), min(x + side_x, width)), layer)
            for x in ((side_x - overlap) * i for i in range(count))
            for y in ((side_y - overlap) * i for i in range(count))
        ]
    return boxes
