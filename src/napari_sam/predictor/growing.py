"""From what one window shows to the whole object, finely drawn.

    touches no side that goes on  ->  it is whole
    touches one, or two adjacent  ->  a window with more room on those sides
    does not fit, but is compact  ->  a window of the next coarser level
    does not fit, and is thin     ->  follow it cell by cell: a coarser level blurs it

Each new window has to agree with the last one where they overlap; one that does not is
left aside.

What was seen coarsely is then refined along its outline. One step goes down as many
levels as keep the open band (see `band`) well inside a window's margin, and no further
than the budget of windows allows: an outline that is drawn at one level all along is
worth more than one that is finer in parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.predictor.band import Band
from napari_sam.predictor.candidates import PredictorOptions
from napari_sam.predictor.object_predictor import ObjectPredictor
from napari_sam.predictor.placed_mask import PlacedMask, half_width
from napari_sam.predictor.plane_predictor import WindowCandidate
from napari_sam.predictor.tracing import Tracer
from napari_sam.predictor.window_grid import Cell, WindowGrid
from napari_sam.predictor.windows import (
    BOX_SHARE,
    Window,
    at_level,
    first_window,
    fits,
    from_level,
    recentred,
    steps_between,
)

MAX_RECENTRES = 2
"""Times a window is moved at one level before the next level is tried."""

COMPACT = 4.0
"""Least half-width of an object at a level, in its pixels, to be seen there."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnObject:
    """An object as far as it was drawn.

    Attributes
    ----------
    placed
        Its mask; at a level coarser than wanted where windows ran out.
    decisive
        The candidate of one window that it was drawn from.
    alternatives
        What else that window may have shown, best first.
    complete
        False where a bound was met before all was drawn.
    """

    placed: PlacedMask
    decisive: WindowCandidate
    alternatives: tuple[WindowCandidate, ...]
    complete: bool


