"""What one window shows of the object that was pointed at.

Between what the model answers and what is grown from it: specks removed, clicks put
where a coarse pixel is not half background, and the answers of two windows compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import Mask, bounding_box, deepest_point, iou, without_specks
from napari_sam.predictor.candidates import Candidate, PredictorOptions
from napari_sam.predictor.placed_mask import PlacedMask, largest_islands, touching
from napari_sam.predictor.plane_predictor import PlanePredictor, WindowCandidate
from napari_sam.predictor.windows import (
    REACH,
    Sides,
    at_level,
    from_level,
    image_ends,
    steps_between,
    touched_sides,
)
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

SHALLOW = 2.0
"""Depth, in coarse pixels, up to which a click's coarse pixel may not be the object."""

AGREEMENT = 0.5
"""Least IoU of what two windows show where they overlap."""

SPECK_SIDE = 1 / 16
"""Largest speck, as the side of a square, in windows: in a very large object a small
share of its area is still something that the model has seen well.
"""

LARGEST_TIDIED = 2**26
"""Largest box in which specks are looked for, in pixels."""

MAX_PARTS = 8
"""Parts of an object that get a click of their own at a coarser level."""


class ObjectPredictor:
    """Looks at windows for one set of prompts.

    Parameters
    ----------
    asker
        Who answers.
    prompts
        The user's, in pixels of level 0.
    options
        Which specks to keep.
    """

    def __init__(
        self,
        asker: PlanePredictor,
        prompts: Sequence[Prompt],
        options: PredictorOptions,
    ) -> None:
        self.asker = asker
        self.prompts = tuple(prompts)
        self._options = options
        self._last: tuple[int, Box, list[WindowCandidate]] | None = None

    def look(self, level: int, window: Box) -> list[WindowCandidate]:
        """What a window shows for the user's prompts, best first.

        The last window is remembered: it is often where looking goes on.
        """
        if self._last is None or self._last[:2] != (level, window):
            prompts = self.asker.in_window(self.prompts, level, window)
            self._last = (level, window, self._ask(level, window, prompts))
        return self._last[2]

    def refine(self, candidate: Candidate) -> list[WindowCandidate]:
        """What a candidate's window shows, given its logits too, best first."""
        level, window = candidate.window_level, candidate.window
        known, hint = self.as_sighting(candidate), None
        logits = candidate.logits_hw
        if logits is not None and np.isfinite(logits).all() and (logits > 0).any():
            hint = MaskPrompt(Box.of_shape(window.shape), logits)
        if known is None or level == 0:
            prompts = self.asker.in_window(self.prompts, level, window)
        else:
            prompts = self._prompts_deep_inside(known, level, window)
        return self._ask(level, window, prompts, hint)

    def as_sighting(self, candidate: Candidate) -> WindowCandidate | None:
        """What a candidate's window showed of it, None if its mask lies elsewhere."""
        level, window = candidate.window_level, candidate.window
        steps = steps_between(self.asker.levels, 0, level)
        placed = PlacedMask(candidate.mask, candidate.box, 0)
        mask = placed.sample(window, steps, self.asker.plane_shape)
        if not mask.any():
            return None
        return WindowCandidate(
            level, window, mask, candidate.score, candidate.logits_hw
        )

    def look_again(
        self, level: int, window: Box, known: WindowCandidate
    ) -> list[WindowCandidate]:
        """The best of what another window shows that agrees with a known sighting.

        What scored less follows it. A level coarser than the known one is asked with
        clicks that what is known puts deep inside the object.
        """
        if level == known.level:
            prompts = self.asker.in_window(self.prompts, level, window)
            meant = self.asker.in_window(self.prompts, level, known.window)
            if count_positive(prompts) < count_positive(meant):
                return []
        else:
            prompts = self._prompts_deep_inside(known, level, window)
        sightings = self._ask(level, window, prompts)
        for index, sighting in enumerate(sightings):
            if self._overlap_iou(sighting, known) >= AGREEMENT:
                return sightings[index:]
        return []

    def touched(self, sighting: WindowCandidate) -> Sides:
        """The sides of its window at which a sighting may go on."""
        shape = self.asker.levels[sighting.level].shape
        return touched_sides(sighting.mask_hw, sighting.window, shape)

    def tidied(self, placed: PlacedMask) -> PlacedMask:
        """A drawn mask without specks; what was clicked is none.

        Very large masks stay as they are: finding specks takes 8 bytes a pixel.
        """
        if self._options.keep_specks or placed.box.area > LARGEST_TIDIED:
            return placed
        prompts = self.asker.in_window(self.prompts, placed.level, placed.box)
        mask = self._without_specks(placed.mask_hw, prompts)
        return PlacedMask(mask, placed.box, placed.level)

    def seen_box(self, sighting: WindowCandidate) -> Box:
        """The pixels of level 0 that a sighting covers."""
        visible = bounding_box(sighting.mask_hw) or Box.of_shape(sighting.window.shape)
        box = visible.shift(sighting.window.y0, sighting.window.x0)
        return from_level(
            box, self.asker.levels[sighting.level], self.asker.plane_shape
        )

    def _ask(
        self,
        level: int,
        window: Box,
        prompts: Sequence[Prompt],
        hint: MaskPrompt | None = None,
    ) -> list[WindowCandidate]:
        if not self.asker.may_look(level, window):
            return []
        asked = [*prompts] if hint is None else [*prompts, hint]
        sightings = self.asker.ask(level, window, asked)
        return [self._cleaned(sighting, prompts) for sighting in sightings]

    def _cleaned(
        self, sighting: WindowCandidate, prompts: Sequence[Prompt]
    ) -> WindowCandidate:
        """Without specks, and without what only shows at the window's border."""
        mask = sighting.mask_hw
        if not self._options.keep_specks:
            mask = self._without_specks(mask, prompts)
        meant = touching(mask, pointed_at(prompts, mask.shape))
        if meant.any():
            rest = mask & ~meant
            if rest.any():
                ends = image_ends(
                    sighting.window, self.asker.levels[sighting.level].shape
                )
                mask = mask & ~touching(rest, border_pixels(mask.shape, ends))
        return replace(sighting, mask_hw=mask)

    def _without_specks(self, mask: Mask, prompts: Sequence[Prompt]) -> Mask:
        largest = (SPECK_SIDE * self.asker.size) ** 2
        area = max(int(np.count_nonzero(mask)), 1)
        shares = (self._options.speck_share, self._options.hole_share)
        keep = click_pixels(prompts, mask.shape)
        return without_specks(mask, keep, *(min(s, largest / area) for s in shares))

    def _prompts_deep_inside(
        self, known: WindowCandidate, level: int, window: Box
    ) -> list[Prompt]:
        """The user's prompts for a coarser window, none where its pixels are mixed.

        A click close to the outline may fall on a coarse pixel that is half
        background. What the finer level showed there gives a better place.
        """
        steps = max(steps_between(self.asker.levels, level, known.level))
        depth = ndimage.distance_transform_edt(np.pad(known.mask_hw, 1))[1:-1, 1:-1]
        kept: list[Prompt] = []
        shallow = np.zeros(known.mask_hw.shape, dtype=bool)
        for prompt in self.prompts:
            here = self._positive_pixel(prompt, known)
            if here and known.mask_hw[here] and depth[here] < SHALLOW * steps:
                shallow[here] = True
            else:
                kept.append(prompt)
        prompts = self.asker.in_window(kept, level, window)
        if shallow.any():
            parts = largest_islands(touching(known.mask_hw, shallow), MAX_PARTS)
        else:
            parts = [] if count_positive(prompts) else [known.mask_hw]
        deep = [self._deepest_click(part, known, level, window) for part in parts]
        return [*deep, *prompts]

    def _positive_pixel(
        self, prompt: Prompt, known: WindowCandidate
    ) -> tuple[int, int] | None:
        """Where a positive click lies in a sighting's window, None for any other."""
        if not isinstance(prompt, Click) or not prompt.positive:
            return None
        here = self.asker.in_window([prompt], known.level, known.window)
        return here[0].pixel if here and isinstance(here[0], Click) else None

    def _deepest_click(
        self, part: Mask, known: WindowCandidate, level: int, window: Box
    ) -> Click:
        """A click in a coarser window's pixels, deep inside what was seen finely."""
        row, column = deepest_point(part)
        steps = steps_between(self.asker.levels, level, known.level)
        height, width = window.shape
        y = int((row + known.window.y0 + 0.5) / steps[0]) - window.y0
        x = int((column + known.window.x0 + 0.5) / steps[1]) - window.x0
        return Click(min(max(y, 0), height - 1), min(max(x, 0), width - 1))

    def _overlap_iou(self, sighting: WindowCandidate, known: WindowCandidate) -> float:
        """IoU at the known sighting's level, where both windows look."""
        levels = self.asker.levels
        steps = steps_between(levels, sighting.level, known.level)
        covered = at_level(
            from_level(sighting.window, levels[sighting.level], self.asker.plane_shape),
            levels[known.level],
        )
        if not covered.intersects(known.window):
            return 0.0
        shared = covered.clip(known.window)
        placed = PlacedMask(sighting.mask_hw, sighting.window, sighting.level)
        shown = placed.sample(shared, steps, self.asker.levels[sighting.level].shape)
        before = known.mask_hw[shared.relative_to(known.window).slices]
        return iou(shown, before)


