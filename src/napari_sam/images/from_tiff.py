"""Open TIFF: plain, ImageJ, OME-TIFF and slide formats, tiled and pyramidal or not.

Opening reads the tags of pages. Pixels that lie uncompressed in a row are mapped into
memory, others are decoded tile by tile, or strip by strip, when they are read. A page
that was compressed as one strip has to be decoded whole each time; store such images
as tiled TIFF or OME-Zarr.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from napari_sam.axes import rename_unknown
from napari_sam.errors import ForeignErrors, ImageError, ImageReadError
from napari_sam.images.stored import LazyArray, StoredImage
from napari_sam.images.tiff_geometry import tiff_geometry
from napari_sam.images.tiff_samples import shown_samples

COLOUR_PHOTOMETRICS = (
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.SEPARATED,
)

SLIDE_EXTRAS = ("label", "macro", "thumbnail")
"""Pictures of the glass that slide scanners add, which nobody segments."""

Part = int | str | None
"""Which image of a file: its number, its name, or None for the first."""


def open_tiff(
    file: Path | BinaryIO, name: str, source: str, state: str, part: Part = None
) -> StoredImage:
    """Open an image of a TIFF file, with its pyramid.

    Parameters
    ----------
    file
        A path, or an open file that can seek, which is closed with the image.
    name, source, state
        As in `StoredImage`.
    part
        Which one; where there are more, a notice says so.
    """
    needed = f"{source} needs to be a TIFF file that can be read"
    remedy = "It may be damaged, or something else under a TIFF name."
    with ExitStack() as on_failure, ForeignErrors(ImageError, needed, remedy):
        opened = on_failure.enter_context(ExitStack())
        if not isinstance(file, Path):
            opened.callback(file.close)
        tiff = opened.enter_context(tifffile.TiffFile(file))
        number = _chosen(tiff.series, part, source)
        series = tiff.series[number]
        axes = rename_unknown(series.axes)
        pixel_size, units = tiff_geometry(tiff, number)
        page = series.keyframe
        levels = [_open_level(tiff, level, opened, source) for level in series.levels]
        axes, is_rgb, notices = _meaning(tiff, series, axes)
        stored = StoredImage(
            arrays=tuple(shown_samples(level, page, axes) for level in levels),
            axes=axes,
            is_rgb=is_rgb,
            pixel_size={n: size for n, size in pixel_size.items() if n in axes},
            units={n: unit for n, unit in units.items() if n in axes},
            name=name,
            source=source,
            state=state if part is None else f"{state}-{number}",
            notices=(*_others(tiff.series, number, part), *notices),
            close=opened.close,
        )
        on_failure.pop_all()  # from here on the image closes the file
    return stored


@dataclass(frozen=True, slots=True, eq=False)
class IncompleteLevel:
    """A level some of whose pages are in files that are not there.

    Parameters
    ----------
    array
        Which has zeros in their place.
    counts
        Of pages along the axes before those of a page.
    missing
        Numbers of the pages, counted in that order.
    source
        For errors.
    """

    array: LazyArray
    counts: tuple[int, ...]
    missing: frozenset[int]
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's."""
        return tuple(self.array.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's."""
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The array's, if it has any."""
        return getattr(self.array, "chunks", None)

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        indices = [
            range(*part.indices(count)) if isinstance(part, slice) else [part]
            for part, count in zip(index, self.counts, strict=False)
        ]
        for at in product(*indices):
            page = int(np.ravel_multi_index(at, self.counts)) if at else 0
            if page in self.missing:
                raise ImageReadError(
                    f"Page {page} of {self.source} is in another file, which is not "
                    "there. Put all files of the image into one folder."
                )
        return np.asarray(self.array[index])


def _chosen(series: Sequence[tifffile.TiffPageSeries], part: Part, source: str) -> int:
    """The number of the image that is wanted."""
    if part is None:
        return 0
    names = [one.name for one in series]
    number = int(part) if str(part).isdigit() else None
    if part in names:
        number = names.index(str(part))
    if number is None or not 0 <= number < len(series):
        raise ImageError(
            f"{source} has no image {part!r}. It has {_listed(series)}: choose one by "
            "its number or name."
        )
    return number


def _others(
    series: Sequence[tifffile.TiffPageSeries], number: int, part: Part
) -> tuple[str, ...]:
    """A notice of images that are left out, unless the user has chosen."""
    left = [s for i, s in enumerate(series) if i != number]
    left = [s for s in left if (s.name or "").lower() not in SLIDE_EXTRAS]
    if part is not None or not left:
        return ()
    return (
        f"The file has {len(series)} images, {_listed(series)}; number {number} is "
        "opened. Choose another one with series=, or --series.",
    )


def _listed(series: Sequence[tifffile.TiffPageSeries], most: int = 8) -> str:
    words = [
        f"{i} ({s.name or 'no name'}, {' x '.join(map(str, s.shape))})"
        for i, s in enumerate(series[:most])
    ]
    return ", ".join(words) + (", ..." if len(series) > most else "")


def _meaning(
    tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, axes: str
) -> tuple[str, bool, tuple[str, ...]]:
    """Axes, whether samples are colours, and what the user should know of that.

    tifffile and scikit-image write a stack of three or four slices as colours, unless
    they are told otherwise; the shape that they note beside says what it was.
    """
    is_rgb = "s" in axes and series.keyframe.photometric in COLOUR_PHOTOMETRICS
    if not is_rgb or not _was_stack(tiff, series):
        return axes, is_rgb, ()
    if series.dtype == np.uint8:
        return axes, True, ()
    notice = "are taken for slices, not for colours. If they are colours, say axes cyx."
    planes = axes.replace("s", "z" if "z" not in axes else "t")
    return planes, False, (f"The {series.shape[0]} planes of this file {notice}",)


def _was_stack(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    """Whether samples lie plane after plane in a file that says its array's shape."""
    return (
        tiff.is_shaped
        and series.keyframe.planarconfig == tifffile.PLANARCONFIG.SEPARATE
        and series.axes.upper().startswith("S")
    )


def _open_level(
    tiff: tifffile.TiffFile,
    level: tifffile.TiffPageSeries,
    opened: ExitStack,
    source: str,
) -> LazyArray:
    """One level of the pyramid; what it holds open is closed with `opened`."""
    missing = frozenset(i for i, page in enumerate(level.pages) if page is None)
    array = _open_array(tiff, level, opened)
    if not missing:
        return array
    inner = len(level.keyframe.shape)
    counts = tuple(level.shape[: len(level.shape) - inner])
    if prod(counts) != len(level.pages):
        raise ImageError(
            f"{source} needs all of its files, {len(missing)} of "
            f"{len(level.pages)} pages are in others. Put them into one folder."
        )
    return IncompleteLevel(array, counts, missing, source)


def _open_array(
    tiff: tifffile.TiffFile, level: tifffile.TiffPageSeries, opened: ExitStack
) -> LazyArray:
    handle = tiff.filehandle
    keyframe = level.keyframe
    is_whole = all(page is not None for page in level.pages)
    if handle.is_file and keyframe.is_memmappable and not level.is_multifile:
        offset = level.dataoffset
        fits = offset is not None and offset + level.nbytes <= handle.size
        if offset is not None and fits and is_whole:
            dtype = np.dtype(tiff.byteorder + level.dtype.char)
            return np.memmap(handle.path, dtype, "r", offset, level.shape)
    store = level.aszarr(level=0, read_only=True)
    opened.callback(store.close)
    array: LazyArray = zarr.open_array(store, mode="r")
    return array
