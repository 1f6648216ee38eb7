"""A small label store, and short ways to put objects into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore

GEOMETRY = LabelGeometry.of_shape("zyx", (3, 200, 150))
SMALL = LabelOptions(chunk_size=32, shard_size=64, coarsest_size=32)


def full(box: Box) -> NDArray[np.bool_]:
    return np.ones(box.shape, dtype=bool)


def add(store: LabelStore, box: Box, plane: int = 0, **options: Any) -> int:
    """Add a rectangle; its label id."""
    return store.add(full(box), box, (plane,), **options).label_id


def plane_of(store: LabelStore, index: int = 0) -> NDArray[np.uint32]:
    """All of one plane of level 0."""
    return store.read((index,), Box.of_shape(store.geometry.shape))


def listing(folder: Path) -> dict[str, bytes]:
    """What every file in a folder holds, locks left out."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}
