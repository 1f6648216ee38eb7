"""Save a labels layer as OME-Zarr labels, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.axes import SPARE_LETTERS
from napari_sam.errors import LabelError
from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore
from napari_sam.napari_plugin.sources import labelled_axes

BLOCK = 2048
"""Side of what is held in memory at once, in pixels."""


def write_labels(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a labels layer into a label volume of its own; an older one is replaced.

    Parameters
    ----------
    path
        Its folder, such as "cells.labels.ome.zarr".
    data
        Of the layer: an array, or a list of them, of which the finest is written.
    attributes
        Of the layer, as napari gives them.

    Raises
    ------
    LabelError
        Something else is there, or an id does not fit into 32 bits.
    """
    finest = data[0] if attributes.get("multiscale") or _is_list(data) else data
    geometry = geometry_of(tuple(finest.shape), attributes)
    options = LabelOptions(overwrite=True)
    with LabelStore.open(path, geometry, options=options) as store:
        for plane in np.ndindex(*geometry.stack_shape):
            for box in _blocks(geometry.shape):
                _write_block(store, finest, plane, box)
    return [path]


def geometry_of(shape: tuple[int, ...], attributes: dict[str, Any]) -> LabelGeometry:
    """Axes, scale and position of a layer; axes that say nothing get letters.

    OME-Zarr knows no rotation, shear or affine: those stay behind.
    """
    ndim = len(shape)
    if ndim < 2:
        raise LabelError(f"Labels need axes y and x, got an array of shape {shape}.")
    letters = labelled_axes(attributes.get("axis_labels") or ())
    if letters is None or not letters.endswith("yx") or "c" in letters:
        letters = SPARE_LETTERS[: ndim - 2][::-1] + "yx"
    height, width = shape[-2:]
    return LabelGeometry(
        letters,
        shape[:-2],
        (height, width),
        tuple(float(n) for n in attributes.get("scale", (1.0,) * ndim)),
        tuple(_unit(unit) for unit in attributes.get("units") or (None,) * ndim),
        tuple(float(n) for n in attributes.get("translate", (0.0,) * ndim)),
    )


def _write_block(
    store: LabelStore, finest: Any, plane: Sequence[int], box: Box
) -> None:
    ids: NDArray[Any] = np.asarray(finest[(*plane, *box.slices)])
    if not ids.any():
        return
    if ids.dtype == np.bool_:
        ids = ids.astype(np.uint32)
    store.paint(ids, box, plane)


def _blocks(shape: tuple[int, int]) -> Iterator[Box]:
    whole = Box.of_shape(shape)
    corners = product(range(0, shape[0], BLOCK), range(0, shape[1], BLOCK))
    return (Box(y, x, y + BLOCK, x + BLOCK).clip(whole) for y, x in corners)


def _is_list(data: Any) -> bool:
    return isinstance(data, Sequence)


def _unit(unit: object) -> str | None:
    """A unit's name as OME-Zarr spells it; napari's "pixel" is none."""
    name = str(unit) if unit is not None else ""
    return None if name in {"", "pixel", "1 pixel"} else name
