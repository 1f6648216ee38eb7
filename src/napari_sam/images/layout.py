"""Settle what the axes and levels of a stored image mean.

The user's word counts first, then the file's metadata, then the rule of
`axes.guess_axes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from operator import index
from typing import TypeVar

import numpy as np

from napari_sam.axes import (
    CHANNEL,
    SAMPLES,
    check_axes,
    guess_axes,
    is_rgb_axis,
    parse_axes,
    stack_letters,
)
from napari_sam.errors import ImageError
from napari_sam.images.levels import StoredLevel, axis_factor
from napari_sam.images.stored import StoredImage

MAX_CHANNELS = 3
"""Shown to the model at once: as red, green and blue."""

Fact = TypeVar("Fact", float, str)

Ranges = tuple[tuple[float, float], ...]
"""What becomes black and white, for each chosen channel."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes of a stored image, and its levels to read from."""

    axes: str  # of the stored array, channels and RGB samples as "c"
    is_rgb: bool
    levels: tuple[StoredLevel, ...]  # finest first
    factors: tuple[tuple[float, float], ...]  # (y, x) of each, in pixels of level 0

    @property
    def stack_axes(self) -> str:
        """The axes that count planes."""
        return stack_letters(self.axes)

    @property
    def channel_count(self) -> int:
        """How many channels there are to choose from; alpha is none."""
        if self.is_rgb:
            return 3
        if CHANNEL not in self.axes:
            return 1
        return self.levels[0].array.shape[self.axes.index(CHANNEL)]


def settle_layout(stored: StoredImage, axes: str | None) -> Layout:
    """Find axes, levels and factors; `axes` is the user's word, if any."""
    shape, dtype = stored.arrays[0].shape, np.dtype(stored.arrays[0].dtype)
    described = _as_channels(stored.axes)
    if axes is not None:
        letters = parse_axes(axes, len(shape))
        has_samples = SAMPLES in axes.lower() or is_rgb_axis(letters, shape, dtype)
        is_rgb = stored.is_rgb if letters == described else has_samples
    else:
        raw = stored.axes or guess_axes(shape)
        letters = check_axes(_as_channels(raw) or "")
        is_rgb = SAMPLES in raw if stored.is_rgb is None else stored.is_rgb
    if CHANNEL not in letters or shape[letters.index(CHANNEL)] not in (3, 4):
        is_rgb = False
    sizes = dict(zip(letters, shape, strict=True))
    stack_shape = tuple(sizes[name] for name in stack_letters(letters))
    levels: list[StoredLevel] = []
    factors: list[tuple[float, float]] = []
    for number, array in enumerate(stored.arrays):
        name = f"level {number} of {stored.source or stored.name}"
        level = StoredLevel(array, letters, stack_shape, name)
        if levels and not _is_coarser(level, levels[-1]):
            continue
        follows = stored.factors is not None and letters == described
        claimed = stored.factors[number] if stored.factors and follows else {}
        by_axis = _axis_factors(level, shape, claimed)
        stack = tuple(by_axis[name] for name in stack_letters(letters))
        factors.append((by_axis["y"], by_axis["x"]))
        levels.append(replace(level, stack_factors=stack))
    return Layout(letters, bool(is_rgb), tuple(levels), tuple(factors))


def _axis_factors(
    level: StoredLevel, finest: tuple[int, ...], claimed: Mapping[str, float]
) -> dict[str, float]:
    """How many pixels of the finest level one of this level spans on each axis."""
    return {
        name: axis_factor(size, most, claimed.get(name), chunk)
        for name, size, most, chunk in zip(
            level.axes, level.array.shape, finest, level.chunks, strict=True
        )
    }


def _as_channels(axes: str | None) -> str | None:
    """Call the samples axis "c"."""
    return axes.replace(SAMPLES, CHANNEL) if axes else None


def _is_coarser(level: StoredLevel, finer: StoredLevel) -> bool:
    """Whether a stored level is of use: smaller planes, with the same channels."""
    if CHANNEL in level.axes:
        channel = level.axes.index(CHANNEL)
        if level.array.shape[channel] != finer.array.shape[channel]:
            return False
    return level.shape != finer.shape


def kept_for(
    by_axis: Mapping[str, Fact], described: str | None, axes: str
) -> dict[str, Fact]:
    """Keep what metadata have about axes that the user did not name otherwise."""
    names = _as_channels(described) or axes
    kept = {n for n, m in zip(names, axes, strict=False) if n == m}
    return {n: value for n, value in by_axis.items() if n in kept}


def choose_channels(channels: Sequence[int] | None, layout: Layout) -> tuple[int, ...]:
    """The channels to show: the user's, or all of up to three, else the first."""
    count = layout.channel_count
    if channels is None:
        return tuple(range(count)) if count <= MAX_CHANNELS else (0,)
    try:
        chosen = tuple(index(channel) for channel in channels)
    except TypeError:
        raise ImageError(
            f"Channels need to be whole numbers such as [0, 2], got {channels!r}."
        ) from None
    if not 1 <= len(chosen) <= MAX_CHANNELS or len(set(chosen)) != len(chosen):
        raise ImageError(
            f"One to {MAX_CHANNELS} different channels can be shown at once, got "
            f"{list(chosen)}."
        )
    if not all(0 <= channel < count for channel in chosen):
        raise ImageError(
            f"This image has channels 0 to {count - 1}, got {list(chosen)}."
        )
    return chosen


def parse_contrast(
    limits: Sequence[float] | Sequence[Sequence[float]] | None, channel_count: int
) -> Ranges | None:
    """The user's (low, high), one for all chosen channels or one for each."""
    if limits is None:
        return None
    try:
        pairs = np.atleast_2d(np.asarray(limits, dtype=np.float64))
    except (TypeError, ValueError):
        pairs = np.empty((0, 0))
    if pairs.shape == (1, 2):
        pairs = pairs.repeat(channel_count, axis=0)
    is_usable = pairs.shape == (channel_count, 2)
    ranges = (
        tuple((float(low), float(high)) for low, high in pairs) if is_usable else ()
    )
    if not is_usable or not all(
        isfinite(low) and isfinite(high) and low < high for low, high in ranges
    ):
        raise ImageError(
            "Contrast limits need to be (low, high) with low < high, one pair for all "
            f"or one for each of the {channel_count} chosen channels, got {limits!r}."
        )
    return ranges
