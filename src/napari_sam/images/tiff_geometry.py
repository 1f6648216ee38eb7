"""Pixel sizes in TIFF, in the dialects that microscopes speak.

OME        PhysicalSizeX and its unit
ImageJ     resolution tags and a unit in the description
LSM        voxel sizes in metres
Aperio     MPP in the description
others     resolution tags in pixels for a centimetre; for an inch only where that
is finer than a printer's, since programs write 72 or 300 of nothing
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any
from xml.etree import ElementTree

import tifffile

UNIT_NAMES = {
    "pm": "picometer",
    "picometer": "picometer",
    "å": "angstrom",
    "\\u00c5": "angstrom",
    "angstrom": "angstrom",
    "ångström": "angstrom",
    "nm": "nanometer",
    "nanometer": "nanometer",
    "um": "micrometer",
    "µm": "micrometer",
    "μm": "micrometer",
    "\\u00b5m": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "micrometer": "micrometer",
    "mm": "millimeter",
    "millimeter": "millimeter",
    "cm": "centimeter",
    "centimeter": "centimeter",
    "m": "meter",
    "meter": "meter",
    "in": "inch",
    "inch": "inch",
    "s": "second",
    "sec": "second",
    "ms": "millisecond",
    "min": "minute",
    "h": "hour",
}
"""Spellings found in TIFF metadata, and what OME-Zarr calls the same units."""

FINE_INCH = 3000
"""Pixels for an inch from which on the number is taken for a measurement."""

UM_PER_UNIT = {
    tifffile.RESUNIT.CENTIMETER: 1e4,
    tifffile.RESUNIT.INCH: 25_400.0,
    tifffile.RESUNIT.MILLIMETER: 1e3,
    tifffile.RESUNIT.MICROMETER: 1.0,
}

Geometry = tuple[dict[str, float], dict[str, str]]
"""Pixel sizes and units, by axis letter."""


def tiff_geometry(tiff: tifffile.TiffFile, image: int = 0) -> Geometry:
    """What the first dialect that the file speaks says about the size of pixels.

    Parameters
    ----------
    tiff
        The file.
    image
        Which image of an OME-TIFF.
    """
    if tiff.is_ome:
        found = _ome_geometry(tiff.ome_metadata or "", image)
    elif tiff.is_imagej:
        found = _imagej_geometry(tiff)
    elif tiff.is_lsm:
        facts = tiff.lsm_metadata or {}
        sizes = {n: (facts.get(f"VoxelSize{n.upper()}"), "m") for n in "zyx"}
        found = _in_micrometers(_known(sizes))
    elif tiff.is_svs:
        mpp = re.search(r"\bMPP\s*=\s*([\d.]+)", tiff.pages.first.description)
        size = (mpp[1] if mpp else None, "um")
        found = _known({"y": size, "x": size})
    else:
        found = {}, {}
    return found if found[0] else _tag_geometry(tiff)


def _ome_geometry(xml: str, image: int) -> Geometry:
    """Physical sizes of an image of OME-XML; micrometers unless it says so."""
    try:
        images = ElementTree.fromstring(xml).findall(".//{*}Pixels")
    except ElementTree.ParseError:
        return {}, {}
    facts = images[image].attrib if image < len(images) else {}
    sizes = {
        axis.lower(): (
            facts.get(f"PhysicalSize{axis}"),
            facts.get(f"PhysicalSize{axis}Unit", "um"),
        )
        for axis in "ZYX"
    }
    sizes["t"] = (facts.get("TimeIncrement"), facts.get("TimeIncrementUnit", "s"))
    return _known(sizes)


def _imagej_geometry(tiff: tifffile.TiffFile) -> Geometry:
    """ImageJ's unit and spacing; its resolution tags count pixels per unit."""
    facts = tiff.imagej_metadata or {}
    unit = str(facts.get("unit", ""))
    sizes: dict[str, tuple[Any, str]] = {
        "z": (facts.get("spacing"), unit),
        "t": (facts.get("finterval"), "s"),
    }
    for name, size in _tag_sizes(tiff).items():
        sizes[name] = (size, unit)
    return _known(sizes)


def _tag_geometry(tiff: tifffile.TiffFile) -> Geometry:
    """Of the resolution tags, where they are a measurement."""
    unit = tiff.pages.first.tags.valueof("ResolutionUnit")
    um = UM_PER_UNIT.get(unit) if unit is not None else None
    sizes = _tag_sizes(tiff)
    if um is None or set(sizes) != {"y", "x"} or tiff.is_imagej:
        return {}, {}
    if unit == tifffile.RESUNIT.INCH and 1 / sizes["x"] < FINE_INCH:
        return {}, {}
    return _known({name: (size * um, "um") for name, size in sizes.items()})


def _tag_sizes(tiff: tifffile.TiffFile) -> dict[str, float]:
    """Units for a pixel, as the resolution tags say."""
    tags, sizes = tiff.pages.first.tags, {}
    for name, tag in (("y", "YResolution"), ("x", "XResolution")):
        pixels, units = tags.valueof(tag) or (0, 1)
        if pixels:
            sizes[name] = units / pixels
    return sizes


def _known(sizes: Mapping[str, tuple[Any, str]]) -> Geometry:
    """Keep the sizes that are positive numbers in a unit that is known."""
    pixel_size, units = {}, {}
    for name, (text, unit) in sizes.items():
        try:
            size = float(text)
        except (TypeError, ValueError):
            continue
        if isfinite(size) and size > 0 and unit.lower() in UNIT_NAMES:
            pixel_size[name], units[name] = size, UNIT_NAMES[unit.lower()]
    return pixel_size, units


def _in_micrometers(geometry: Geometry) -> Geometry:
    """Sizes in metres as people read them."""
    sizes, units = geometry
    return {n: 1e6 * size for n, size in sizes.items()}, dict.fromkeys(
        units, "micrometer"
    )
