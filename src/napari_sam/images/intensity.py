"""From any pixel type to the 8-bit grey that the model sees.

One range per channel and image, never per window or slice: a window that shows only
background would otherwise be stretched until its noise looks like objects, and the
same object would look different from one window to the next. Training stretches its
images with these very functions, so that the model meets what it has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW_PERCENTILE = 0.1
"""What becomes black: all but this percentage of a sample is brighter."""

HIGH_PERCENTILE = 99.9
"""What becomes white. Leaves hot pixels out, keeps objects of a thousandth of it."""


def intensity_range(sample: NDArray[Any]) -> tuple[float, float]:
    """The values that become black and white.

    Parameters
    ----------
    sample
        Any shape, bool, integer or float. NaN and infinite values are left out.

    Returns
    -------
    (low, high), finite. Where both percentiles fall on one value, as in an image of
    few bright specks, they are the extremes of the sample. low == high means that
    the sample has one value, or none (0, 0).
    """
    if sample.dtype == np.bool_:
        return 0.0, 1.0
    values = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample.ravel()
    if values.size == 0:
        return 0.0, 0.0
    # Neighbouring values rather than in-between ones: those overflow near the limits
    # of float16 and float64.
    low = float(np.percentile(values, LOW_PERCENTILE, method="lower"))
    high = float(np.percentile(values, HIGH_PERCENTILE, method="higher"))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return low, high


def stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map [low, high] to 0..255 linearly; what lies outside is clipped.

    NaN becomes 0, as does -inf; inf becomes 255. Where low == high, values up to it
    become 0 and those above it 255, the limit of ever narrower ranges.

    Parameters
    ----------
    values
        Any shape, bool, integer or float, either byte order.
    low, high
        Finite, low <= high, in the units of `values`.
    """
    if high <= low:
        return np.where(values > low, np.uint8(255), np.uint8(0))
    is_small = values.dtype.itemsize <= 2  # exact in float32, and twice as fast
    real: NDArray[Any] = values.astype(np.float32 if is_small else np.float64)
    if real.dtype == np.float32 and max(abs(low), abs(high)) > 2.0**24:
        real = real.astype(np.float64)
    np.copyto(real, low, where=np.isnan(real))
    np.clip(real, low, high, out=real)
    if not isfinite(high - low):  # beyond the largest float: halve everything
        real, low, high = real / 2, low / 2, high / 2
    real -= low
    real /= high - low
    real *= 255
    stretched: NDArray[np.uint8] = np.rint(real, out=real).astype(np.uint8)
    return stretched


def as_rgb(
    pixels_chw: NDArray[Any], ranges: Sequence[tuple[float, float]]
) -> NDArray[np.uint8]:
    """What the model sees, (height, width, 3), 0..255, of one to three channels.

    One becomes grey, two become red and green; each is stretched from its range.
    """
    shown = [
        stretch(pixels_hw, low, high)
        for pixels_hw, (low, high) in zip(pixels_chw, ranges, strict=True)
    ]
    if len(shown) == 1:
        shown = shown * 3
    elif len(shown) == 2:
        shown.append(np.zeros_like(shown[0]))
    return np.stack(shown, axis=-1)
