"""What the instance decoder's maps should be, and how far off they are.

Heat flows out of each object's middle for a while and stays in the object; uphill is
the way inward. Such directions turn smoothly around the middle of any shape, where
those to the nearest border jump across a middle line. They are what Cellpose learns
("Cellpose: a generalist algorithm for cellular segmentation", 2021).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.instance_decoder import MAP_STRIDE, MAPS

DIRECTION_WEIGHT = 2.5
"""Of the squared error of a direction, compared with the cross entropy of object."""

LONGEST_FLOW = 160  # steps
NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))


def map_targets(labels_hw: NDArray[np.int32]) -> NDArray[np.float32]:
    """Object or not, and the inward directions (y, x): (3, h / 2, w / 2)."""
    # With a border of background every pixel of an object has eight neighbours.
    labels = np.pad(labels_hw[1::MAP_STRIDE, 1::MAP_STRIDE], 1)
    maps = np.zeros((MAPS, *labels.shape), dtype=np.float32)
    maps[0] = labels > 0
    places = np.flatnonzero(labels)
    if places.size:
        ids = labels.ravel()[places]
        neighbours_n9 = _own_neighbours(labels, places)
        heat = _heat(labels, places, neighbours_n9)
        warmth = np.log1p(heat)
        around = np.where(
            neighbours_n9 < ids.size, np.append(warmth, 0)[neighbours_n9], 0
        )
        slopes = np.stack([around[:, 7] - around[:, 1], around[:, 5] - around[:, 3]])
        lengths = np.maximum(np.hypot(*slopes), np.finfo(np.float64).tiny)
        maps.reshape(MAPS, -1)[1:, places] = slopes / lengths
    return np.ascontiguousarray(maps[:, 1:-1, 1:-1])


def map_loss(predicted_bchw: Tensor, target_bchw: Tensor) -> Tensor:
    """Cross entropy of object, and the squared error of directions on objects."""
    inside = target_bchw[:, :1]
    where = F.binary_cross_entropy_with_logits(predicted_bchw[:, :1], inside)
    off = (predicted_bchw[:, 1:] - target_bchw[:, 1:]).square() * inside
    return where + DIRECTION_WEIGHT * off.sum() / (2 * inside.sum()).clamp(min=1)


def _own_neighbours(
    labels: NDArray[np.int32], places: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Which of the n pixels are a pixel's eight neighbours and itself, (n, 9).

    Those of other objects and of none are n.
    """
    flat, width = labels.ravel(), labels.shape[1]
    numbers = np.full(flat.size, places.size)
    numbers[places] = np.arange(places.size)
    steps = np.array([dy * width + dx for dy, dx in NEIGHBOURS])
    beside = places[:, None] + steps
    is_own = flat[beside] == flat[places][:, None]
    own: NDArray[np.intp] = np.where(is_own, numbers[beside], places.size)
    return own


def _heat(
    labels: NDArray[np.int32],
    places: NDArray[np.intp],
    neighbours_n9: NDArray[np.intp],
) -> NDArray[np.float64]:
    """What a source in each object's middle has spread in it, (n,)."""
    count = places.size
    rows, columns = np.nonzero(neighbours_n9 < count)
    targets = neighbours_n9[rows, columns]
    shares = np.full(rows.size, 1 / len(NEIGHBOURS))
    spread = sparse.csr_matrix((shares, (rows, targets)), shape=(count, count))
    sources = _middles(labels, places)
    boxes = [x for x in ndimage.find_objects(labels) if x is not None]
    extent = max(sum(span.stop - span.start for span in box) for box in boxes)
    heat = np.zeros(count)
    for _ in range(min(2 * extent, LONGEST_FLOW)):
        heat[sources] += 1
        heat = spread @ heat
    return heat


def _middles(labels: NDArray[np.int32], places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Which of the n pixels are each object's nearest to its centre of mass."""
    ids = labels.ravel()[places]
    rows, columns = np.divmod(places, labels.shape[1])
    counts = np.maximum(np.bincount(ids), 1)
    y, x = (np.bincount(ids, along) / counts for along in (rows, columns))
    apart = (rows - y[ids]) ** 2 + (columns - x[ids]) ** 2
    order = np.lexsort((apart, ids))
    _, first = np.unique(ids[order], return_index=True)
    nearest: NDArray[np.intp] = order[first]
    return nearest
