"""What the samples of a TIFF page mean, where they are not what is shown as they are.

grey + alpha        alpha is dropped
CMYK                turned into red, green and blue
white is zero       turned around, as every viewer does
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.images.stored import LazyArray

Convert = Callable[[NDArray[Any]], NDArray[Any]]
"""Takes pixels whose last axis holds the samples, and gives such ones."""

CMYK_COUNT = 4


@dataclass(frozen=True, slots=True, eq=False)
class ConvertedSamples:
    """A lazy array whose samples are converted as they are read.

    Parameters
    ----------
    array
        As it is stored.
    axis
        Of the samples; None: there is one for a pixel.
    count
        How many there are after the conversion.
    convert
        Applied to whole pixels.
    """

    array: LazyArray
    axis: int | None
    count: int
    convert: Convert

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's, with the samples that are left."""
        if self.axis is None:
            return tuple(self.array.shape)
        sizes = list(self.array.shape)
        sizes[self.axis] = self.count
        return tuple(sizes)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's."""
        return np.dtype(self.array.dtype)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """The array's, if it has any."""
        return getattr(self.array, "chunks", None)

    def __getitem__(self, index: tuple[int | slice, ...]) -> NDArray[Any]:
        if self.axis is None:
            return self.convert(np.asarray(self.array[index]))
        wanted = index[self.axis]
        whole = (*index[: self.axis], slice(None), *index[self.axis + 1 :])
        before = sum(isinstance(part, slice) for part in whole[: self.axis])
        pixels = np.moveaxis(np.asarray(self.array[whole]), before, -1)
        return np.moveaxis(self.convert(pixels), -1, before)[
            (*(slice(None),) * before, wanted)
        ]


def shown_samples(
    array: LazyArray, page: tifffile.TiffPage | tifffile.TiffFrame, axes: str
) -> LazyArray:
    """The array with the samples that are to be seen.

    Parameters
    ----------
    array
        Of a series.
    page
        A page of it, which says what samples mean.
    axes
        Of the array, in lower case; "s" is the samples axis.
    """
    axis = axes.index("s") if "s" in axes else None
    photometric = getattr(page, "photometric", None)
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        array = ConvertedSamples(array, None, 1, inverted)
    if axis is None:
        return array
    count = array.shape[axis]
    if photometric == tifffile.PHOTOMETRIC.SEPARATED and count >= CMYK_COUNT:
        return ConvertedSamples(array, axis, 3, rgb_of_cmyk)
    kept = count - len(_alphas(page))
    if 0 < kept < count:
        return ConvertedSamples(array, axis, kept, lambda p: p[..., :kept])
    return array


def inverted(pixels: NDArray[Any]) -> NDArray[Any]:
    """White for black; floats within the range that they are meant for, 0..1."""
    if pixels.dtype == np.bool_:
        return ~pixels
    if pixels.dtype.kind == "f":
        return 1 - pixels
    return np.iinfo(pixels.dtype).max - pixels


def rgb_of_cmyk(pixels: NDArray[Any]) -> NDArray[Any]:
    """Red, green and blue of inks, each (..., samples), without a colour profile."""
    most = float(np.iinfo(pixels.dtype).max) if pixels.dtype.kind in "iu" else 1.0
    inks = pixels[..., :CMYK_COUNT].astype(np.float64) / most
    light = (1 - inks[..., :3]) * (1 - inks[..., 3:])
    shown = light * most
    return (np.rint(shown) if most > 1 else shown).astype(pixels.dtype)


def _alphas(page: tifffile.TiffPage | tifffile.TiffFrame) -> tuple[int, ...]:
    """Which of the further samples are alpha."""
    return tuple(
        int(sample)
        for sample in getattr(page, "extrasamples", ())
        if sample in (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
    )
