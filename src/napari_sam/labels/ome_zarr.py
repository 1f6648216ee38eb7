"""OME-Zarr metadata of labels, versions 0.4 (zarr format 2) and 0.5 (zarr format 3).

Axes and transforms are read and written where those of images are.

Levels are sampled, not averaged: pixel (i, j) of a level is pixel (i * f, j * f) of
level 0. So their first pixels coincide and no level needs a translation of its own.
No colours are written: a viewer that finds some hides every id that is not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam.errors import ImageError, LabelError
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.ome_zarr import (
    CoordinateTransform,
    Multiscale,
    group_attributes,
    read_multiscale,
)
from napari_sam.zarr_nodes import ZarrNode


@dataclass(frozen=True, slots=True)
class LabelMetadata:
    """The metadata of a label group; sizes are in order of the axes."""

    version: str
    axes: str
    units: tuple[str | None, ...]
    paths: tuple[str, ...]  # of the levels, finest first
    scales: tuple[tuple[float, ...], ...]  # per level
    translation: tuple[float, ...]  # of level 0
    identity: str | None  # ties the volume to its journal

    @classmethod
    def of(cls, node: ZarrNode, folder: Path) -> LabelMetadata:
        """Read the metadata; a LabelError if they are not of a label volume."""
        try:
            multiscale = read_multiscale(node.attributes, str(folder))
        except ImageError as error:
            raise LabelError(
                f"{folder} needs OME-Zarr metadata of a label volume. {error}"
            ) from error
        if multiscale is None or multiscale.axes is None:
            missing = "multiscales" if multiscale is None else "axes"
            raise LabelError(
                f"{folder} needs OME-Zarr 0.4 or 0.5 metadata of a label volume, which "
                f"lack {missing!r}. Choose another folder for the labels."
            )
        count = len(multiscale.axes)
        unscaled = CoordinateTransform((1.0,) * count, (0.0,) * count)
        transforms = [transform or unscaled for transform in multiscale.transforms]
        return cls(
            node.version,
            multiscale.axes,
            multiscale.units,
            multiscale.paths,
            tuple(transform.scale for transform in transforms),
            transforms[0].translation,
            node.identity,
        )


def label_attributes(
    geometry: LabelGeometry, name: str, version: str, level_count: int, *, inside: bool
) -> dict[str, Any]:
    """Attributes of a label group.

    Parameters
    ----------
    geometry
        Axes, pixel sizes and position of level 0.
    name
        What viewers show.
    version
        "0.4" or "0.5".
    level_count
        Number of levels, named "0", "1", ...; each halves y and x.
    inside
        Whether the group is labels/NAME of its image, which it then points at.
    """
    multiscale = Multiscale(
        paths=tuple(str(level) for level in range(level_count)),
        axes=geometry.axes,
        transforms=tuple(transform_at(geometry, level) for level in range(level_count)),
        units=geometry.units,
        name=name,
    )
    label: dict[str, Any] = {"version": version}
    if inside:
        label["source"] = {"image": "../../"}
    return group_attributes(multiscale, version, {"image-label": label})


def transform_at(geometry: LabelGeometry, level: int) -> CoordinateTransform:
    """Where the pixels of a level lie."""
    stack, plane = geometry.pixel_size[:-2], geometry.pixel_size[-2:]
    scale = (*stack, *(size * 2**level for size in plane))
    return CoordinateTransform(scale, geometry.translation)
