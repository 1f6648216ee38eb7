"""Everything in one window from its maps: no clicks, no masks, one pass.

What a click on a grid finds has to be compared with all that other clicks find; an
instance decoder's objects share no pixel, so that only specks are left to be dropped.
"""

from __future__ import annotations

import numpy as np

from napari_sam.automatic.window.window_labels import WindowObjects, numbered
from napari_sam.model import InstanceMaps, find_instances


def instances_in(maps: InstanceMaps, least_area: float) -> WindowObjects:
    """The objects that a window's maps show, those of at least so many pixels.

    The score of an object is how sure the maps are of its pixels, on average.
    """
    labels = find_instances(maps)
    count = int(labels.max(initial=0))
    inside = maps.maps_3hw[0].astype(np.float32)
    rows, columns = (
        np.minimum((np.arange(n) + 0.5) * m / n, m - 1).astype(np.intp)
        for n, m in zip(labels.shape, inside.shape, strict=True)
    )
    sure = inside[np.ix_(rows, columns)]
    # In a window that is shown enlarged, a speck of the maps may have no pixel.
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    sums = np.bincount(labels.ravel(), sure.ravel(), count + 1)[1:]
    scores = (sums / np.maximum(areas, 1)).astype(np.float32)
    return numbered(labels.astype(np.uint32), scores, least_area)
