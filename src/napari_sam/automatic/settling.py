"""What is settled once for an image before any of its windows is segmented.

The size of the objects, the intensity range and the background are of the image, not
of a window, so they come from looks at parts of it that are spread over the region
and the stack. A plane of up to 1024 pixels a side is looked at whole. Where nobody
says how large objects are, the model is asked, about parts of the look that shows most
and two windows of coarser levels around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.emptiness import Emptiness
from napari_sam.automatic.object_size import estimate_object_size
from napari_sam.automatic.options import EverythingOptions
from napari_sam.automatic.plan import Asked, RunPlan
from napari_sam.automatic.size_trial import (
    Rung,
    agreed_size,
    best_windows,
    rung,
    trial_sides,
)
from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.sizing import WindowSizes
from napari_sam.predictor.windows import at_level, place
from napari_sam.tiling.images import Image
from napari_sam.tiling.images.layout import Ranges
from napari_sam.tiling.images.sampling import widen_empty_range

LOOK_SIDE = 1024  # pixels
PART_SIDE = 128  # of a look that cannot be read at once
LOOKS_ALONG = 3  # along each side of a plane
LOOK_PLANES = 3
LARGEST_SEEN = 0.25  # of a look, of an object that is measured well
LARGEST_IN_WINDOW = 0.25  # of a window, of an object of a model that has no say in it
USUAL_IN_WINDOW = 1 / 16
CONTENT = 0.5  # of the largest standard deviation; looks below it show little
TOO_LARGE = sqrt(2)  # times the size that a model sees best in its largest window
FINEST_HALO, WIDEST_HALO = 1 / 8, 1 / 4  # of a window
HALO_STEP = 8  # pixels
COARSE_RUNGS = 2  # levels, of which one window is tried
WINDOWS_ALONG = 4
"""Windows along a side of a tile, at most: what a kill can cost is a tile, what a tile
costs beside its windows is a file.
"""
TILE_SIDE = 2048
"""Pixels along a side of a tile's cores, at most, as far as a window is no larger: some
tiles are in memory at a time.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A part of a level, as the model sees it: where it is and what it shows."""

    plane: tuple[int, ...]
    box: Box
    pixels_hwc: NDArray[np.uint8]

    @property
    def deviation(self) -> float:
        """How much it shows."""
        return float(self.pixels_hwc.mean(axis=2).std())


def settled_plan(image: Image, model: WindowModel, asked: Asked) -> RunPlan:
    """Look at an image, and say all that a run on it depends on."""
    contrast = _contrast(image, asked)
    options, level = _options_and_level(image, model, asked, contrast)
    # Only a model knows how it sees; the size is never left to single windows.
    size = options.object_size or model.window_size * USUAL_IN_WINDOW
    options = replace(options, object_size=size)
    side = options.window_side(model)
    halo = halo_for(size, side)
    along = max(min(WINDOWS_ALONG, TILE_SIDE // (side - 2 * halo)), 1)
    emptiness = None
    if asked.skip_empty:
        looks = [each.pixels_hwc for each in _looks(image, asked, level, contrast)]
        emptiness = Emptiness.settled(looks, image.levels, level, size)
    return RunPlan(
        asked,
        image.shape,
        tuple(each.shape for each in image.levels)[level],
        image.levels[level].factors,
        level=level,
        options=options,
        contrast=contrast,
        side=side,
        halo=halo,
        windows_along=along,
        emptiness=emptiness,
    )


def halo_for(object_size: float, side: int) -> int:
    """The halo of windows of a side.

    Neighbours share two halos, so that an object that is twice as long as a typical
    one is whole in one of them.
    """
    wanted = ceil(object_size / HALO_STEP) * HALO_STEP
    least, most = (max(int(share * side), 1) for share in (FINEST_HALO, WIDEST_HALO))
    return min(max(wanted, least), most)


def _contrast(image: Image, asked: Asked) -> Ranges:
    """The image's range; stretched over the looks where its sample has one value."""
    ranges = image.contrast
    if all(low < high for low, high in ranges):
        return ranges
    for plane, box in _places(image, asked, 0):
        try:
            pixels_chw = image.read(plane, 0, box)
        except ImageReadError:
            continue
        ranges = tuple(
            widen_empty_range(settled, pixels_hw)
            for settled, pixels_hw in zip(ranges, pixels_chw, strict=True)
        )
    return ranges


def _options_and_level(
    image: Image, model: WindowModel, asked: Asked, contrast: Ranges
) -> tuple[EverythingOptions, int]:
    """The options with the object size in pixels of the level to segment, and it."""
    size = asked.options.object_size  # in pixels of level 0
    if size is None:
        size = _measured(image, model, asked, contrast)
    level = asked.level
    if level is None:
        level = 0 if size is None else _level_for(size, image, model)
    if size is not None:
        size /= _pixel_side(image, level)
    return replace(asked.options, object_size=size), level


def _level_for(size: float, image: Image, model: WindowModel) -> int:
    """The finest level at which an object fits the model's largest window well."""
    sizes = WindowSizes.of(model)
    share = sizes.share
    most = (
        sizes.start * LARGEST_IN_WINDOW
        if share is None
        else sizes.sides[-1] * share * TOO_LARGE
    )
    fitting = (
        index
        for index in range(len(image.levels))
        if size / _pixel_side(image, index) <= most
    )
    return next(fitting, len(image.levels) - 1)


