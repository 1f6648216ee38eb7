"""The final labels of any part of a plane, from the windows that show it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.piece import Piece
from napari_sam.automatic.stitching import Assignment
from napari_sam.geometry import Box
from napari_sam.masks import Mask
from napari_sam.tiling.window_grid import Cell


def paint(
    box: Box, pieces: Mapping[Cell, Piece], assignment: Assignment
) -> NDArray[np.uint32]:
    """Draw the objects of a box, large ones first.

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
    parts: dict[int, list[tuple[Cell, int]]] = {}
    for cell, piece in pieces.items():
        if not piece.window.intersects(box):
            continue
        for index, label_id in enumerate(assignment.ids_of(cell).tolist()):
            if label_id:
                parts.setdefault(label_id, []).append((cell, index))
    labels_hw = np.zeros(box.shape, dtype=np.uint32)
    for label_id in sorted(parts, key=lambda i: assignment.order_n[i - 1]):
        cells = [cell for cell, _ in parts[label_id]]
        for cell, index in parts[label_id]:
            others = [pieces[other].core for other in cells if other != cell]
            _draw(labels_hw, box, pieces[cell], index, label_id, others)
    return labels_hw


def _draw(
    labels_hw: NDArray[np.uint32],
    box: Box,
    piece: Piece,
    index: int,
    label_id: int,
    others: list[Box],
) -> None:
    """Draw an object, but for what windows with another part of it own."""
    bounds = Box(*piece.table.boxes_n4[index].tolist())
    if not bounds.intersects(box):
        return
    part = bounds.clip(box)
    mask: Mask = piece.labels_hw[part.relative_to(piece.window).slices] == index + 1
    for core in others:
        if core.intersects(part):
            mask[core.clip(part).relative_to(part).slices] = False
    labels_hw[part.relative_to(box).slices][mask] = label_id
