"""OME-Zarr's metadata of images and labels, read here and written here.

Reading takes versions 0.1 to 0.6. It is lenient where writers differ and nothing is
lost by it (no axes, no scale, a unit nobody knows), and strict where a wrong guess
would show other pixels than were meant. That is why `ome-zarr-models` does not read
here: it checks. It refuses axes that are plain letters (0.3), that have no type or
another order than t, c, z, y, x, levels without a scale and more that users have. It
checks what we write instead, in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from napari_sam.errors import ImageError

RGB_COLOURS = ("FF0000", "00FF00", "0000FF")
OLD_AXES = "tczyx"
"""Versions 0.1 and 0.2 name no axes: there were always these five."""

ZARR_FORMATS = {"0.4": 2, "0.5": 3}
"""The versions that are written, each with its zarr format."""

UNKNOWN = "q"
"""The letter of an axis whose name is a word that means nothing here."""

AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True, slots=True)
class CoordinateTransform:
    """Where the pixels of one level lie, in physical units: i -> scale i + offset."""

    scale: tuple[float, ...]
    translation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Multiscale:
    """A pyramid in a group, as its metadata describe it."""

    paths: tuple[str, ...]  # of the arrays within the group, finest first
    axes: str | None  # a letter each, perhaps not distinct; None: not known
    transforms: tuple[CoordinateTransform | None, ...]  # of each array; None: not known
    units: tuple[str | None, ...] = ()  # of each axis
    name: str | None = None
    colours: tuple[str, ...] | None = None  # of the channels, hexadecimal


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The OME-Zarr metadata of a group: under "ome" since 0.5, before at the top."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def group_attributes(
    multiscale: Multiscale, version: str, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The attributes of a group that holds a pyramid, as `read_multiscale` reads them.

    Parameters
    ----------
    multiscale
        The pyramid, with axes and transforms; its colours are not written.
    version
        "0.4" or "0.5".
    more
        Other OME-Zarr metadata of the group, such as "image-label".
    """
    entry: dict[str, Any] = {
        "name": multiscale.name,
        "axes": _written_axes(multiscale),
        "datasets": [
            {"path": path, "coordinateTransformations": _written_transform(transform)}
            for path, transform in zip(
                multiscale.paths, multiscale.transforms, strict=True
            )
        ],
    }
    if version == "0.4":
        return {"multiscales": [{**entry, "version": version}], **more}
    return {"ome": {"version": version, "multiscales": [entry], **more}}


def read_multiscale(attributes: Mapping[str, Any], where: str) -> Multiscale | None:
    """The group's image, or None if its attributes describe none.

    Parameters
    ----------
    attributes
        Of a zarr group, either version.
    where
        The group, for errors.
    """
    ome = ome_attributes(attributes)
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
        transforms=tuple(
            _combined(dataset.get("coordinateTransformations"), outer)
            for dataset in datasets
        ),
        units=units,
        name=multiscale.get("name") or None,
        colours=_colours(omero),
    )


def _read_axes(
    multiscale: Mapping[str, Any],
) -> tuple[str | None, tuple[str | None, ...]]:
    """Axis letters and units."""
    described = multiscale.get("axes") or _own_axes(multiscale)
    if not described:
        is_old = str(multiscale.get("version", "")) in ("0.1", "0.2")
        return (OLD_AXES if is_old else None), ()
    rows = [{"name": row} if isinstance(row, str) else row for row in described]
    units = tuple(str(row["unit"]) if row.get("unit") else None for row in rows)
    return "".join(_letter(row) for row in rows), units


def _own_axes(multiscale: Mapping[str, Any]) -> Any:
    """The axes of the levels' own coordinate system, which version 0.6 names."""
    systems = multiscale.get("coordinateSystems") or ()
    steps = multiscale["datasets"][0].get("coordinateTransformations") or ()
    outputs = [step.get("output") for step in steps]
    own = [system for system in systems if system.get("name") in outputs]
    return (own or systems)[0].get("axes") if systems else None


def _letter(axis: Mapping[str, Any]) -> str:
    """One letter for an axis: by its type, its name, or `UNKNOWN`."""
    name = str(axis["name"]).lower()
    by_type = {"channel": "c", "time": "t"}
    if axis.get("type") in by_type:
        return by_type[axis["type"]]
    by_name = {"channel": "c", "time": "t", "depth": "z", "height": "y", "width": "x"}
    return by_name.get(name, name if len(name) == 1 else UNKNOWN)


def _combined(inner: Any, outer: Any) -> CoordinateTransform | None:
    """Both sets of transformations after one another, the level's own first."""
    first, second = _scale_and_offset(inner), _scale_and_offset(outer)
    if first is None or second is None:
        return first or second
    return CoordinateTransform(
        tuple(a * b for a, b in zip(first.scale, second.scale, strict=True)),
        tuple(
            offset * scale + more
            for offset, scale, more in zip(
                first.translation, second.scale, second.translation, strict=True
            )
        ),
    )


def _scale_and_offset(transformations: Any) -> CoordinateTransform | None:
    """The scale and translation of a list of transformations, if it has a scale."""
    scale: tuple[float, ...] | None = None
    offset: tuple[float, ...] | None = None
    for step in _flat(transformations or ()):
        if step.get("type") == "scale" and "scale" in step:
            scale = _finite(step["scale"])
        elif step.get("type") == "translation" and "translation" in step:
            offset = _finite(step["translation"])
    if scale is None and offset is None:
        return None
    scale = scale or (1.0,) * len(offset or ())
    return CoordinateTransform(scale, offset or (0.0,) * len(scale))


def _flat(transformations: Any) -> Iterator[Mapping[str, Any]]:
    """The steps of transformations, also of those that are a sequence of others."""
    for step in transformations:
        if step.get("type") == "sequence":
            yield from _flat(step.get("transformations") or ())
        else:
            yield step


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


def _written_axes(multiscale: Multiscale) -> list[dict[str, str]]:
    letters, axes = multiscale.axes or "", []
    units = multiscale.units or (None,) * len(letters)
    for axis, unit in zip(letters, units, strict=True):
        described = {"name": axis}
        if axis in AXIS_TYPES:
            described["type"] = AXIS_TYPES[axis]
        if unit and unit != "pixel":  # OME-Zarr has no unit for "not known"
            described["unit"] = unit
        axes.append(described)
    return axes


def _written_transform(transform: CoordinateTransform | None) -> list[dict[str, Any]]:
    if transform is None:
        return []
    steps: list[dict[str, Any]] = [{"type": "scale", "scale": list(transform.scale)}]
    if any(transform.translation):
        shift = list(transform.translation)
        steps.append({"type": "translation", "translation": shift})
    return steps
