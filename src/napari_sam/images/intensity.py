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


FILL_SHARE = 1e-3
"""Of a sample, at least, that a value has which stands for "no data"."""

FILL_GAP = 4.0
"""How far it is from all other values, over the range of these."""

KNOWN_FILLS = (-9999.0, -32768.0, float(np.finfo(np.float32).min))
"""Written for "no data" by many programs: these need no gap, only to be the least."""


def intensity_range(
    sample: NDArray[Any], fill: float | None = None
) -> tuple[float, float]:
    """The values that become black and white.

    A value that clearly fills places without data, such as the zeros around a slide on
    a pedestal, says nothing of what is dark: it is left out, see `fill_value`.

    Parameters
    ----------
    sample
        Any shape, bool, integer or float. NaN and infinite values are left out.
    fill
        What stands for "no data", if anybody has said.

    Returns
    -------
    low, high : float
        Finite. Where both percentiles fall on one value, as in an image of few bright
        specks, they are the extremes of the sample. low == high means that the sample
        has one value, or none (0, 0).
    """
    if sample.dtype == np.bool_:
        return 0.0, 1.0
    values = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample.ravel()
    if values.size == 0:
        return 0.0, 0.0
    found = fill_value(values) if fill is None else fill
    if found is not None:
        rest = values[values != found]
        values = rest if rest.size else values
    # Neighbouring values rather than in-between ones: those overflow near the limits
    # of float16 and float64.
    low = float(np.percentile(values, LOW_PERCENTILE, method="lower"))
    high = float(np.percentile(values, HIGH_PERCENTILE, method="higher"))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return low, high


def fill_value(values: NDArray[Any]) -> float | None:
    """The least or largest value, where it clearly stands for "no data".

        0 0 0 0 . . . . . . . . . . . . . . 29,900 ... 31,400
        fill    gap, at least 4 times as wide as     the rest

    Parameters
    ----------
    values
        Finite ones, not empty.

    Returns
    -------
    number or None
        None where there is none, or it is not clear.
    """
    least, largest = values.min(), values.max()
    for extreme in (least, largest):
        is_extreme = values == extreme
        if np.count_nonzero(is_extreme) < max(FILL_SHARE * values.size, 2):
            continue
        rest = values[~is_extreme]
        if rest.size < 2:
            continue
        low = float(np.percentile(rest, LOW_PERCENTILE, method="lower"))
        high = float(np.percentile(rest, HIGH_PERCENTILE, method="higher"))
        nearest = float(rest.min() if extreme == least else rest.max())
        gap, spread = abs(nearest - float(extreme)), high - low
        is_known = extreme == least and float(extreme) in KNOWN_FILLS
        if spread > 0 and (gap > FILL_GAP * spread or (is_known and gap > 0)):
            return float(extreme)
    return None


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
