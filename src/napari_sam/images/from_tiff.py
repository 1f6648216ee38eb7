"""Open TIFF: plain, ImageJ, OME-TIFF and slide formats, tiled and pyramidal or not.

Opening reads the tags of pages. Pixels that lie uncompressed in a row are mapped into
memory, others are decoded tile by tile, or strip by strip, when they are read. A page
that was compressed as one strip has to be decoded whole each time; store such images
as tiled TIFF or OME-Zarr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

import numpy as np
import tifffile
import zarr

from napari_sam.errors import ImageError
from napari_sam.images.axes import rename_unknown
from napari_sam.images.stored import ForeignErrors, LazyArray, StoredImage

UNIT_NAMES = {
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
    "inch": "inch",
    "s": "second",
    "sec": "second",
    "ms": "millisecond",
    "min": "minute",
    "h": "hour",
}
"""Spellings found in TIFF metadata, and what OME-Zarr calls the same units."""

COLOUR_PHOTOMETRICS = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)

Geometry = tuple[dict[str, float], dict[str, str]]
"""Pixel sizes and units, by axis letter."""


def open_tiff(file: Path | BinaryIO, name: str, source: str, state: str) -> StoredImage:
    """Open the first image of a TIFF file, with its pyramid.

    Parameters
    ----------
    file
        A path, or an open file that can seek, which is closed with the image.
    name, source, state
        As in `StoredImage`.
    """
    needed = f"{source} needs to be a TIFF file that can be read"
    remedy = "It may be damaged, or something else under a TIFF name."
    with ExitStack() as on_failure, ForeignErrors(ImageError, needed, remedy):
        opened = on_failure.enter_context(ExitStack())
        if not isinstance(file, Path):
            opened.callback(file.close)
        tiff = opened.enter_context(tifffile.TiffFile(file))
        series = tiff.series[0]
        axes = rename_unknown(series.axes)
        pixel_size, units = _geometry(tiff)
        stored = StoredImage(
            arrays=tuple(_open_level(tiff, level, opened) for level in series.levels),
            axes=axes,
            is_rgb="s" in axes and series.keyframe.photometric in COLOUR_PHOTOMETRICS,
            pixel_size={n: size for n, size in pixel_size.items() if n in axes},
            units={n: unit for n, unit in units.items() if n in axes},
            name=name,
            source=source,
            state=state,
            close=opened.close,
        )
        on_failure.pop_all()  # from here on the image closes the file
    return stored


def _open_level(
    tiff: tifffile.TiffFile, level: tifffile.TiffPageSeries, opened: ExitStack
) -> LazyArray:
    """One level of the pyramid; what it holds open is closed with `opened`."""
    handle = tiff.filehandle
    keyframe = level.keyframe
    if handle.is_file and keyframe.is_memmappable and not level.is_multifile:
        offset = level.dataoffset
        if offset is not None and offset + level.nbytes <= handle.size:
            dtype = np.dtype(tiff.byteorder + level.dtype.char)
            return np.memmap(handle.path, dtype, "r", offset, level.shape)
    store = level.aszarr(level=0, read_only=True)
    opened.callback(store.close)
    array: LazyArray = zarr.open_array(store, mode="r")
    return array


def _geometry(tiff: tifffile.TiffFile) -> Geometry:
    """The size of pixels, by the first dialect of the file that has one."""
    if tiff.is_ome:
        return _ome_geometry(tiff.ome_metadata or "")
    if tiff.is_imagej:
        return _imagej_geometry(tiff)
    if tiff.is_svs:
        found = re.search(r"\bMPP\s*=\s*([\d.]+)", tiff.pages.first.description)
        size = (found[1] if found else None, "um")
        return _known({"y": size, "x": size})
    return {}, {}


def _ome_geometry(xml: str) -> Geometry:
    """Physical sizes of the first image of OME-XML; without a unit, micrometers."""
    try:
        pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    except ElementTree.ParseError:
        return {}, {}
    facts = {} if pixels is None else pixels.attrib
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
    tags = tiff.pages.first.tags
    sizes: dict[str, tuple[Any, str]] = {
        "z": (facts.get("spacing"), unit),
        "t": (facts.get("finterval"), "s"),
    }
    for name, tag in (("y", "YResolution"), ("x", "XResolution")):
        pixels, units = tags.valueof(tag) or (0, 1)
        sizes[name] = (units / pixels if pixels else None, unit)
    return _known(sizes)


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
