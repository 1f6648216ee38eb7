"""Windows: which square of which level the model is shown.

Pure geometry; every box here is in pixels of one level. A first window is centred on
what was pointed at, with its origin on a lattice of a quarter window, so that prompts
near each other share an embedding and each has room around it:

    +---+---+---+---+          lattice lines every size/4
    |   :   :   :   |
    +...+---+---+...+          the centre of the prompts lies within size/8 of
    |   | prompt|   |          the window's own centre, so an object that fits
    +...+---+---+...+          in half a window is shown whole at once
    |   :   :   :   |
    +---+---+---+---+

Objects larger than that are drawn core by core of an even `window_grid`, so that no
pixel is decided near a window's border.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.masks import bounding_box

CLICK_SHARE = 3 / 4
"""Largest share of a window that clicks may span: the object reaches beyond them."""

BOX_SHARE = 7 / 8
"""Largest share of a window that a box may span: the object ends with it."""

REACH = 2
"""Pixels from a window's border at which a mask counts as touching it.

Models are unsure of the last pixels before the border of what they are shown.
"""


class PlaneLevel(Protocol):
    """What a level of a pyramid has to have."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), in pixels of the level."""

    @property
    def factors(self) -> tuple[float, float]:
        """(y, x) size of one pixel, in pixels of level 0."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square of a level that the model is shown at once.

    Parameters
    ----------
    level
        Which of the image's levels.
    box
        In pixels of the level.
    size
        Side that it was cut with, in pixels; the box is less where the level is.
    """

    level: int
    box: Box
    size: int


class Sides(NamedTuple):
    """One answer for each side of a window."""

    top: bool
    left: bool
    bottom: bool
    right: bool


def at_level(box: Box, level: PlaneLevel) -> Box:
    """The pixels of a level that a box of level 0 meets; always at least one.

    Levels are rounded to whole pixels, so the last pixels of level 0 may lie beyond
    the last one of the level: they belong to that one.
    """
    (fy, fx), (height, width) = level.factors, level.shape
    scaled = box.scaled(1 / fy, 1 / fx)
    y0, x0 = (
        min(max(scaled.y0, 0), height - 1),
        min(max(scaled.x0, 0), width - 1),
    )
    y1, x1 = min(scaled.y1, height), min(scaled.x1, width)
    return Box(y0, x0, max(y1, y0 + 1), max(x1, x0 + 1))


def from_level(box: Box, level: PlaneLevel, plane_shape: tuple[int, int]) -> Box:
    """The pixels of level 0 that a box of a level covers.

    What reaches the level's far border reaches the plane's.
    """
    scaled = box.scaled(*level.factors)
    y1 = plane_shape[0] if box.y1 >= level.shape[0] else scaled.y1
    x1 = plane_shape[1] if box.x1 >= level.shape[1] else scaled.x1
    return Box(scaled.y0, scaled.x0, max(y1, scaled.y0 + 1), max(x1, scaled.x0 + 1))


def steps_between(
    levels: Sequence[PlaneLevel], coarse: int, fine: int
) -> tuple[float, float]:
    """(y, x) size of a pixel of the coarse level, in pixels of the fine one."""
    (cy, cx), (fy, fx) = levels[coarse].factors, levels[fine].factors
    return cy / fy, cx / fx


def window_at(y0: float, x0: float, size: int, shape: tuple[int, int]) -> Box:
    """The window with its corner nearest to (y0, x0) that lies inside the level.

    A window is `size` pixels on a side, or the level's own side where that is less.
    """
    height, width = min(size, shape[0]), min(size, shape[1])
    top = floor(min(max(y0, 0), shape[0] - height))
    left = floor(min(max(x0, 0), shape[1] - width))
    return Box(top, left, top + height, left + width)


def first_window(bounds: Box, size: int, shape: tuple[int, int]) -> Box:
    """The lattice window around what was pointed at.

    The lattice is refined where `bounds` would otherwise come nearer than an eighth of
    the window to its border.
    """
    y0 = _lattice_origin(bounds.y0, bounds.y1, size)
    x0 = _lattice_origin(bounds.x0, bounds.x1, size)
    return window_at(y0, x0, size, shape)


def fits(bounds: Box, size: int, shape: tuple[int, int], share: float) -> bool:
    """Whether `bounds` spans at most this share of a window, or the window all."""
    return all(
        extent <= share * size or side <= size
        for extent, side in zip(bounds.shape, shape, strict=True)
    )


def has_margin(window: Box, bounds: Box, margin: int, shape: tuple[int, int]) -> bool:
    """Whether `bounds` lies in the window, away from its sides by `margin` pixels.

    Where the image ends with the window no margin is needed.
    """
    ends = image_ends(window, shape)
    return window.contains(bounds) and all(
        end or distance >= margin
        for end, distance in zip(
            ends,
            (
                bounds.y0 - window.y0,
                bounds.x0 - window.x0,
                window.y1 - bounds.y1,
                window.x1 - bounds.x1,
            ),
            strict=True,
        )
    )


def nearest(windows: Iterable[Box], wanted: Box) -> Box | None:
    """The window whose corner is nearest to the wanted one's; ties by position."""
    return min(
        windows,
        key=lambda box: (
            (box.y0 - wanted.y0) ** 2 + (box.x0 - wanted.x0) ** 2,
            box,
        ),
        default=None,
    )


def image_ends(window: Box, shape: tuple[int, int]) -> Sides:
    """The sides of the window at which the image ends."""
    return Sides(
        window.y0 <= 0, window.x0 <= 0, window.y1 >= shape[0], window.x1 >= shape[1]
    )


def touched_sides(
    mask: NDArray[np.bool_], window: Box, shape: tuple[int, int]
) -> Sides:
    """The sides of the window at which the mask may go on: the image does."""
    ends = image_ends(window, shape)
    return Sides(
        not ends.top and bool(mask[:REACH].any()),
        not ends.left and bool(mask[:, :REACH].any()),
        not ends.bottom and bool(mask[-REACH:].any()),
        not ends.right and bool(mask[:, -REACH:].any()),
    )


def recentred(
    mask: NDArray[np.bool_], window: Box, size: int, shape: tuple[int, int]
) -> Box | None:
    """A window of the same level in which the touching object may be whole.

    The sides it does not touch keep an eighth of a window, the others get the rest.
    None where it cannot fit: it touches opposite sides or is too long already.
    """
    visible = bounding_box(mask)
    if visible is None:
        return None
    shown = visible.shift(window.y0, window.x0)
    sides = touched_sides(mask, window, shape)
    y0 = _roomier_origin(shown.y0, shown.y1, (sides.top, sides.bottom), size)
    x0 = _roomier_origin(shown.x0, shown.x1, (sides.left, sides.right), size)
    if y0 is None or x0 is None:
        return None
    moved = window_at(y0, x0, size, shape)
    return None if moved == window else moved


def _lattice_origin(start: int, stop: int, size: int) -> int:
    slack = (size - (stop - start)) / 2 - size / 8
    step = max(size // 4, 1)
    while step > 1 and step / 2 > slack:
        step //= 2
    wanted = (start + stop - size) / 2
    return floor(wanted / step + 0.5) * step


def _roomier_origin(
    start: int, stop: int, touched: tuple[bool, bool], size: int
) -> int | None:
    margin, step = size // 8, max(size // 16, 1)
    if all(touched) or (any(touched) and stop - start + margin >= size):
        return None
    if touched[1]:
        origin = start - margin
    elif touched[0]:
        origin = stop + margin - size
    else:
        origin = (start + stop - size) // 2
    return floor(origin / step + 0.5) * step
