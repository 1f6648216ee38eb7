"""What the axes of an array mean: one lower-case letter each, "tczyx".

y and x span the plane, c holds the channels, and every other axis counts planes. An
RGB(A) samples axis, which TIFF calls S, is a channel axis like any other here; that
its channels are colours is kept beside the letters.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from napari_sam.errors import ImageError

CHANNEL = "c"
SAMPLES = "s"
PLANE = "yx"
TIME = "t"
MAX_GUESSED_CHANNELS = 4
"""A leading axis of four dimensions is taken for channels up to this size."""

NAMED = "tczyxs"
SPARE_LETTERS = "ztpqrabdefghijklmnouvw"
"""What unknown stack axes are called, in this order, from the innermost outwards."""


def parse_axes(axes: Any, ndim: int) -> str:
    """The user's axes in lower case, "s" as "c"; an ImageError if they do not fit."""
    if not isinstance(axes, str):
        raise ImageError(f'Axes are one string of letters such as "zyx", got {axes!r}.')
    letters = axes.lower()
    if SAMPLES in letters and CHANNEL not in letters:
        letters = letters.replace(SAMPLES, CHANNEL)
    elif SAMPLES in letters:
        raise ImageError(
            f"An image has one channel axis, c or s, got both in axes {axes!r}. Name "
            "the one that is not shown otherwise, such as p."
        )
    if not letters.isascii() or not letters.isalpha():
        raise ImageError(f'Axes are letters such as "tczyx", got {axes!r}.')
    if len(letters) != ndim:
        raise ImageError(
            f"This image has {ndim} axes and needs one letter for each, got "
            f"{len(letters)}: {axes!r}."
        )
    return check_axes(letters)


def check_axes(axes: str) -> str:
    """`axes` as they are; an ImageError if y or x is missing, or a letter repeated."""
    missing = [letter for letter in PLANE if letter not in axes]
    if missing:
        raise ImageError(
            f"An image needs axes y and x, got {axes!r} without "
            f"{' and '.join(missing)}. Name them with axes=, such as axes='zyx'."
        )
    repeated = [letter for letter, count in Counter(axes).items() if count > 1]
    if repeated:
        raise ImageError(f"Each axis needs its own letter, got {axes!r}.")
    return axes


def stack_letters(axes: str) -> str:
    """The axes that count planes: time first, the others in the order of the array.

    OME-Zarr wants time first, so an image whose file has z before t is shown, and
    labelled, as one of the usual order.
    """
    letters = [name for name in axes if name not in PLANE + CHANNEL]
    return "".join(sorted(letters, key=lambda name: name != TIME))


def guess_axes(shape: tuple[int, ...]) -> str:
    """Name the axes of an array that has no metadata about them.

    - A last axis of size 3 or 4, of three or more, holds RGB(A) samples, "s"; one of
      size 1 or 2 holds channels, "c", as Keras and StarDist keep them.
    - A last axis of 5 to 16 that is much shorter than the others may hold channels, or
      be the width of very narrow planes: that needs the user's word.
    - Of what remains, two axes are "yx", three are "zyx", five are "tczyx", or
      "tzyx" of four before samples.
    - Of four axes, the first is "c" if its size is at most 4 ("czyx"); else the
      second, if its size is at most 4 ("tcyx"); else there are none ("tzyx").

    Anything else needs the user's word: an ImageError.
    """
    ndim = len(shape)
    leading = {3: "", 4: "z", 5: "tz"}.get(ndim)
    if leading is not None and shape[-1] in (3, 4):
        return leading + PLANE + SAMPLES
    if leading is not None and 0 < shape[-1] <= 2 < min(shape[-3:-1]):
        return leading + PLANE + CHANNEL
    if leading is not None and _may_be_channels(shape):
        planes = {3: "zyx", 4: "tzyx", 5: "tczyx"}[ndim]
        raise ImageError(
            f"The last axis of shape {shape} may hold {shape[-1]} channels, or be the "
            f"width of planes of {shape[-1]} pixels. Say which with axes=: "
            f"{leading + PLANE + CHANNEL!r} or {planes!r}."
        )
    if ndim == 4:
        if shape[0] <= MAX_GUESSED_CHANNELS:
            return "czyx"
        return "tcyx" if shape[1] <= MAX_GUESSED_CHANNELS else "tzyx"
    known = {2: "yx", 3: "zyx", 5: "tczyx"}
    if ndim not in known:
        raise ImageError(
            f"An image has 2 to 5 axes, got an array of {ndim} with shape {shape}. "
            "Name them with axes=, such as axes='ptczyx'."
        )
    return known[ndim]


def _may_be_channels(shape: tuple[int, ...]) -> bool:
    """Whether a last axis is short, and shorter by far than those of a plane."""
    return 5 <= shape[-1] <= 16 and min(shape[-3:-1]) >= 4 * shape[-1]


def rename_unknown(axes: str) -> str:
    """Give letters that mean nothing here, such as TIFF's I and Q, ones that do.

    They become z or t, whichever is free, from the innermost outwards, and other
    letters where both are taken. A "c" beside "s" is one of them, since the samples
    are the channels then.
    """
    letters = list(axes.lower())
    known = NAMED.replace(CHANNEL, "") if SAMPLES in letters else NAMED
    counts = Counter(letters)
    unknown = [
        i for i, name in enumerate(letters) if name not in known or counts[name] > 1
    ]
    taken = {name for i, name in enumerate(letters) if i not in unknown}
    spare = (name for name in SPARE_LETTERS if name not in taken)
    for i in reversed(unknown):
        letters[i] = next(spare)
    return "".join(letters)


def is_rgb_axis(axes: str, shape: tuple[int, ...], dtype: np.dtype) -> bool:
    """Whether channels may be colours: uint8, on the last axis, three or four."""
    return axes[-1:] == CHANNEL and shape[-1] in (3, 4) and dtype == np.uint8
