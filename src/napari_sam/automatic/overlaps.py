"""Which objects of two windows share pixels, where the windows overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.window.window_objects import WindowResult


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs of objects, one of each window, that share a pixel; n of them.

    Parameters
    ----------
    first_n, second_n
        The objects, counted from 0 in their window.
    shared_n
        Pixels that both have.
    first_common_n, second_common_n
        Pixels that each has where the two windows overlap.
    """

    first_n: NDArray[np.int64]
    second_n: NDArray[np.int64]
    shared_n: NDArray[np.int64]
    first_common_n: NDArray[np.int64]
    second_common_n: NDArray[np.int64]


def overlaps(first: WindowResult, second: WindowResult) -> Overlaps:
    """Compare what two windows that overlap have found in the part they share."""
    common = first.window.clip(second.window)
    ours = first.labels_hw[common.relative_to(first.window).slices]
    theirs = second.labels_hw[common.relative_to(second.window).slices]
    both = (ours > 0) & (theirs > 0)
    width = len(second.table) + 1
    codes, shared = np.unique(
        ours[both].astype(np.int64) * width + theirs[both], return_counts=True
    )
    a, b = np.divmod(codes, width)
    return Overlaps(
        a - 1,
        b - 1,
        shared,
        np.bincount(ours.ravel(), minlength=len(first.table) + 1)[a],
        np.bincount(theirs.ravel(), minlength=width)[b],
    )
