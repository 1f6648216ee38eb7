"""Masks over a box of one level, and a canvas that grows.

Masks of different levels meet by nearest neighbour: a fine pixel takes the value of
the coarse pixel that holds its centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, Mask, bounding_box


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMask:
    """A mask over `box`, in pixels of level `level`; nothing is inside beyond it."""

    mask_hw: Mask
    box: Box
    level: int

    def read(self, box: Box) -> Mask:
        """The mask over another box of the same level."""
        out = np.zeros(box.shape, dtype=bool)
        if box.intersects(self.box):
            shared = box.clip(self.box)
            here, there = shared.relative_to(box), shared.relative_to(self.box)
            out[here.slices] = self.mask_hw[there.slices]
        return out

    def sample(
        self, box: Box, steps: tuple[float, float], shape: tuple[int, int]
    ) -> Mask:
        """The mask over a box of another level.

        Parameters
        ----------
        box
            In pixels of the other level.
        steps
            (y, x) size of a pixel of this mask's level, in pixels of the other level.
        shape
            (height, width) of this mask's level, in pixels.
        """
        rows = _sampled(box.y0, box.y1, steps[0], shape[0])
        columns = _sampled(box.x0, box.x1, steps[1], shape[1])
        source = Box(
            int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
        )
        sampled: Mask = self.read(source)[np.ix_(rows - rows[0], columns - columns[0])]
        return sampled

    def trimmed(self) -> PlacedMask | None:
        """The same mask over the smallest box that holds it, None where it is empty."""
        tight = bounding_box(self.mask_hw)
        if tight is None:
            return None
        box = tight.shift(self.box.y0, self.box.x0)
        return PlacedMask(self.mask_hw[tight.slices].copy(), box, self.level)


def _sampled(start: int, stop: int, step: float, side: int) -> NDArray[np.int64]:
    return np.clip(
        ((np.arange(start, stop) + 0.5) / step).astype(np.int64), 0, side - 1
    )


class MaskCanvas:
    """A mask of one level that is drawn bit by bit and grows as needed.

    Parameters
    ----------
    start
        What is on the canvas to begin with.
    bounds
        The level; the canvas never leaves it.
    room
        Pixels by which the canvas grows beyond what is needed, so that it is copied
        rarely.
    """

    def __init__(self, start: PlacedMask, bounds: Box, room: int) -> None:
        # A copy: what it starts from stays as it is.
        self._placed = PlacedMask(start.mask_hw.copy(), start.box, start.level)
        self._bounds = bounds
        self._room = room

    @property
    def placed(self) -> PlacedMask:
        """What is drawn, over a box that may be wider than needed."""
        return self._placed

    def area_with(self, box: Box) -> int:
        """Pixels of the smallest box that holds the canvas and `box`."""
        return Box.around((self._placed.box, box)).area

    def read(self, box: Box) -> Mask:
        """The mask over a box."""
        return self._placed.read(box)

    def paste(self, box: Box, mask_hw: Mask) -> None:
        """Replace what is drawn over a box of the level."""
        old = self._placed
        if not old.box.contains(box):
            if not mask_hw.any() and not old.box.intersects(box):
                return
            wide = Box.around((old.box, box.grow(self._room).clip(self._bounds)))
            old = PlacedMask(old.read(wide), wide, old.level)
            self._placed = old
        old.mask_hw[box.relative_to(old.box).slices] = mask_hw


def touching(mask: Mask, seed: Mask) -> Mask:
    """The 8-connected islands of a mask that share a pixel with the seed."""
    islands, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    wanted = np.zeros(count + 1, dtype=bool)
    wanted[np.unique(islands[seed & mask])] = True
    wanted[0] = False
    kept: Mask = wanted[islands]
    return kept


def largest_islands(mask: Mask, count: int) -> list[Mask]:
    """The 8-connected islands of a mask, largest first, at most `count` of them."""
    islands, found = ndimage.label(mask, EIGHT_NEIGHBOURS)
    areas = np.bincount(islands.ravel(), minlength=found + 1)[1:]
    order = np.argsort(-areas, kind="stable")[:count]
    return [islands == index + 1 for index in order]


def half_width(mask: Mask) -> float:
    """Distance of the deepest pixel from the mask's outline, in pixels.

    The array's border is no outline: what is cut there goes on.
    """
    tight = bounding_box(mask)
    if tight is None:
        return 0.0
    # One more pixel on each side keeps the outline; more is not needed.
    part = mask[tight.grow(1).clip(Box.of_shape(mask.shape)).slices]
    if part.all():
        return float(max(mask.shape))
    return float(ndimage.distance_transform_edt(part).max())
