"""The objects of one window, with what stitching needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.automatic.window.window_labels import WindowObjects
from napari_sam.geometry import Box

Labels = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class WindowTable:
    """The n objects of a window, without their pixels.

    Parameters
    ----------
    scores_n
        0..1, the predicted IoUs.
    areas_n
        Pixels in the window.
    core_areas_n
        Pixels in the core.
    boxes_n4
        y0, x0, y1, x1 in pixels of the level.
    is_cut_n
        Whether an object touches a border of the window that is none of the plane: it
        may go on there.
    """

    scores_n: NDArray[np.float32]
    areas_n: NDArray[np.int64]
    core_areas_n: NDArray[np.int64]
    boxes_n4: NDArray[np.int64]
    is_cut_n: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.scores_n)


@dataclass(frozen=True, slots=True, eq=False)
class WindowResult:
    """The objects of one window of a run.

    Parameters
    ----------
    window, core
        What the model got, and what the window owns, in pixels of the level.
    labels_hw
        i + 1 where object i is, over the window.
    table
        What the objects are like.
    """

    window: Box
    core: Box
    labels_hw: Labels
    table: WindowTable

    @classmethod
    def of(
        cls, window: Box, core: Box, bounds: Box, found: WindowObjects
    ) -> WindowResult:
        """The objects of a window of the plane `bounds`."""
        labels_hw = found.labels_hw.astype(np.uint16)
        count = len(found.scores_n)
        slices = ndimage.find_objects(labels_hw, max_label=count)
        boxes_n4 = np.array(
            [(rows.start, cols.start, rows.stop, cols.stop) for rows, cols in slices],
            dtype=np.int64,
        ).reshape(-1, 4)
        table = WindowTable(
            np.asarray(found.scores_n, dtype=np.float32),
            _areas(labels_hw, count),
            _areas(labels_hw[core.relative_to(window).slices], count),
            boxes_n4 + np.tile([window.y0, window.x0], 2),
            _is_cut(labels_hw, window, bounds, count),
        )
        return cls(window, core, labels_hw, table)

    @property
    def scores_n(self) -> NDArray[np.float32]:
        """As in the table."""
        return self.table.scores_n

    @property
    def areas_n(self) -> NDArray[np.int64]:
        """As in the table."""
        return self.table.areas_n

    @property
    def core_areas_n(self) -> NDArray[np.int64]:
        """As in the table."""
        return self.table.core_areas_n


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
    """Compare the objects of two windows that overlap in the part they share."""
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


def _areas(labels_hw: Labels, count: int) -> NDArray[np.int64]:
    return np.bincount(labels_hw.ravel(), minlength=count + 1)[1:]


def _is_cut(
    labels_hw: Labels, window: Box, bounds: Box, count: int
) -> NDArray[np.bool_]:
    is_cut = np.zeros(count + 1, dtype=bool)
    for line, is_inner in (
        (labels_hw[0], window.y0 > bounds.y0),
        (labels_hw[-1], window.y1 < bounds.y1),
        (labels_hw[:, 0], window.x0 > bounds.x0),
        (labels_hw[:, -1], window.x1 < bounds.x1),
    ):
        if is_inner:
            is_cut[line] = True
    return is_cut[1:]
