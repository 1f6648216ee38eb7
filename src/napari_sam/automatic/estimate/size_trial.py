"""How large the objects of an image are, found by showing parts of it to the model.

Blobs give the size of what stands out, which is not always an object: cells in phase
contrast are outlined, and their parts stand out more. So the model segments, with a
coarse grid of clicks, windows of several sizes, each about twice as large as the one
before. Where there are no objects of a size that fits the window,
it takes texture, or groups of objects, for some: what it finds grows with the window.
An object has the same size in pixels, however large the window. So the window sizes
are compared with their neighbours, and where the growth is least there the objects
are:

    side of what       |                          o
    is found, log      |            o ---- o         here: the mean of these two
                       |      o
                       |o
                       +---------------------------- side of the window, log

Two other things have a weight that grows with the square of their distance in octaves:
the estimate from blobs, and the size at which the model sees objects best in such
windows.

The weights of both were settled on training images. Of 49 of these, this many have an
estimate within a factor of 1.5 of the median object, from blobs and this way: phase
contrast 0 and 8 of 9, cytology 0 and 2 of 6, axons in SEM 4 and 3 of 4, axons in TEM 4
and 5 of 7, nuclei 22 and 21 of 23.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log2, sqrt

import numpy as np

from napari_sam.automatic.estimate.samples import (
    CONTENT,
    Pixels,
    Sample,
    spread_indices,
)
from napari_sam.automatic.tiles.batching import FAILURES
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.automatic.window.segment import segment_window
from napari_sam.errors import Cancelled
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import WindowSizes

CLICKS = 8  # along a side of a window
SAMPLES = 5  # of an image, of which windows are taken
FEWEST = 2  # objects, of a size that counts
BLOB_WEIGHT = 0.15  # octaves of growth that one octave away from the blobs is worth
BEST_WEIGHT = 0.5  # the same, away from what the model sees best
CHOICES_ALONG = 6  # to choose windows from, along each side


@dataclass(frozen=True, slots=True)
class TrialSize:
    """What a model finds in windows of one size.

    Parameters
    ----------
    window
        Side of the windows.
    found
        Median side of the objects, the square root of their area; both in pixels of
        level 0.
    """

    window: float
    found: float


def trial_sides(model: WindowModel) -> tuple[int, ...]:
    """Sides of the windows to try at the finest level, in pixels, smallest first.

    None of a model that sees objects of any size alike: it is shown windows of one
    size, so there is nothing to try.
    """
    sizes = WindowSizes.of(model)
    if sizes.share is None:
        return ()
    # One more, without which the smallest would have no smaller one to agree with.
    return (sizes.sides[0] // 2, *sizes.sides)


def trial_size(
    model: WindowModel,
    windows: Iterable[Pixels],
    side: int,
    pixel_side: float = 1,
    mode: AutomaticMode = AutomaticMode.GRID,
) -> TrialSize | None:
    """Segment windows of one size; None where the model finds next to nothing.

    Parameters
    ----------
    model
        Gets each window, with few clicks.
    windows
        (height, width, 3) of one size.
    side
        Of the windows; more than theirs where the image has no more to show.
    pixel_side
        Of their pixels, in pixels of level 0.
    mode
        How objects are found in them.
    """
    areas: list[int] = []
    for pixels_hwc in windows:
        shown = max(pixels_hwc.shape[:2])
        options = AutomaticOptions(shown / CLICKS, click_spacing=1, mode=mode)
        try:
            found = segment_window(model, pixels_hwc, options)
        except Cancelled:
            raise
        except FAILURES:
            continue  # the run itself reports which of its windows fail, and why
        areas += np.bincount(found.labels_hw.ravel())[1:].tolist()
    if len(areas) < FEWEST:
        return None
    return TrialSize(side * pixel_side, float(np.median(np.sqrt(areas))) * pixel_side)


def spread_samples(samples: Sequence[Sample]) -> list[Sample]:
    """Some of an image's samples: from the one that shows most to that of least.

    Not only the first: an image of several samples has most of its objects elsewhere.
    """
    by_content = sorted(samples, key=lambda sample: -sample.deviation)  # stable
    return [by_content[i] for i in spread_indices(len(by_content), SAMPLES)]


def trial_windows(sample_hwc: Pixels, side: int) -> Iterator[Pixels]:
    """Two windows of a sample, the same ones every time; one where there is no other.

    The one that shows most has the largest and brightest objects, so there is a more
    usual one too: the middle one of those that show at least half as much.
    """
    height, width = sample_hwc.shape[:2]
    choices = [
        sample_hwc[y : y + side, x : x + side]
        for y in _starts(height, side)
        for x in _starts(width, side)
    ]
    deviations = np.array([float(choice.mean(axis=2).std()) for choice in choices])
    order = np.argsort(-deviations, kind="stable")
    count = int(np.count_nonzero(deviations >= CONTENT * deviations.max()))
    for index in sorted({0, count // 2}):
        yield np.ascontiguousarray(choices[order[index]])


def _starts(length: int, side: int) -> list[int]:
    count = min(max(length // side, 1), CHOICES_ALONG)
    return [int(y) for y in np.linspace(0, max(length - side, 0), count)]


def agreed_size(
    trials: Iterable[TrialSize | None], blob_size: float, share: float
) -> float:
    """Side of an object on which two neighbouring window sizes agree best.

    Parameters
    ----------
    trials
        By size, smallest first; None where nothing was found.
    blob_size
        The estimate from blobs, which stays where there are no two to compare.
    share
        Of a window's side, of the object that the model sees best in it.
    """
    found = [trial for trial in trials if trial is not None]
    best, size = float("inf"), blob_size
    for small, large in pairwise(found):
        growth = log2(large.found / small.found) / log2(large.window / small.window)
        middle = sqrt(small.found * large.found)
        suited = share * sqrt(small.window * large.window)
        cost = growth**2 + (BLOB_WEIGHT * log2(middle / blob_size)) ** 2
        cost += (BEST_WEIGHT * log2(middle / suited)) ** 2
        if cost < best:
            best, size = cost, middle
    return size
