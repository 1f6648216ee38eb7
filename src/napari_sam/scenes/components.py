"""Keep a scene's promise that every label id is one connected object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label as connected_components

from napari_sam.errors import SceneError

SMALLEST_COMPONENT = 9  # pixels; less of an object at the border is not worth an id


def largest_components(
    labels: NDArray[np.integer], smallest: int = SMALLEST_COMPONENT
) -> NDArray[np.uint32]:
    """Only the largest connected component of each id, its id kept.

    Neighbours share a side, not a corner. Components under `smallest` pixels
    are lost.
    """
    # connectivity=1 and one call for all ids: those of different ids stay apart.
    components = connected_components(labels, background=0, connectivity=1)  # type: ignore[no-untyped-call]
    flat = components.ravel()
    areas = np.bincount(flat)
    owners = np.zeros(areas.size, np.uint32)
    owners[flat] = labels.ravel()
    order = np.lexsort((areas, owners))
    is_last = np.append(owners[order][1:] != owners[order][:-1], True)
    kept = order[is_last & (areas[order] >= smallest) & (owners[order] > 0)]
    lookup = np.zeros(areas.size, np.uint32)
    lookup[kept] = owners[kept]
    found: NDArray[np.uint32] = lookup[components]
    return found


def renumbered(labels: NDArray[np.integer]) -> NDArray[np.uint16]:
    """The same objects with ids 1 to n, in the order of their ids."""
    ids = np.unique(labels)
    ids = ids[ids > 0]
    if ids.size >= 2**16:
        raise SceneError(
            f"A scene holds up to {2**16 - 1} objects, and this one has {ids.size}. "
            "Choose a smaller scene or larger objects, or use a slide."
        )
    lookup = np.zeros(int(labels.max()) + 1, np.uint16)
    lookup[ids] = np.arange(1, ids.size + 1, dtype=np.uint16)
    found: NDArray[np.uint16] = lookup[labels]
    return found
