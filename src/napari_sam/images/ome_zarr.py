"""Read what OME-Zarr (0.1 to 0.5) says about an image: levels, axes, scales, colours.

Lenient where writers differ and nothing is lost by it (no axes, no scale, a unit
nobody knows); strict where a wrong guess would show other pixels than were meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from napari_sam.errors import ImageError
from napari_sam.images.axes import rename_unknown

RGB_COLOURS = ("FF0000", "00FF00", "0000FF")
OLD_AXES = "tczyx"
"""Versions 0.1 and 0.2 name no axes: there were always these five."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pixels of one level lie, in physical units: i -> scale i + offset."""

    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Multiscale:
    """The first multiscale image of a group."""

    paths: tuple[str, ...]  # of the arrays within the group, finest first
    axes: str | None
    placements: tuple[Placement | None, ...]  # of each array; None: not said
    units: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    colours: tuple[str, ...] | None = None  # of the channels, hexadecimal


def image_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What OME-Zarr says in a group: since 0.5 under "ome", before that at the top."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def read_multiscale(attributes: Mapping[str, Any], where: str) -> Multiscale | None:
    """The group's image, or None if its attributes describe none.

    Parameters
    ----------
    attributes
        Of a zarr group, either version.
    where
        The group, for errors.
    """
    ome = image_attributes(attributes)
    multiscales = ome.get("multiscales")
    if not multiscales:
        return None
    try:
        return _read_first(multiscales[0], ome.get("omero"))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(
            f"The multiscales metadata of {where} need to follow OME-Zarr, got "
            f"{type(error).__name__}: {error}. Check it with ome-zarr-models, or open "
            "one of the arrays inside by its path."
        ) from error


def _read_first(multiscale: Mapping[str, Any], omero: Any) -> Multiscale:
    datasets = multiscale["datasets"]
    if not datasets:
        raise ValueError("datasets is empty")
    axes, units = _read_axes(multiscale)
    outer = multiscale.get("coordinateTransformations")
    return Multiscale(
        paths=tuple(str(dataset["path"]) for dataset in datasets),
        axes=axes,
        placements=tuple(
            _placement(dataset.get("coordinateTransformations"), outer)
            for dataset in datasets
        ),
        units=units,
        name=multiscale.get("name") or None,
        colours=_colours(omero),
    )


def _read_axes(multiscale: Mapping[str, Any]) -> tuple[str | None, dict[str, str]]:
    """Axis letters, and the units by letter."""
    described = multiscale.get("axes")
    if not described:
        is_old = str(multiscale.get("version", "")) in ("0.1", "0.2")
        return (OLD_AXES if is_old else None), {}
    rows = [{"name": row} if isinstance(row, str) else row for row in described]
    axes = rename_unknown("".join(_letter(row) for row in rows))
    units = {
        letter: str(row["unit"])
        for letter, row in zip(axes, rows, strict=True)
        if row.get("unit")
    }
    return axes, units


def _letter(axis: Mapping[str, Any]) -> str:
    """One letter for an axis; "q" for what means nothing here, to be renamed."""
    name = str(axis["name"]).lower()
    by_type = {"channel": "c", "time": "t"}
    if axis.get("type") in by_type:
        return by_type[axis["type"]]
    by_name = {"channel": "c", "time": "t", "depth": "z", "height": "y", "width": "x"}
    return by_name.get(name, name if name in OLD_AXES else "q")


def _placement(inner: Any, outer: Any) -> Placement | None:
    """Both sets of transformations after one another, the level's own first."""
    first, second = _scale_and_offset(inner), _scale_and_offset(outer)
    if first is None or second is None:
        return first or second
    return Placement(
        tuple(a * b for a, b in zip(first.scale, second.scale, strict=True)),
        tuple(
            offset * scale + more
            for offset, scale, more in zip(
                first.translation, second.scale, second.translation, strict=True
            )
        ),
    )


def _scale_and_offset(transformations: Any) -> Placement | None:
    """The scale and translation of a list of transformations, if it has a scale."""
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    for step in transformations or ():
        if step.get("type") == "scale" and "scale" in step:
            scale = _finite(step["scale"])
        elif step.get("type") == "translation" and "translation" in step:
            offset = _finite(step["translation"])
    if scale is None and offset is None:
        return None
    scale = scale or (1.0,) * len(offset or ())
    return Placement(scale, offset or (0.0,) * len(scale))


def _finite(numbers: Sequence[Any]) -> tuple[float, ...]:
    values = tuple(float(number) for number in numbers)
    if not all(isfinite(value) for value in values):
        raise ValueError(f"scale or translation {values} is not finite")
    return values


def _colours(omero: Any) -> tuple[str, ...] | None:
    """The channels' colours, or None if any channel has none."""
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not channels:
        return None
    colours = tuple(str(channel.get("color", "")).upper() for channel in channels)
    return colours if all(colours) else None
