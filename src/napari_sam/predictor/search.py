"""Where to begin: the first window for a set of prompts, and what if it misleads.

Negative clicks never decide where to look: only what the object is can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, bounding_box
from napari_sam.predictor.candidates import Candidate, PredictorOptions
from napari_sam.predictor.growing import COMPACT, DrawnObject, Grower, positive_bounds
from napari_sam.predictor.object_predictor import ObjectPredictor
from napari_sam.predictor.placed_mask import MaskCanvas, PlacedMask, half_width
from napari_sam.predictor.plane_predictor import WindowCandidate
from napari_sam.predictor.window_sizes import SizeEstimate
from napari_sam.predictor.windows import (
    BOX_SHARE,
    CLICK_SHARE,
    at_level,
    first_window,
    fits,
    has_margin,
    nearest,
    place,
    steps_between,
)
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

MAX_SEEDS = 16
"""Positive clicks that are looked at each by itself, where no window fits them all."""


class ObjectSearch:
    """Finds the object that a set of prompts points at.

    Parameters
    ----------
    looker
        Shows windows for the prompts.
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
        self._finest = looker.asker.levels[base]
        self._prompts = looker.prompts
        self._plane = Box.of_shape(looker.asker.plane_shape)
        self._grower = Grower(looker, base, options)

    def run(self, previous: Candidate | None = None) -> DrawnObject | None:
        """The object, or None where the model sees none.

        Parameters
        ----------
        previous
            The candidate so far. Where the prompts fit in its window, it is asked
            again, with its logits as one more prompt.
        """
        bounds = self._bounds()
        level, window = self._start(bounds)
        if previous is not None and self._holds(previous, bounds, level, window):
            refined = self._looker.refine(previous)
            if refined:
                return self._grower.grow(refined)
        sightings = self._looker.look(level, window)
        if level == self._base:
            return self._grower.grow(sightings) if sightings else None
        if sightings and self._is_reliable(sightings[0]):
            found: DrawnObject | None = self._grower.grow(sightings)
        else:
            found = None
        found = self._with_seeds(found)
        if found is None and sightings:
            found = self._from_a_finer_look(sightings, bounds)
        return found

    def glimpse(self) -> SizeEstimate:
        """How large the object is, as far as the first window shows it.

        Something that reaches the window's border is as long as what is seen of it.
        """
        bounds = self._bounds()
        level, window = self._start(bounds)
        sightings = self._looker.look(level, window)
        if not sightings:
            return SizeEstimate(0.0, 0.0)
        mask = sightings[0].mask_hw
        side = float(np.sqrt(np.count_nonzero(mask)))
        box = bounding_box(mask)
        if box is not None and any(self._looker.touched(sightings[0])):
            side = float(max(box.shape))
        steps = steps_between(self._asker.levels, level, self._base)
        return SizeEstimate(side * max(steps), sightings[0].score)

    def _bounds(self) -> Box:
        bounds = positive_bounds(self._prompts, self._plane)
        if bounds is None:
            raise PromptError(
                "At least one positive click, a box or a mask is needed to find an "
                f"object, got {len(self._prompts)} prompts, none of them positive."
            )
        return bounds

    def _start(self, bounds: Box) -> tuple[int, Box]:
        """The finest level at which the prompts fit in a window, and the window."""
        only_clicks = all(isinstance(prompt, Click) for prompt in self._prompts)
        share = CLICK_SHARE if only_clicks else BOX_SHARE
        levels, size = self._asker.levels, self._asker.size
        level = len(levels) - 1
        for index in range(self._base, len(levels)):
            if fits(at_level(bounds, levels[index]), size, levels[index].shape, share):
                level = index
                break
        here, shape = at_level(bounds, levels[level]), levels[level].shape
        wanted = first_window(here, size, shape)
        known = self._asker.encoded(level)
        if wanted in known:
            return level, wanted
        # A window that is there already costs nothing, and if the object turns out to
        # leave it, looking again costs no more than the window wanted would have.
        margin = size // 8
        roomy = [box for box in known if has_margin(box, here, margin, shape)]
        return level, nearest(roomy, wanted) or wanted

    def _holds(self, previous: Candidate, bounds: Box, level: int, window: Box) -> bool:
        """Whether the prompts are as well placed in the window that decided before."""
        if not self._base <= previous.window_level < len(self._asker.levels):
            return False
        shape = self._asker.levels[previous.window_level].shape
        if not Box.of_shape(shape).contains(previous.window):
            return False
        here = at_level(bounds, self._asker.levels[previous.window_level])
        return (level, window) == (
            previous.window_level,
            previous.window,
        ) or has_margin(previous.window, here, self._asker.size // 8, shape)

    def _is_reliable(self, sighting: WindowCandidate) -> bool:
        """Whether an object is thick enough at its level to be seen there."""
        return half_width(sighting.mask_hw) >= COMPACT

    def _with_seeds(self, found: DrawnObject | None) -> DrawnObject | None:
        """What was found, and what the clicks that it leaves out point at."""
        clicks = [p for p in self._prompts if isinstance(p, Click) and p.positive]
        for click in clicks[:MAX_SEEDS]:
            if found is not None and self._is_on(click, found.placed):
                continue
            row, column = click.pixel
            here = at_level(Box(row, column, row + 1, column + 1), self._finest)
            window = first_window(here, self._asker.size, self._finest.shape)
            seed = self._looker.look(self._base, window)
            if seed:
                piece = self._grower.grow(seed)
                found = piece if found is None else self._union(found, piece)
        return found

    def _is_on(self, click: Click, placed: PlacedMask) -> bool:
        here = self._asker.in_window([click], placed.level, placed.box)
        return any(
            bool(placed.mask_hw[there.pixel])
            for there in here
            if isinstance(there, Click)
        )

    def _union(self, one: DrawnObject, other: DrawnObject) -> DrawnObject:
        """Two pieces as one object; only pieces of the same level can be joined."""
        if one.placed.level != other.placed.level:
            return DrawnObject(one.placed, one.sighting, (), complete=False)
        shape = self._asker.levels[one.placed.level].shape
        canvas = MaskCanvas(one.placed, Box.of_shape(shape), room=0)
        box = Box.around((one.placed.box, other.placed.box))
        canvas.paste(box, one.placed.read(box) | other.placed.read(box))
        worse = min((one.sighting, other.sighting), key=lambda sight: sight.score)
        return DrawnObject(canvas.placed, worse, (), one.complete and other.complete)

    def _from_a_finer_look(
        self, sightings: list[WindowCandidate], bounds: Box
    ) -> DrawnObject:
        """A thin object in a box: followed from the box's centre, if it is there.

        At a level at which the box fits the object may be blurred beyond recognition.
        The finest level around the box's centre shows a piece of it, or something else.
        """
        if any(isinstance(prompt, BoxPrompt) for prompt in self._prompts):
            y, x = at_level(bounds, self._finest).center
            half, shape = self._asker.size / 2, self._finest.shape
            # Off the lattice: cut by this window, the box keeps its centre.
            window = place(y - half, x - half, self._asker.size, shape)
            seed = self._looker.look(self._base, window)
            if seed and self._confirms(seed[0], sightings[0]):
                return self._grower.grow(seed)
        return self._grower.grow(sightings)

    def _confirms(self, fine: WindowCandidate, coarse: WindowCandidate) -> bool:
        """Whether a finer window shows what the coarse one does: as thin, and there."""
        levels = self._asker.levels
        steps = steps_between(levels, coarse.level, fine.level)
        placed = PlacedMask(coarse.mask_hw, coarse.window, coarse.level)
        expected = placed.sample(fine.window, steps, levels[coarse.level].shape)
        reach = max(int(max(steps)), 1)
        near = ndimage.binary_dilation(fine.mask_hw, EIGHT_NEIGHBOURS, reach)
        covered, total = np.count_nonzero(expected & near), np.count_nonzero(expected)
        thin = half_width(fine.mask_hw) < (COMPACT + 2) * max(steps)
        return bool(thin and covered > 0 and 2 * covered >= total)


def in_canonical_order(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """The prompts without repeats, in an order that does not depend on the user's."""
    clicks = sorted({prompt for prompt in prompts if isinstance(prompt, Click)})
    boxes = sorted({prompt for prompt in prompts if isinstance(prompt, BoxPrompt)})
    masks = {
        (prompt.box, prompt.logits_hw.tobytes()): prompt
        for prompt in prompts
        if isinstance(prompt, MaskPrompt)
    }
    return (*clicks, *boxes, *(masks[key] for key in sorted(masks)))
