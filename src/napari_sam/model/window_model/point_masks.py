"""The masks of many single clicks in one window, kept small.

A grid of clicks has thousands of masks, of which most are dropped again. Each is kept
as its box, its scores and the packed bits inside its box; whole masks are made for
those that are left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import PromptError

SET_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(
    axis=1, dtype=np.uint8
)
"""How many bits of each byte are set."""


@dataclass(frozen=True, slots=True)
class PointQuery:
    """Which masks of many clicks are wanted.

    Parameters
    ----------
    min_score
        The predicted IoU has to be above it; 0 or less takes all.
    min_stability_score
        The stability score has to be at least this; 0 or less takes all.
    stability_score_offset
        How far from the threshold the two cuts lie that the stability score compares.
    clicks_at_once
        Clicks that the decoder answers together, which bounds the memory.
    """

    min_score: float = 0.88
    min_stability_score: float = 0.95
    stability_score_offset: float = 1.0
    clicks_at_once: int = 64

    def __post_init__(self) -> None:
        if self.clicks_at_once < 1:
            raise PromptError(
                "At least one click needs to be answered at a time, got "
                f"{self.clicks_at_once!r}; 64 is usual."
            )


@dataclass(frozen=True, slots=True, eq=False)
class PointMasks:
    """n masks of a window, in the order of their clicks.

    Parameters
    ----------
    clicks_n
        Index of the click of each mask.
    scores_n
        Predicted IoUs, not clipped to 0..1.
    stability_scores_n
        IoU of the mask cut tighter and looser, 0..1.
    boxes_n4
        y0, x0, y1, x1 in pixels of the window, half-open; zeros for an empty mask.
    packed
        Of each mask the bits inside its box, in C order.
    """

    clicks_n: NDArray[np.int64]
    scores_n: NDArray[np.float32]
    stability_scores_n: NDArray[np.float32]
    boxes_n4: NDArray[np.int64]
    packed: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def areas_n(self) -> NDArray[np.int64]:
        """Pixels of each mask, counted without drawing any."""
        counts = SET_BITS[np.concatenate([*self.packed, np.zeros(0, np.uint8)])]
        lengths = np.array([len(bits) for bits in self.packed], dtype=np.int64)
        sums = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        ends = np.cumsum(lengths)
        areas: NDArray[np.int64] = sums[ends] - sums[ends - lengths]
        return areas

    def crop(self, index: int) -> NDArray[np.bool_]:
        """One mask inside its box."""
        y0, x0, y1, x1 = self.boxes_n4[index].tolist()
        count = (y1 - y0) * (x1 - x0)
        bits = np.unpackbits(self.packed[index], count=count)
        return bits.reshape(y1 - y0, x1 - x0).view(bool)

    def draw(self, index: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """One mask over the whole window."""
        mask = np.zeros(shape, dtype=bool)
        y0, x0, y1, x1 = self.boxes_n4[index]
        mask[y0:y1, x0:x1] = self.crop(index)
        return mask

    def take(self, indices: NDArray[np.integer]) -> PointMasks:
        """Those masks, in that order."""
        return PointMasks(
            self.clicks_n[indices],
            self.scores_n[indices],
            self.stability_scores_n[indices],
            self.boxes_n4[indices],
            tuple(self.packed[index] for index in indices),
        )

    def in_parts(self, most_pixels: int) -> Iterator[PointMasks]:
        """Neighbouring masks whose boxes have at most so many pixels, or one mask."""
        pixels_n = (self.boxes_n4[:, 2:] - self.boxes_n4[:, :2]).prod(axis=1)
        for part in portions(pixels_n.tolist(), most_pixels):
            yield self.take(np.arange(part.start, part.stop))

    @classmethod
    def of(
        cls,
        clicks_n: NDArray[np.integer],
        scores_n: NDArray[np.floating],
        stability_scores_n: NDArray[np.floating],
        masks_nhw: NDArray[np.bool_],
    ) -> Self:
        """Keep whole masks of a window."""
        boxes_n4 = boxes_of(masks_nhw)
        return cls(
            clicks_n.astype(np.int64),
            scores_n.astype(np.float32),
            stability_scores_n.astype(np.float32),
            boxes_n4,
            pack(masks_nhw, boxes_n4),
        )

    @classmethod
    def joined(cls, parts: Iterable[PointMasks]) -> PointMasks:
        """All of them in one, in order; none at all of no parts."""
        parts = [cls.empty(), *parts]
        return cls(
            np.concatenate([part.clicks_n for part in parts]),
            np.concatenate([part.scores_n for part in parts]),
            np.concatenate([part.stability_scores_n for part in parts]),
            np.concatenate([part.boxes_n4 for part in parts]),
            tuple(bits for part in parts for bits in part.packed),
        )

    @classmethod
    def empty(cls) -> PointMasks:
        """No masks."""
        return cls(
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
            np.zeros(0, np.float32),
            np.zeros((0, 4), np.int64),
            (),
        )


def pack(
    masks_nhw: NDArray[np.bool_], boxes_n4: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], ...]:
    """The bits of each mask inside its box, as `PointMasks` keeps them."""
    return tuple(
        np.packbits(mask[y0:y1, x0:x1])
        for mask, (y0, x0, y1, x1) in zip(masks_nhw, boxes_n4.tolist(), strict=True)
    )


def boxes_of(masks_nhw: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Boxes y0, x0, y1, x1 around n masks, half-open; zeros around an empty one."""
    rows_nh, columns_nw = (np.asarray(masks_nhw.any(axis=axis)) for axis in (2, 1))
    return boxes_around(rows_nh, columns_nw)


def boxes_around(
    rows_nh: NDArray[np.bool_], columns_nw: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The same from the rows and the columns in which each mask has a pixel."""
    sides = []
    for seen_nk in (rows_nh, columns_nw):
        first = seen_nk.argmax(axis=1)
        stop = seen_nk.shape[1] - seen_nk[:, ::-1].argmax(axis=1)
        sides.append((first, np.where(seen_nk.any(axis=1), stop, 0)))
    (y0, y1), (x0, x1) = sides
    return np.stack([y0, x0, y1, x1], axis=1).astype(np.int64)


def portions(costs_n: Iterable[int], most: int) -> Iterator[slice]:
    """Runs of neighbouring masks that cost `most` together, or are one mask alone."""
    start = stop = total = 0
    for cost in costs_n:
        if stop > start and total + cost > most:
            yield slice(start, stop)
            start, total = stop, 0
        stop, total = stop + 1, total + cost
    if start < stop:
        yield slice(start, stop)
