"""What is settled once for an image before any of its windows is segmented.

The size of the objects, the intensity range and the background are of the image, not
of a window, so they come from samples of it. Where no size of the objects is given, the
model segments parts of the samples, and two windows of coarser levels around the one
that shows most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import ceil, sqrt

import numpy as np

from napari_sam.automatic.estimate.blob_size import estimate_object_size
from napari_sam.automatic.estimate.empty_windows import Emptiness
from napari_sam.automatic.estimate.samples import (
    CONTENT,
    SAMPLE_SIDE,
    BeforeRead,
    ImageSampler,
    Pixels,
    Sample,
    sample_boxes,
)
from napari_sam.automatic.estimate.size_trial import (
    TrialSize,
    agreed_size,
    spread_samples,
    trial_sides,
    trial_size,
    trial_windows,
)
from napari_sam.automatic.plan import RunPlan, RunRequest
from napari_sam.automatic.window.map_windows import MapWindows
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.errors import ImageReadError
from napari_sam.images import Image, Ranges, widen_empty_range
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import WindowSizes, at_level, window_at

LARGEST_SEEN = 0.25  # of a sample, of an object that is measured well
LARGEST_IN_WINDOW = 0.25  # the same, of a window, without a best size of the model's
USUAL_IN_WINDOW = 1 / 16
TOO_LARGE = sqrt(2)  # times the size that a model sees best in its largest window
FINEST_HALO, WIDEST_HALO = 1 / 8, 1 / 4  # of a window
HALO_STEP = 8  # pixels
COARSE_TRIALS = 2  # levels, of which one window is tried
WINDOWS_ALONG = 4
"""Windows along a side of a tile, at most: what a kill can cost is a tile, what a tile
costs beside its windows is a file.
"""
TILE_SIDE = 2048
"""Pixels along a side of a tile's cores, at most, as far as a window is no larger: some
tiles are in memory at a time.
"""


def plan_run(
    image: Image,
    model: WindowModel,
    request: RunRequest,
    before_read: BeforeRead = lambda *_: None,
) -> RunPlan:
    """Sample an image, and settle all that a run on it depends on.

    Parameters
    ----------
    image, request
        What is segmented.
    model
        Used to estimate the size of the objects where the request has none.
    before_read
        Called before each sample, and before each window that the model gets.

    Returns
    -------
    RunPlan
        The same for the same image, model and request.
    """
    contrast = _contrast(image, request, before_read)
    sampler = ImageSampler(image, request, contrast, before_read)
    options, level = _options_and_level(sampler, model)
    # Only a model knows how it sees; the size is never left to single windows.
    size = options.object_size or model.window_size * USUAL_IN_WINDOW
    # What is the best that a model has is settled once, and is part of the plan.
    options = replace(options, object_size=size, mode=options.mode_for(model))
    side = options.window_side(model)
    halo = halo_for(size, side)
    along = max(min(WINDOWS_ALONG, TILE_SIDE // (side - 2 * halo)), 1)
    emptiness = None
    if request.skip_empty:
        samples = [sample.pixels_hwc for sample in sampler.samples(level)]
        emptiness = Emptiness.settled(samples, image.levels, level, size)
    return RunPlan(
        request,
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


def _contrast(image: Image, request: RunRequest, before_read: BeforeRead) -> Ranges:
    """The image's range; stretched over the samples where that is a single value."""
    ranges = image.contrast
    if all(low < high for low, high in ranges):
        return ranges
    for plane, box in sample_boxes(image, request, 0):
        before_read(0, box)
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
    sampler: ImageSampler, model: WindowModel
) -> tuple[AutomaticOptions, int]:
    """The options with the object size in pixels of the level to segment, and it."""
    image, request = sampler.image, sampler.request
    size = request.options.object_size  # in pixels of level 0
    if size is None:
        size = _measured(sampler, model)
    level = request.level
    if level is None:
        level = 0 if size is None else _level_for(size, image, model, request.options)
    if size is not None:
        size /= _pixel_side(image, level)
    return replace(request.options, object_size=size), level