def _measured(
    image: Image, model: WindowModel, asked: Asked, contrast: Ranges
) -> float | None:
    """Side of a typical object in pixels of level 0, None where nothing stands out."""
    first = 0 if asked.level is None else asked.level
    size, finest = None, None
    for level in range(first, len(image.levels)):
        looks = list(_looks(image, asked, level, contrast))
        deviations = [look.deviation for look in looks]
        finest = finest or looks[int(np.argmax(deviations))]
        sizes = [
            found
            for look, deviation in zip(looks, deviations, strict=True)
            if deviation >= CONTENT * max(deviations)
            and (found := estimate_object_size(look.pixels_hwc)) is not None
        ]
        if not sizes:
            break
        size = float(np.median(sizes)) * _pixel_side(image, level)
        largest = max(max(look.pixels_hwc.shape) for look in looks)
        if largest < LOOK_SIDE or float(np.median(sizes)) <= LARGEST_SEEN * largest:
            break
    if size is None or finest is None:
        return None
    share = WindowSizes.of(model).share
    if share is None:  # it sees objects of any size alike, so there is nothing to try
        return size
    rungs = _rungs(image, model, asked, (first, finest), contrast)
    return agreed_size(rungs, size, share)


def _rungs(
    image: Image,
    model: WindowModel,
    asked: Asked,
    seen: tuple[int, Look],
    contrast: Ranges,
) -> Iterator[Rung | None]:
    """What the model finds where most is seen, in windows of more and more pixels."""
    first, look = seen
    sides = trial_sides(model)
    room = max(look.pixels_hwc.shape[:2])
    for index, side in enumerate(sides):
        if index and sides[index - 1] >= room:
            return  # the one before has shown all there is
        windows = best_windows(look.pixels_hwc, side)
        yield rung(model, windows, side, _pixel_side(image, first))
    before = image.levels[first].factors
    y, x = (c * factor for c, factor in zip(look.box.center, before, strict=True))
    for level in range(first + 1, first + 1 + COARSE_RUNGS) if sides else ():
        if level >= len(image.levels):
            return
        found = image.levels[level]
        finer = at_level(asked.region, image.levels[level - 1])
        if sides[-1] >= max(finer.shape):
            return
        top, left = (
            c / factor - sides[-1] / 2
            for c, factor in zip((y, x), found.factors, strict=True)
        )
        box = place(top, left, sides[-1], found.shape)
        try:
            pixels_hwc = _look(image, (look.plane, level, box), contrast)
        except ImageReadError:
            continue
        yield rung(model, [pixels_hwc], sides[-1], _pixel_side(image, level))


def _looks(image: Image, asked: Asked, level: int, contrast: Ranges) -> Iterator[Look]:
    """Parts of a level, as the model sees them; at least one, or an ImageReadError."""
    damage: ImageReadError | None = None
    count = 0
    for plane, box in _places(image, asked, level):
        try:
            pixels_hwc = _look(image, (plane, level, box), contrast)
        except ImageReadError as error:
            damage = error
        else:
            count += 1
            yield Look(plane, box, pixels_hwc)
    if not count and damage is not None:
        raise damage


def _look(
    image: Image, where: tuple[tuple[int, ...], int, Box], contrast: Ranges
) -> NDArray[np.uint8]:
    """One of them; parts that cannot be read have the median of the others."""
    plane, level, whole = where
    try:
        return image.read_rgb(plane, level, whole, contrast)
    except ImageReadError as error:
        damage = error
    pixels_hwc = np.zeros((*whole.shape, 3), dtype=np.uint8)
    is_read = np.zeros(whole.shape, dtype=bool)
    for y in range(whole.y0, whole.y1, PART_SIDE):
        for x in range(whole.x0, whole.x1, PART_SIDE):
            part = Box(y, x, y + PART_SIDE, x + PART_SIDE).clip(whole)
            spot = part.relative_to(whole).slices
            try:
                pixels_hwc[spot] = image.read_rgb(plane, level, part, contrast)
            except ImageReadError:
                continue
            is_read[spot] = True
    if not is_read.any():
        raise damage
    pixels_hwc[~is_read] = np.median(pixels_hwc[is_read], axis=0).astype(np.uint8)
    return pixels_hwc


def _places(
    image: Image, asked: Asked, level: int
) -> Iterator[tuple[tuple[int, ...], Box]]:
    """Where to look, always the same places for the same image."""
    found = image.levels[level]
    area = at_level(asked.region, found)
    for plane in _spread(asked.planes, LOOK_PLANES):
        for y in _starts(area.y0, area.y1):
            for x in _starts(area.x0, area.x1):
                yield plane, place(y, x, LOOK_SIDE, found.shape)


def _spread(planes: Sequence[tuple[int, ...]], count: int) -> Sequence[tuple[int, ...]]:
    """So many of the planes, or all, from the first to the last."""
    if len(planes) <= count:
        return planes
    return [planes[round(i * (len(planes) - 1) / (count - 1))] for i in range(count)]


def _starts(start: int, stop: int) -> list[int]:
    """Where looks begin along one side of an area."""
    count = min(ceil((stop - start) / LOOK_SIDE), LOOKS_ALONG)
    if count == 1:
        return [start]
    room = stop - start - LOOK_SIDE
    return [start + round(i * room / (count - 1)) for i in range(count)]


def _pixel_side(image: Image, level: int) -> float:
    """Side of a pixel of a level, in pixels of level 0."""
    y, x = image.levels[level].factors
    return sqrt(y * x)