def count_positive(prompts: Sequence[Prompt]) -> int:
    """How many of the prompts say where the object is."""
    return sum(not isinstance(prompt, Click) or prompt.positive for prompt in prompts)


def click_pixels(prompts: Sequence[Prompt], shape: tuple[int, int]) -> Mask:
    """The pixels under clicks, positive or not, in an array of this shape."""
    pixels = np.zeros(shape, dtype=bool)
    for prompt in prompts:
        if isinstance(prompt, Click):
            pixels[prompt.pixel] = True
    return pixels


def pointed_at(prompts: Sequence[Prompt], shape: tuple[int, int]) -> Mask:
    """The pixels that positive prompts point at, in an array of this shape."""
    pixels = np.zeros(shape, dtype=bool)
    for prompt in prompts:
        if isinstance(prompt, Click):
            pixels[prompt.pixel] |= prompt.positive
        elif isinstance(prompt, BoxPrompt):
            pixels[prompt.box.clip(Box.of_shape(shape)).slices] = True
        else:
            pixels[prompt.box.slices] |= prompt.mask
    return pixels


def border_pixels(shape: tuple[int, int], ends: Sides) -> Mask:
    """The pixels along the sides of a window at which the image goes on."""
    pixels = np.zeros(shape, dtype=bool)
    pixels[:REACH] |= not ends.top
    pixels[:, :REACH] |= not ends.left
    pixels[-REACH:] |= not ends.bottom
    pixels[:, -REACH:] |= not ends.right
    return pixels
