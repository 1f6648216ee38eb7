"""OME-Zarr metadata of labels, versions 0.4 (zarr format 2) and 0.5 (zarr format 3).

Levels are sampled, not averaged: pixel (i, j) of a level is pixel (i * f, j * f) of
level 0. So their first pixels coincide and no level needs a translation of its own.
No colours are written: a viewer that finds some hides every id that is not listed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam.errors import LabelError
from napari_sam.labels.geometry import LabelGeometry

ZARR_FORMATS = {"0.4": 2, "0.5": 3}
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
        ome = self.attributes.get("ome", {}) if self.zarr_format == 3 else None
        return self.attributes if not isinstance(ome, Mapping) else ome

    @property
    def identity(self) -> str | None:
        """What ties a label volume to its journal."""
        found = self.attributes.get(IDENTITY_KEY)
        return str(found.get("identity")) if isinstance(found, Mapping) else None

    @property
    def multiscale(self) -> Mapping[str, Any] | None:
        """The first pyramid that the metadata describe."""
        found = self.ome.get("multiscales")
        if isinstance(found, Sequence) and found and isinstance(found[0], Mapping):
            return found[0]
        return None


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
            "the folder, or choose another place for the labels."
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
        """Read metadata of version 0.4 or 0.5; a LabelError if they are not."""
        multiscale = node.multiscale
        version = "0.5" if node.zarr_format == 3 else "0.4"
        try:
            if multiscale is None:
                raise KeyError("multiscales")
            axes = multiscale["axes"]
            datasets = multiscale["datasets"]
            steps = [dataset["coordinateTransformations"] for dataset in datasets]
            scales = tuple(step_of(level, "scale", len(axes), 1.0) for level in steps)
            return cls(
                version,
                "".join(axis["name"] for axis in axes),
                tuple(axis.get("unit") for axis in axes),
                tuple(dataset["path"] for dataset in datasets),
                scales,
                step_of(steps[0], "translation", len(axes), 0.0),
                node.identity,
            )
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise LabelError(
                f"{folder} needs OME-Zarr 0.4 or 0.5 metadata of a label volume, which "
                f"lack or spoil {error}. Choose another place for the labels."
            ) from error


def step_of(
    steps: Sequence[Mapping[str, Any]], kind: str, length: int, default: float
) -> tuple[float, ...]:
    """The scale or translation among the coordinate transformations of a level."""
    for step in steps:
        if step["type"] == kind:
            return tuple(float(value) for value in step[kind])
    return (default,) * length


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
    datasets = [
        {"path": str(level), "coordinateTransformations": steps_at(geometry, level)}
        for level in range(level_count)
    ]
    multiscale = {"name": name, "axes": axes_of(geometry), "datasets": datasets}
    label: dict[str, Any] = {"version": version}
    if inside:
        label["source"] = {"image": "../../"}
    if version == "0.4":
        multiscale["version"] = version
        return {"multiscales": [multiscale], "image-label": label}
    ome = {"version": version, "multiscales": [multiscale], "image-label": label}
    return {"ome": ome}


def axes_of(geometry: LabelGeometry) -> list[dict[str, str]]:
    """The axes as OME-Zarr has them."""
    kinds = {"t": "time", "z": "space", "y": "space", "x": "space"}
    axes = []
    for axis, unit in zip(geometry.axes, geometry.units, strict=True):
        described = {"name": axis}
        if axis in kinds:
            described["type"] = kinds[axis]
        if unit and unit != "pixel":  # OME-Zarr has no unit for "not known"
            described["unit"] = unit
        axes.append(described)
    return axes


def steps_at(geometry: LabelGeometry, level: int) -> list[dict[str, Any]]:
    """The coordinate transformations of a level."""
    stack, plane = geometry.pixel_size[:-2], geometry.pixel_size[-2:]
    scale = [*stack, *(size * 2**level for size in plane)]
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(geometry.translation):
        shift = list(geometry.translation)
        steps.append({"type": "translation", "translation": shift})
    return steps
