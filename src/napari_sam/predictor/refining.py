"""Draw finely what was seen coarsely, along its outline, a few levels at a time.

One step goes down as many levels as keep the open band (see `band`) well inside a
window's margin, and no further than the budget of windows allows: an outline that is
drawn at one level all along is worth more than one that is finer in places.
"""

from __future__ import annotations

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.predictor.band import Band
from napari_sam.predictor.candidates import PredictorOptions
from napari_sam.predictor.object_predictor import ObjectPredictor
from napari_sam.predictor.placed_mask import PlacedMask
from napari_sam.predictor.plane_predictor import PlanePredictor
from napari_sam.predictor.tracing import Tracer
from napari_sam.predictor.window_grid import Cell, WindowGrid
from napari_sam.predictor.windows import (
    at_level,
    from_level,
    steps_between,
)


def refined(
    looker: ObjectPredictor, placed: PlacedMask, base: int, options: PredictorOptions
) -> tuple[PlacedMask, bool]:
    """Refine the outline of an object down to a level.

    Returns
    -------
    The mask, at `base` or, where the windows ran out, at a coarser level; and whether
    all of it was drawn.
    """
    asker, complete = looker.asker, True
    while placed.level > base:
        placed = _checked(placed, asker, options)
        step = _next_step(placed, asker, base)
        if step is None:
            complete = False
            break
        target, cells, band = step
        finer = _upsampled(placed, asker, target)
        area = asker.levels[target].factors[0] * asker.levels[target].factors[1]
        tracer = Tracer(
            asker,
            looker.prompts,
            finer,
            band,
            seen=finer.box,
            max_pixels=max(int(options.max_object_pixels / area), finer.box.area),
        )
        tracer.draw(cells)
        placed = tracer.placed
        complete = complete and tracer.complete
    return looker.tidied(_checked(placed, asker, options)), complete


def _checked(
    placed: PlacedMask, asker: PlanePredictor, options: PredictorOptions
) -> PlacedMask:
    """The mask over its tightest box, which has to be small enough to be held."""
    trimmed = placed.trimmed() or placed
    box = from_level(trimmed.box, asker.levels[trimmed.level], asker.plane_shape)
    if box.area > options.max_object_pixels:
        height, width = box.shape
        raise PredictorError(
            f"The object covers {height} x {width} pixels, more than the "
            f"{options.max_object_pixels} that are held in memory. Draw a smaller box, "
            "add negative clicks where it should end, or raise max_object_pixels in "
            "the PredictorOptions."
        )
    return trimmed


def _next_step(
    placed: PlacedMask, asker: PlanePredictor, base: int
) -> tuple[int, list[Cell], Band] | None:
    """The finest level that the next step may go to, and the cells to draw there."""
    widest = max(2.0, asker.size / 64)
    for target in range(base, placed.level):
        steps = steps_between(asker.levels, placed.level, target)
        if max(steps) > widest and target < placed.level - 1:
            continue
        grid = WindowGrid.of_quarters(asker.levels[target].shape, asker.size)
        band = Band.along(placed, asker.levels, target)
        cells = band.cells(grid)
        fresh = sum(not asker.has_looked(target, grid.window(*cell)) for cell in cells)
        if fresh <= asker.windows_left:
            return target, cells, band
    return None


def _upsampled(placed: PlacedMask, asker: PlanePredictor, level: int) -> PlacedMask:
    levels = asker.levels
    box: Box = at_level(
        from_level(placed.box, levels[placed.level], asker.plane_shape), levels[level]
    )
    steps = steps_between(levels, placed.level, level)
    mask = placed.sample(box, steps, levels[placed.level].shape)
    return PlacedMask(mask, box, level)
