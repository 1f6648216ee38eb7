"""Images of any size: stacks of planes, planes of levels, levels read by windows.

One code path for 2D, 3D and time, whatever the file. Nothing is read before a window
is needed, and what is read is the window. The first `read_rgb` also settles the
intensity range of the image; see `sampling` for how few chunks that takes.
"""

from __future__ import annotations

import hashlib
import warnings
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import lcm
from operator import index
from os import PathLike
from threading import Lock
from types import MappingProxyType, TracebackType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam.errors import ImageError, ImageReadError, ImageWarning
from napari_sam.geometry import Box, is_index
from napari_sam.images.block_means import read_block_means
from napari_sam.images.intensity import as_rgb
from napari_sam.images.layout import (
    Layout,
    Ranges,
    choose_channels,
    kept_for,
    parse_contrast,
    settle_layout,
)
from napari_sam.images.levels import plan_levels
from napari_sam.images.sampling import settle_ranges, widen_empty_range
from napari_sam.images.sources import find_image
from napari_sam.images.stored import LazyArray, StoredImage

ImageLike = (
    str | PathLike[str] | zarr.Array[Any] | zarr.Group | LazyArray | Sequence[LazyArray]
)
"""What `open_image` takes."""


class Image:
    """An opened image; `open_image` makes one. Safe to read from several threads.

    Attributes
    ----------
    name : str
        What to call it.
    source : str or None
        Path or URL; None for arrays in memory.
    fingerprint : str
        Names this image with its axes, channels and contrast in cache keys. A numpy
        array up to 1 GiB is known by its pixels; dask arrays, and larger ones, get a
        new name each time they are opened.
    axes : str
        Of the stored array, such as "tczyx"; an RGB samples axis is "c" too.
    stack_axes : str
        Those that count planes, such as "tz"; "" for a single plane.
    stack_shape : tuple of int
        Their sizes.
    shape : tuple of int
        (height, width) of level 0.
    levels : tuple of Level
        Finest first. Virtual levels go on until the plane fits into 256 pixels.
    channel_count : int
        How many there are to choose from; alpha does not count.
    channels : tuple of int
        The one to three that are read, in this order.
    is_rgb : bool
        Whether the channels are colours.
    dtype : numpy.dtype
        Of a pixel, native byte order.
    pixel_size, units, translation : mapping
        By axis letter, as far as the metadata say; units as OME-Zarr spells them.
    notices : tuple of str
        What is left out of the file, or had to be guessed, in sentences for the user.
    """

    def __init__(
        self,
        stored: StoredImage,
        layout: Layout,
        channels: tuple[int, ...],
        contrast: Ranges | None,
        given_axes: str | None = None,
    ) -> None:
        self._layout = layout
        self._given = (given_axes, channels, contrast, stored.name, stored.part)
        self._plans = plan_levels([lv.shape for lv in layout.levels], layout.factors)
        self._contrast = contrast
        self._contrast_lock = Lock()
        self._finalizer = weakref.finalize(self, stored.close)
        self.name = stored.name
        self.source = stored.source
        self.notices = stored.notices
        self._fill = stored.fill
        self.axes, self.stack_axes = layout.axes, layout.stack_axes
        self.stack_shape = layout.levels[0].stack_shape
        self.shape = layout.levels[0].shape
        self.levels = tuple(plan.level for plan in self._plans)
        self.channel_count, self.channels = layout.channel_count, channels
        self.is_rgb = layout.is_rgb
        self.dtype = np.dtype(stored.arrays[0].dtype).newbyteorder("=")
        self.pixel_size: Mapping[str, float] = MappingProxyType(
            kept_for(stored.pixel_size, stored.axes, layout.axes)
        )
        self.units: Mapping[str, str] = MappingProxyType(
            kept_for(stored.units, stored.axes, layout.axes)
        )
        self.translation: Mapping[str, float] = MappingProxyType(
            kept_for(stored.translation, stored.axes, layout.axes)
        )
        facts = (
            stored.source,
            stored.state,
            self.axes,
            channels,
            contrast or ("settled" if stored.fill is None else f"fill {stored.fill}"),
        )
        self.fingerprint = hashlib.sha256(repr(facts).encode()).hexdigest()

    def __repr__(self) -> str:
        stored = sum(level.stored for level in self.levels)
        planes = dict(zip(self.stack_axes, self.stack_shape, strict=True))
        return (
            f"<Image {self.name!r} {self.shape[0]} x {self.shape[1]} {self.dtype}, "
            f"planes {planes}, channels {self.channels} of {self.channel_count}, "
            f"{stored} stored levels of {len(self.levels)}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process an image goes as what it was opened from."""
        if self.source is None:
            raise ImageError(
                "An image of an array in memory cannot go to another process. Give "
                "the array itself, or a path or URL that can be opened there too."
            )
        return _reopened, (self.source, *self._given)

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files behind the image. Also done when nobody holds it any more."""
        self._finalizer()

    @property
    def contrast(self) -> Ranges:
        """(low, high) that become black and white, for each of `channels`.

        Unless given by the user, 0..255 of uint8 colours and 0..1 of bool, else
        percentiles of a sample that is read once; see `sampling` for its bound. Where
        the sample is all of one value, low == high until `read_rgb` meets a window
        that is not, which then settles it.

        Raises
        ------
        ImageReadError
            Where nothing of the sample can be read.
        """
        with self._contrast_lock:
            return self._settled_contrast()

    def check_plane(self, plane: tuple[int, ...]) -> None:
        """Raise an ImageError unless `plane` holds one index for each stack axis."""
        try:
            indices = [index(i) for i in plane]
        except TypeError:
            indices = []
        is_there = len(indices) == len(self.stack_shape) and all(
            0 <= i < n for i, n in zip(indices, self.stack_shape, strict=True)
        )
        if not is_there:
            ranges = ", ".join(
                f"{name} of 0..{n - 1}"
                for name, n in zip(self.stack_axes, self.stack_shape, strict=True)
            )
            needed = f"({ranges})" if ranges else "no index, (), since it is one plane"
            raise ImageError(f"A plane of {self.name} needs {needed}, got {plane!r}.")

    def read(self, plane: tuple[int, ...], level: int, box: Box) -> NDArray[Any]:
        """Pixels as they are stored, of the chosen channels.

        Parameters
        ----------
        plane
            Index along `stack_axes`.
        level
            Index into `levels`.
        box
            In pixels of that level, inside of it.

        Returns
        -------
        numpy.ndarray
            (channels, height, width) in native byte order. Virtual levels are block
            means of the same type, integers rounded; those of bool are float32, 0..1.

        Raises
        ------
        ImageError
            For a plane, level or box that does not exist.
        ImageReadError
            For pixels that cannot be read; names the chunk.
        """
        if not self._finalizer.alive:
            raise ImageReadError(
                f"Reading {self.name} needs it to be open, but it was closed. Open it "
                "again."
            )
        self.check_plane(plane)
        if not is_index(level, len(self._plans)):
            raise ImageError(
                f"{self.name} has levels 0 to {len(self._plans) - 1}, got {level!r}."
            )
        plan = self._plans[level]
        is_box = isinstance(box, Box)
        if not is_box or not Box.of_shape(plan.level.shape).contains(box):
            raise ImageError(
                f"A window of level {level} of {self.name} needs to be a Box inside of "
                f"its {plan.level.shape} pixels, got {box}. Clip it first."
            )
        base = self._layout.levels[plan.base]
        if plan.step == 1:
            return base.read(plane, self.channels, box)
        return read_block_means(base, plane, self.channels, box, plan.step)

    def blocks(self, level: int) -> tuple[int, int] | None:
        """(height, width) of what a read costs whole, in pixels of a level.

        A read of whole blocks, counted from the level's first pixel, decodes no chunk
        in vain. None where a read costs but its own pixels, as of arrays in memory.
        """
        plan = self._plans[level]
        base = self._layout.levels[plan.base]
        if not base.is_chunked:
            return None
        height, width = (
            lcm(chunk, plan.step) // plan.step for chunk in base.plane_chunks
        )
        return height, width

    def read_rgb(
        self,
        plane: tuple[int, ...],
        level: int,
        box: Box,
        contrast: Ranges | None = None,
    ) -> NDArray[np.uint8]:
        """What the model sees: (height, width, 3), 0..255; arguments as of `read`.

        One channel becomes grey, two become red and green, three red, green and blue.
        With a `contrast` of one (low, high) a channel, that is shown, not the image's.
        """
        pixels_chw = self.read(plane, level, box)
        ranges = self._contrast_for(pixels_chw) if contrast is None else contrast
        return as_rgb(pixels_chw, ranges)

    def _contrast_for(self, pixels_chw: NDArray[Any]) -> Ranges:
        """The range; where the sample was empty, the window at hand settles it."""
        with self._contrast_lock:
            ranges = self._settled_contrast()
            if any(low == high for low, high in ranges):
                ranges = self._contrast = tuple(
                    widen_empty_range(settled, pixels_hw)
                    for settled, pixels_hw in zip(ranges, pixels_chw, strict=True)
                )
            return ranges

    def _settled_contrast(self) -> Ranges:
        """The range, sampled at the first call; the caller holds the lock."""
        if self._contrast is None:
            count = len(self.channels)
            if self.dtype == np.bool_:
                self._contrast = ((0.0, 1.0),) * count
            elif self.is_rgb and self.dtype == np.uint8:
                self._contrast = ((0.0, 255.0),) * count
            else:
                self._contrast = settle_ranges(
                    self._layout.levels, self.channels, self._fill
                )
        return self._contrast


def open_image(  # noqa: PLR0913 - each has a default that suits most
    source: ImageLike | Image | StoredImage,
    *,
    axes: str | None = None,
    channels: Sequence[int] | None = None,
    contrast_limits: Sequence[float] | Sequence[Sequence[float]] | None = None,
    name: str | None = None,
    series: int | str | None = None,
    fill: float | None = None,
) -> Image:
    """Open an image of any size; reads its metadata only.

    Parameters
    ----------
    source
        - a path to OME-Zarr (0.1 to 0.5), a bare zarr array or a group of arrays,
          zipped zarr, TIFF and OME-TIFF, PNG, JPEG and what else Pillow reads, .npy;
        - a URL of these, http(s), s3 or any other that fsspec knows;
        - files of one plane each: a list of paths, a pattern such as "z*.tif", or a
          folder, sorted as people count;
        - a zarr array or group, a numpy, dask, xarray, torch or tensorstore array or
          one that is indexed like them, a picture of Pillow's, or a list of arrays:
          of falling sizes a pyramid, finest first, of one size a stack;
        - an Image, which is returned as it is.
    axes
        A letter for each axis of the array, such as "zyx": y and x for the plane, c
        for channels or s for RGB samples, others count planes. None: those of the
        metadata; without any, a last axis of size 3 or 4 holds RGB(A), and the rest
        is "yx", "zyx", "tczyx", or of four axes "czyx" if the first is at most 4 long,
        "tcyx" if the second is, else "tzyx".
    channels
        One to three that become red, green and blue; a single one becomes grey. None:
        all of up to three channels, the first one of more. Alpha is dropped.
    contrast_limits
        (low, high) that become black and white, one pair for all chosen channels or
        one for each. None: from a sample of the image, settled at the first
        `read_rgb`; 0..255 for uint8 RGB.
    name
        None: the file's name without its ending.
    series
        Which image of a file that holds several: its number or name. None: the first,
        and a notice that there are others. `FILE::NAME` says the same.
    fill
        The value of pixels without data, which say nothing of what is dark. None: the
        least or largest value where it is clearly apart from all others.

    Warns
    -----
    ImageWarning
        With each of the image's `notices`.

    Returns
    -------
    Image
        No pixel of it has been read.

    Raises
    ------
    ImageError
        For what cannot be opened, or not with these axes or channels.
    """
    if isinstance(source, Image):
        given = (axes, channels, contrast_limits, name, series, fill)
        if any(value is not None for value in given):
            raise ImageError(
                "An image that is open already keeps its axes, channels, contrast and "
                "name. Open its source anew to change them."
            )
        return source
    stored = find_image(source, series)
    stored = replace(stored, name=name or stored.name, fill=fill)
    for notice in stored.notices:
        warnings.warn(notice, ImageWarning, stacklevel=2)
    try:
        layout = settle_layout(stored, axes)
        chosen = choose_channels(channels, layout)
        contrast = parse_contrast(contrast_limits, len(chosen))
    except ImageError:
        stored.close()
        raise
    return Image(stored, layout, chosen, contrast, axes)


def _reopened(
    source: str,
    axes: str | None,
    channels: tuple[int, ...],
    contrast: Ranges | None,
    name: str,
    part: int | str | None,
) -> Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # said where it was opened first
        return open_image(
            source,
            axes=axes,
            channels=channels,
            contrast_limits=contrast,
            name=name,
            series=part,
        )