def _level_for(
    size: float, image: Image, model: WindowModel, options: AutomaticOptions
) -> int:
    """The finest level at which an object fits the model's largest window well."""
    sizes = WindowSizes.of(model)
    share = sizes.share
    if options.mode_for(model) is AutomaticMode.INSTANCES:
        maps = MapWindows.of(model)
        return _finest(image, size, maps.sides[-1] * maps.share * TOO_LARGE)
    most = (
        sizes.start * LARGEST_IN_WINDOW
        if share is None
        else sizes.sides[-1] * share * TOO_LARGE
    )
    return _finest(image, size, most)


def _finest(image: Image, size: float, most: float) -> int:
    """The finest level at which an object is at most so large."""
    fitting = (
        index
        for index in range(len(image.levels))
        if size / _pixel_side(image, index) <= most
    )
    return next(fitting, len(image.levels) - 1)


def _measured(sampler: ImageSampler, model: WindowModel) -> float | None:
    """Side of a typical object in pixels of level 0, None where nothing stands out."""
    image, size, finest = sampler.image, None, list[Sample]()
    for level in range(sampler.request.level or 0, len(image.levels)):
        samples = list(sampler.samples(level))
        largest = max(max(sample.box.shape) for sample in samples)
        most = max(sample.deviation for sample in samples)
        samples = [each for each in samples if each.deviation >= CONTENT * most]
        finest = finest or spread_samples(samples)
        sizes = [
            found
            for sample in samples
            if (found := estimate_object_size(sample.pixels_hwc)) is not None
        ]
        if not sizes:
            break
        size = float(np.median(sizes)) * _pixel_side(image, level)
        if largest < SAMPLE_SIDE or float(np.median(sizes)) <= LARGEST_SEEN * largest:
            break
    if size is None:
        return None
    share = WindowSizes.of(model).share
    if sampler.request.options.mode_for(model) is AutomaticMode.INSTANCES:
        share = MapWindows.of(model).share
    if share is None:  # it sees objects of any size alike, so there is nothing to try
        return size
    return agreed_size(_trials(sampler, model, finest), size, share)


def _trials(
    sampler: ImageSampler, model: WindowModel, samples: list[Sample]
) -> Iterator[TrialSize | None]:
    """What the model finds in samples, in windows of more and more pixels."""
    image, richest = sampler.image, samples[0]
    first, sides = richest.level, trial_sides(model)
    mode = sampler.request.options.mode_for(model)
    room = max(max(sample.box.shape) for sample in samples)
    for index, side in enumerate(sides):
        if index and sides[index - 1] >= room:
            return  # the one before has shown all there is
        windows = _windows(sampler, samples, side)
        yield trial_size(model, windows, side, _pixel_side(image, first), mode)
    factors = image.levels[first].factors
    y, x = (c * factor for c, factor in zip(richest.box.center, factors, strict=True))
    for level in range(first + 1, first + 1 + COARSE_TRIALS) if sides else ():
        if level >= len(image.levels):
            return
        found = image.levels[level]
        finer = at_level(sampler.request.region, image.levels[level - 1])
        if sides[-1] >= max(finer.shape):
            return
        top, left = (
            c / factor - sides[-1] / 2
            for c, factor in zip((y, x), found.factors, strict=True)
        )
        box = window_at(top, left, sides[-1], found.shape)
        try:
            coarse = sampler.sample(richest.plane, level, box)
        except ImageReadError:
            continue
        windows = _windows(sampler, [coarse], sides[-1])
        yield trial_size(model, windows, sides[-1], _pixel_side(image, level), mode)


def _windows(
    sampler: ImageSampler, samples: Iterable[Sample], side: int
) -> Iterator[Pixels]:
    for sample in samples:
        for window in trial_windows(sample.pixels_hwc, side):
            sampler.before_read(sample.level, sample.box)
            yield window


def _pixel_side(image: Image, level: int) -> float:
    """Side of a pixel of a level, in pixels of level 0."""
    y, x = image.levels[level].factors
    return sqrt(y * x)
