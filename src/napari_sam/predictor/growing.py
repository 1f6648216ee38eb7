"""From what one window shows to the whole object.

    touches no side that goes on  ->  it is whole
    touches one, or two adjacent  ->  look again, with more room on those sides
    does not fit, but is compact  ->  look at the next coarser level
    does not fit, and is thin     ->  follow it cell by cell: a coarser level blurs it

What was seen coarsely is then refined, level by level, along its outline. Each new
window has to agree with the last one where they overlap; one that does not is left
aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_sam.geometry import Box
from napari_sam.predictor.candidates import PredictorOptions
from napari_sam.predictor.object_predictor import ObjectPredictor
from napari_sam.predictor.placed_mask import PlacedMask, half_width
from napari_sam.predictor.plane_predictor import WindowCandidate
from napari_sam.predictor.refining import refined
from napari_sam.predictor.tracing import Tracer
from napari_sam.predictor.windows import (
    BOX_SHARE,
    at_level,
    first_window,
    fits,
    from_level,
    recentred,
    steps_between,
)
from napari_sam.prompts import Click, Prompt

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
        Its mask; at a level coarser than asked for where windows ran out.
    sighting
        What decided.
    alternatives
        What else that window may have shown, best first.
    complete
        False where a bound was met before all was drawn.
    """

    placed: PlacedMask
    sighting: WindowCandidate
    alternatives: tuple[WindowCandidate, ...]
    complete: bool


def positive_bounds(prompts: Sequence[Prompt], plane: Box) -> Box | None:
    """The smallest box of level 0 that holds what positive prompts point at."""
    boxes = []
    for prompt in prompts:
        if isinstance(prompt, Click):
            if prompt.positive:
                row, column = prompt.pixel
                boxes.append(Box(row, column, row + 1, column + 1))
        else:
            boxes.append(prompt.box.clip(plane))
    return Box.around(boxes) if boxes else None


class Grower:
    """Grows objects on one plane, from sightings.

    Parameters
    ----------
    looker
        Shows windows for the user's prompts.
    base
        The level to draw at.
    options
        Bounds.
    """

    def __init__(
        self, looker: ObjectPredictor, base: int, options: PredictorOptions
    ) -> None:
        self._looker = looker
        self._asker = looker.asker
        self._base = base
        self._options = options

    def grow(self, sightings: Sequence[WindowCandidate]) -> DrawnObject:
        """Make the first of these sightings whole; the others are its alternatives."""
        current, others = sightings[0], list(sightings[1:])
        seen, recentres = self._looker.seen_box(current), 0
        while any(self._looker.touched(current)):
            found = self._recentred(current) if recentres < MAX_RECENTRES else []
            recentres += 1
            if not found:
                found, recentres = self._coarser(current, seen), 0
            if not found and self._is_too_large(current, seen):
                return self._refined(sightings[0], sightings[1:], complete=False)
            if not found:
                return self._followed(current, others)
            current, others = found[0], found[1:]
            seen = Box.around((seen, self._looker.seen_box(current)))
        return self._refined(current, others, complete=True)

    def is_whole(self, sighting: WindowCandidate) -> bool:
        """Whether a sighting has nothing more to see, nor to see finer."""
        return sighting.level == self._base and not any(self._looker.touched(sighting))

    def _recentred(self, current: WindowCandidate) -> list[WindowCandidate]:
        window = recentred(
            current.mask_hw,
            current.window,
            self._asker.size,
            self._asker.levels[current.level].shape,
        )
        if window is None:
            return []
        return self._looker.look_again(current.level, window, current)

    def _coarser(self, current: WindowCandidate, seen: Box) -> list[WindowCandidate]:
        """What the next coarser level shows, where it can show the object."""
        window = self._coarser_window(current, seen)
        if window is None or self._area(window, current.level + 1) > self._most:
            return []
        return self._looker.look_again(current.level + 1, window, current)

    def _is_too_large(self, current: WindowCandidate, seen: Box) -> bool:
        """Whether a coarser level would show an object larger than is held."""
        window = self._coarser_window(current, seen)
        return window is not None and self._area(window, current.level + 1) > self._most

    @property
    def _most(self) -> int:
        return self._options.max_object_pixels

    def _area(self, window: Box, level: int) -> int:
        shape = self._asker.plane_shape
        return from_level(window, self._asker.levels[level], shape).area

    def _coarser_window(self, current: WindowCandidate, seen: Box) -> Box | None:
        """The next level's window on all that was seen, None where it is too thin."""
        levels, level = self._asker.levels, current.level + 1
        if level >= len(levels):
            return None
        steps = steps_between(levels, level, current.level)
        if half_width(current.mask_hw) < COMPACT * max(steps):
            return None
        size, shape = self._asker.size, levels[level].shape
        bounds = at_level(seen, levels[level])
        plane = Box.of_shape(self._asker.plane_shape)
        meant = positive_bounds(self._looker.prompts, plane)
        if meant is not None:
            both = Box.around((bounds, at_level(meant, levels[level])))
            bounds = both if fits(both, size, shape, BOX_SHARE) else bounds
        return first_window(bounds, size, shape)

    def _followed(
        self, current: WindowCandidate, others: Sequence[WindowCandidate]
    ) -> DrawnObject:
        """The object followed from the last window that showed it."""
        fy, fx = self._asker.levels[current.level].factors
        known = PlacedMask(current.mask_hw, current.window, current.level)
        tracer = Tracer(
            self._asker,
            self._looker.prompts,
            known,
            band=None,
            seen=current.window,
            max_pixels=max(int(self._most / (fy * fx)), current.window.area),
        )
        tracer.follow()
        return self._drawn(tracer.placed, current, others, tracer.complete)

    def _refined(
        self,
        sighting: WindowCandidate,
        others: Sequence[WindowCandidate],
        complete: bool,
    ) -> DrawnObject:
        placed = PlacedMask(sighting.mask_hw, sighting.window, sighting.level)
        return self._drawn(placed, sighting, others, complete)

    def _drawn(
        self,
        placed: PlacedMask,
        sighting: WindowCandidate,
        others: Sequence[WindowCandidate],
        complete: bool,
    ) -> DrawnObject:
        placed, finished = refined(self._looker, placed, self._base, self._options)
        return DrawnObject(placed, sighting, tuple(others), complete and finished)
