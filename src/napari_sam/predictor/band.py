"""What a coarse mask leaves open at a finer level: a band along its outline.

~~~~~~~~~~~~~~~~~   beyond: only what is too thin for the coarse level to show
:::::::::::::::::   band: BAND coarse pixels each side, the finer level decides
----- outline ---
:::::::::::::::::
#################   inside: kept as it is
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, Mask
from napari_sam.predictor.placed_mask import PlacedMask, touching
from napari_sam.predictor.window_grid import Cell, WindowGrid
from napari_sam.predictor.windows import PlaneLevel, steps_between

BAND = 3
"""Half-width of the band, in coarse pixels.

Block means blur an outline by up to one coarse pixel; the model adds its own error.
"""

THIN = 2.0
"""Half-width, in coarse pixels, up to which a part may be invisible at the level."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """The parts that a coarse mask divides a finer level into.

    Attributes
    ----------
    inside, reach
        At the coarse level: the mask less the band, and with it.
    steps
        (y, x) size of a coarse pixel, in pixels of the fine level.
    coarse_shape
        (height, width) of the coarse level, in pixels.
    """

    inside: PlacedMask
    reach: PlacedMask
    steps: tuple[float, float]
    coarse_shape: tuple[int, int]

    @classmethod
    def along(cls, coarse: PlacedMask, levels: Sequence[PlaneLevel], fine: int) -> Band:
        """The band along the outline of a coarse mask, for a finer level."""
        shape = levels[coarse.level].shape
        wide = coarse.box.grow(BAND + 1)
        box = wide.clip(Box.of_shape(shape))
        # Beyond the image the mask is continued: its border is no outline.
        around = box.relative_to(wide)
        beyond = (
            (around.y0, wide.shape[0] - around.y1),
            (around.x0, wide.shape[1] - around.x1),
        )
        mask = np.pad(coarse.read(box), beyond, mode="edge")
        inside = ndimage.binary_erosion(mask, EIGHT_NEIGHBOURS, BAND, border_value=1)
        reach = ndimage.binary_dilation(mask, EIGHT_NEIGHBOURS, BAND)
        return cls(
            PlacedMask(inside[around.slices], box, coarse.level),
            PlacedMask(reach[around.slices], box, coarse.level),
            steps_between(levels, coarse.level, fine),
            shape,
        )

    def read(self, box: Box) -> tuple[Mask, Mask]:
        """`inside` and `reach` over a box of the fine level."""
        return (
            self.inside.sample(box, self.steps, self.coarse_shape),
            self.reach.sample(box, self.steps, self.coarse_shape),
        )

    def cells(self, grid: WindowGrid) -> list[Cell]:
        """The cells of the fine level in which something is left open, in order."""
        rows, columns = np.nonzero(self.reach.mask_hw & ~self.inside.mask_hw)
        origin = (self.reach.box.y0, self.reach.box.x0)
        found: set[Cell] = set()
        for far_y in (0, 1):
            for far_x in (0, 1):
                y, x = (
                    np.clip(
                        np.floor((index + first + far) * step).astype(np.int64) - far,
                        0,
                        side - 1,
                    )
                    // grid.step
                    for index, first, far, step, side in (
                        (rows, origin[0], far_y, self.steps[0], grid.area.shape[0]),
                        (columns, origin[1], far_x, self.steps[1], grid.area.shape[1]),
                    )
                )
                pairs = np.unique(np.stack([y, x], axis=1), axis=0)
                found.update((int(row), int(column)) for row, column in pairs)
        return sorted(found)

    def beyond(self, drawn: Mask, known: Mask, reach: Mask) -> tuple[Mask, Mask]:
        """Divide what was drawn beyond the band into the plausible and the leaked.

        A coarse level shows what is thick, so whatever is added to it far from the
        outline has to be thin, and attached.

        Parameters
        ----------
        drawn, known, reach
            Over one window: the model's mask, the object so far, that with the band.

        Returns
        -------
        The thin parts and the thick ones.
        """
        outside = drawn & ~reach
        if not outside.any():
            return outside, outside
        # The window's border is no outline; what fills a window is thick.
        if outside.all():
            return ~outside, outside
        depth = ndimage.distance_transform_edt(outside)
        islands, count = ndimage.label(outside, EIGHT_NEIGHBOURS)
        deepest = ndimage.maximum(depth, islands, np.arange(1, count + 1))
        is_thin = np.concatenate(
            ([False], np.asarray(deepest) < THIN * max(self.steps))
        )
        thin = is_thin[islands]
        thick = outside & ~thin
        attached = ndimage.binary_dilation(known | (drawn & reach), EIGHT_NEIGHBOURS)
        return touching(thin, attached), thick