class Grower:
    """Grows objects on one plane from what single windows show.

    Parameters
    ----------
    predictor
        Shows the object in windows.
    base
        The level to draw at.
    options
        Bounds.
    """

    def __init__(
        self, predictor: ObjectPredictor, base: int, options: PredictorOptions
    ) -> None:
        self.predictor = predictor
        self.base = base
        self._plane = predictor.plane
        self._most = options.max_object_pixels

    def grow(self, candidates: Sequence[WindowCandidate]) -> DrawnObject:
        """Make the first of these candidates whole; the others are alternatives."""
        current, others = candidates[0], list(candidates[1:])
        visible, recentres = self.predictor.visible_box(current), 0
        while any(self.predictor.touched(current)):
            found = self._recentred(current) if recentres < MAX_RECENTRES else []
            recentres += 1
            if not found:
                found, recentres = self._coarser(current, visible), 0
            if not found and self._is_too_large(current, visible):
                return self._whole(candidates[0], candidates[1:], complete=False)
            if not found:
                return self._followed(current, others)
            current, others = found[0], found[1:]
            visible = Box.around((visible, self.predictor.visible_box(current)))
        return self._whole(current, others, complete=True)

    def is_whole(self, candidate: WindowCandidate) -> bool:
        """Whether a candidate does not go on, nor can be drawn finer."""
        at_base = candidate.window.level == self.base
        return at_base and not any(self.predictor.touched(candidate))

    def _recentred(self, current: WindowCandidate) -> list[WindowCandidate]:
        window = current.window
        shape = self._plane.levels[window.level].shape
        box = recentred(current.mask_hw, window.box, window.size, shape)
        if box is None:
            return []
        moved = Window(window.level, box, window.size)
        return self.predictor.predict_agreeing(moved, current)

    def _coarser(self, current: WindowCandidate, visible: Box) -> list[WindowCandidate]:
        """What the next coarser level shows, where it can show the object."""
        window = self._coarser_window(current, visible)
        if window is None or self._area(window.box, window.level) > self._most:
            return []
        return self.predictor.predict_agreeing(window, current)

    def _is_too_large(self, current: WindowCandidate, visible: Box) -> bool:
        """Whether a coarser level would show an object larger than is held."""
        window = self._coarser_window(current, visible)
        return window is not None and self._area(window.box, window.level) > self._most

    def _area(self, box: Box, level: int) -> int:
        return from_level(box, self._plane.levels[level], self._plane.shape).area

    def _coarser_window(self, current: WindowCandidate, visible: Box) -> Window | None:
        """The next level's window on all that was seen, None where it is too thin."""
        levels, level = self._plane.levels, current.window.level + 1
        if level >= len(levels):
            return None
        steps = steps_between(levels, level, current.window.level)
        if half_width(current.mask_hw) < COMPACT * max(steps):
            return None
        size, shape = current.window.size, levels[level].shape
        bounds = at_level(visible, levels[level])
        meant = self.predictor.bounds
        if meant is not None:
            both = Box.around((bounds, at_level(meant, levels[level])))
            bounds = both if fits(both, size, shape, BOX_SHARE) else bounds
        return Window(level, first_window(bounds, size, shape), size)

    def _followed(
        self, current: WindowCandidate, others: Sequence[WindowCandidate]
    ) -> DrawnObject:
        """The object followed from the last window that showed it."""
        window = current.window
        known = PlacedMask(current.mask_hw, window.box, window.level)
        tracer = self._tracer(known, window.size)
        tracer.follow()
        return self._drawn(tracer.placed, current, others, tracer.complete)

    def _whole(
        self,
        decisive: WindowCandidate,
        others: Sequence[WindowCandidate],
        complete: bool,
    ) -> DrawnObject:
        window = decisive.window
        placed = PlacedMask(decisive.mask_hw, window.box, window.level)
        return self._drawn(placed, decisive, others, complete)

    def _drawn(
        self,
        placed: PlacedMask,
        decisive: WindowCandidate,
        others: Sequence[WindowCandidate],
        complete: bool,
    ) -> DrawnObject:
        size = decisive.window.size
        while placed.level > self.base:
            placed = self._checked(placed)
            step = self._next_step(placed, size)
            if step is None:
                complete = False
                break
            level, cells, band = step
            tracer = self._tracer(self._upsampled(placed, level), size, band)
            tracer.draw(cells)
            placed = tracer.placed
            complete = complete and tracer.complete
        placed = self.predictor.tidied(self._checked(placed), size)
        return DrawnObject(placed, decisive, tuple(others), complete)

    def _tracer(self, known: PlacedMask, size: int, band: Band | None = None) -> Tracer:
        fy, fx = self._plane.levels[known.level].factors
        most = max(int(self._most / (fy * fx)), known.box.area)
        return Tracer(self._plane, self.predictor.prompts, known, size, most, band)

    def _checked(self, placed: PlacedMask) -> PlacedMask:
        """The mask over its tightest box, which has to be small enough to be held."""
        trimmed = placed.trimmed() or placed
        level = self._plane.levels[trimmed.level]
        box = from_level(trimmed.box, level, self._plane.shape)
        if box.area > self._most:
            height, width = box.shape
            raise PredictorError(
                f"The object covers {height} x {width} pixels, more than the "
                f"{self._most} that are held in memory. Draw a smaller box, add "
                "negative clicks where it should end, or raise max_object_pixels in "
                "the PredictorOptions."
            )
        return trimmed

    def _next_step(
        self, placed: PlacedMask, size: int
    ) -> tuple[int, list[Cell], Band] | None:
        """The finest level that the next step may go to, and the cells to draw."""
        plane, widest = self._plane, max(2.0, size / 64)
        for level in range(self.base, placed.level):
            steps = steps_between(plane.levels, placed.level, level)
            if max(steps) > widest and level < placed.level - 1:
                continue
            grid = WindowGrid.of_quarters(plane.levels[level].shape, size)
            band = Band.along(placed, plane.levels, level)
            cells = band.cells(grid)
            fresh = sum(
                not plane.is_used(Window(level, grid.window(*cell), size))
                for cell in cells
            )
            if fresh <= plane.windows_left(size):
                return level, cells, band
        return None

    def _upsampled(self, placed: PlacedMask, level: int) -> PlacedMask:
        levels, coarse = self._plane.levels, self._plane.levels[placed.level]
        whole = from_level(placed.box, coarse, self._plane.shape)
        box = at_level(whole, levels[level])
        steps = steps_between(levels, placed.level, level)
        return PlacedMask(placed.sample(box, steps, coarse.shape), box, level)
