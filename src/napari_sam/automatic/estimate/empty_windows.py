"""Windows with nothing in them but flat background, found without the model.

Averages of blocks of a quarter of an object hide the noise, not an object: one that is
as small as is kept at all still changes the average of a block by a third of what
it differs from its surroundings. A window is empty where none of its blocks differs
from the image's background by more than can be seen. All other windows, such as one
inside of one large object, are shown to the model. Whether a window is empty depends on
its pixels alone.

Where the image has a stored level that is coarse enough, and yet shows an object with
eight of its pixels, an empty window costs a few pixels of that level.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from napari_sam.images import Level

FLAT = 8.0  # of 255: what differs by less cannot be seen, by the model neither
BLOCKS_PER_OBJECT = 4.0  # along a side
STORED_PIXELS_PER_OBJECT = 8.0  # along a side; pyramids may skip pixels, not average


@dataclass(frozen=True, slots=True)
class Emptiness:
    """How the empty windows of a run are recognised.

    Parameters
    ----------
    background
        The commonest value of each shown channel, 0..255.
    step
        Side of the blocks that are averaged, in pixels of the level of the run.
    level
        A stored level to read first, None where none is coarse enough.
    """

    background: tuple[int, int, int]
    step: int
    level: int | None

    @classmethod
    def settled(
        cls,
        samples: Sequence[NDArray[np.uint8]],
        levels: Sequence[Level],
        level: int,
        object_size: float,
    ) -> Emptiness:
        """Settle it from samples (height, width, 3) of the image.

        Parameters
        ----------
        samples
            Parts of the image, as the model sees them.
        levels, level
            Of the image, and which of them is segmented.
        object_size
            In pixels of that level.
        """
        counts = sum(
            np.stack(
                [np.bincount(sample[..., c].ravel(), minlength=256) for c in (0, 1, 2)]
            )
            for sample in samples
        )
        modes = np.argmax(counts, axis=1).tolist()
        coarser = [
            index
            for index, other in enumerate(levels)
            if other.stored
            and _ratio(other, levels[level]) >= 2
            and object_size / _ratio(other, levels[level]) >= STORED_PIXELS_PER_OBJECT
        ]
        step = max(int(object_size / BLOCKS_PER_OBJECT), 1)
        background = (modes[0], modes[1], modes[2])
        return cls(background, step, coarser[-1] if coarser else None)

    def is_empty(self, pixels_hwc: NDArray[np.uint8]) -> bool:
        """Whether a window, at the level of the run, is flat background."""
        means = _block_means(pixels_hwc, self.step)
        return bool((np.abs(means - self.background) <= FLAT).all())

    def is_empty_at_stored_level(self, pixels_hwc: NDArray[np.uint8]) -> bool:
        """Whether a window, at the stored level, is flat background."""
        difference = np.abs(pixels_hwc.astype(np.int16) - self.background)
        return bool((difference <= FLAT).all())


def _ratio(coarse: Level, fine: Level) -> float:
    """Size of a pixel of one level, in pixels of another."""
    (cy, cx), (fy, fx) = coarse.factors, fine.factors
    return sqrt((cy / fy) * (cx / fx))


def _block_means(pixels_hwc: NDArray[np.uint8], step: int) -> NDArray[np.float64]:
    """Means of step x step blocks; those at the far borders have the pixels left."""
    if step == 1:
        return pixels_hwc.astype(np.float64)
    rows, columns = (np.arange(0, side, step) for side in pixels_hwc.shape[:2])
    sums = np.add.reduceat(pixels_hwc, rows, axis=0, dtype=np.float64)
    sums = np.add.reduceat(sums, columns, axis=1)
    sizes = [
        np.diff([*starts.tolist(), side])
        for starts, side in zip((rows, columns), pixels_hwc.shape[:2], strict=True)
    ]
    means: NDArray[np.float64] = sums / np.outer(*sizes)[..., None]
    return means
