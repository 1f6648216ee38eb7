"""OME-Zarr metadata of labels, versions 0.4 (zarr format 2) and 0.5 (zarr format 3).

Axes and transforms are read and written where those of images are.

Levels are sampled, not averaged: pixel (i, j) of a level is pixel (i * f, j * f) of
level 0. So their first pixels coincide and no level needs a translation of its own.
No colours are written: a viewer that finds some hides every id that is not listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam.errors import ImageError, LabelError
from napari_sam.images.ome_zarr import (
    CoordinateTransform,
    Multiscale,
    group_attributes,
    ome_attributes,
    read_multiscale,
)
from napari_sam.labels.geometry import LabelGeometry

IDENTITY_KEY = "napari-sam"


@dataclass(frozen=True, slots=True)
class ZarrNode:
    """A group or an array of a zarr store on local disk."""

    zarr_format: int
    is_array: bool
    attributes: Mapping[str, Any]

    @property
    def ome(self) -> Mapping[str, Any]:
        """The OME-Zarr metadata, empty if there are none."""
        return ome_attributes(self.attributes)

    @property
    def version(self) -> str:
        """The OME-Zarr version that goes with the zarr format."""
        return "0.5" if self.zarr_format == 3 else "0.4"

    @property
    def identity(self) -> str | None:
        """What ties a label volume to its journal."""
        found = self.attributes.get(IDENTITY_KEY)
        return str(found.get("identity")) if isinstance(found, Mapping) else None

    @property
    def has_pyramid(self) -> bool:
        """Whether the metadata describe an image, or labels."""
        return bool(self.ome.get("multiscales"))


def read_node(folder: Path) -> ZarrNode | None:
    """Read what zarr keeps in this folder, None if it is no part of a zarr store."""
    try:
        if (folder / "zarr.json").is_file():
            node = read_json(folder / "zarr.json")
            is_array = node.get("node_type") == "array"
            return ZarrNode(3, is_array, node.get("attributes") or {})
        is_array = (folder / ".zarray").is_file()
        if not is_array and not (folder / ".zgroup").is_file():
            return None
        attributes = folder / ".zattrs"
        return ZarrNode(
            2, is_array, read_json(attributes) if attributes.is_file() else {}
        )
    except (ValueError, OSError) as error:
        raise LabelError(
            f"The zarr metadata in {folder} cannot be read ({error}). Repair or move "
            "the folder, or choose another folder for the labels."
        ) from error


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object from a file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name} holds no JSON object")
    return found


@dataclass(frozen=True, slots=True)
class LabelMetadata:
    """What the metadata of a label group say; sizes are in order of the axes."""

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
