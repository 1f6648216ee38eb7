"""The final labels of any part of a plane, from the windows that show it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.seams.stitching import Assignment
from napari_sam.automatic.window.window_objects import WindowResult
from napari_sam.geometry import Box
from napari_sam.masks import Mask
from napari_sam.predictor.window_grid import Cell


def paint(
    box: Box, pieces: Mapping[Cell, WindowResult], assignment: Assignment
) -> NDArray[np.uint32]:
    """Draw the objects of a box, in the order of the assignment.

    Parameters
    ----------
    box
        In pixels of the level.
    pieces
        What was found in the windows that share a pixel with the box; others do no
        harm.
    assignment
        Which ids the objects of all windows have.

    Returns
    -------
    (height, width) of ids, 0 where there is no object.
    """
    drawn = [
        (assignment.order_n[label_id - 1], label_id, piece, index)
        for cell, piece in pieces.items()
        if piece.window.intersects(box)
        for index, label_id in enumerate(assignment.ids_of(cell).tolist())
        if label_id
    ]
    labels_hw = np.zeros(box.shape, dtype=np.uint32)
    # Several windows may draw an id: together, so their order says nothing.
    for _, label_id, piece, index in sorted(drawn, key=lambda part: part[0]):
        _draw(labels_hw, box, piece, index, label_id)
    return labels_hw


def _draw(
    labels_hw: NDArray[np.uint32],
    box: Box,
    piece: WindowResult,
    index: int,
    label_id: int,
) -> None:
    """Draw what a window sees of an object."""
    bounds = Box(*piece.table.boxes_n4[index].tolist())
    if not bounds.intersects(box):
        return
    part = bounds.clip(box)
    mask: Mask = piece.labels_hw[part.relative_to(piece.window).slices] == index + 1
    labels_hw[part.relative_to(box).slices][mask] = label_id
