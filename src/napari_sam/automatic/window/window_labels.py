"""The objects of a window as a label image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class WindowObjects:
    """The objects of a window.

    Parameters
    ----------
    labels_hw
        i + 1 where object i is seen, 0 where none is.
    scores_n
        0..1, the predicted IoU of each object.
    """

    labels_hw: NDArray[np.uint32]
    scores_n: NDArray[np.float32]


def numbered(
    labels_hw: NDArray[np.uint32], scores_n: NDArray[np.float32], least_area: float
) -> WindowObjects:
    """Number the objects that are still seen 1, 2, ...; slivers are background."""
    areas = np.bincount(labels_hw.ravel(), minlength=len(scores_n) + 1)
    seen = (areas > 0) & (areas >= least_area)
    seen[0] = False
    numbers = np.where(seen, np.cumsum(seen), 0).astype(np.uint32)
    scores = np.clip(scores_n[seen[1:]], 0, 1)
    return WindowObjects(numbers[labels_hw], scores)
