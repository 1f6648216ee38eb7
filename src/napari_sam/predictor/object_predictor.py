"""What one window shows of the object that was pointed at.

Between what the model predicts and what is grown from it: specks removed, clicks put
where a coarse pixel is not half background, and the masks of two windows compared.
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
    Window,
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
"""Largest box in which specks are removed, in pixels."""

MAX_PARTS = 8
"""Parts of an object that get a click of their own at a coarser level."""


class ObjectPredictor:
    """Predicts one object, that which the prompts point at, in windows of a plane.

    Parameters
    ----------
    plane
        Predicts in windows.
    prompts
        The user's, in pixels of level 0.
    options
        Which specks to keep.
    """

    def __init__(
        self,
        plane: PlanePredictor,
        prompts: Sequence[Prompt],
        options: PredictorOptions,
    ) -> None:
        self.plane = plane
        self.prompts = tuple(prompts)
        self._options = options
        self._predicted: dict[Window, list[WindowCandidate]] = {}

    @property
    def bounds(self) -> Box | None:
        """The smallest box of level 0 that holds what positive prompts point at."""
        boxes = []
        for prompt in self.prompts:
            if isinstance(prompt, Click):
                if prompt.positive:
                    row, column = prompt.pixel
                    boxes.append(Box(row, column, row + 1, column + 1))
            else:
                boxes.append(prompt.box.clip(Box.of_shape(self.plane.shape)))
        return Box.around(boxes) if boxes else None

    def predict(self, window: Window) -> list[WindowCandidate]:
        """What a window shows for the user's prompts, best first; kept."""
        if window not in self._predicted:
            prompts = self.plane.prompts_in(self.prompts, window.level, window.box)
            self._predicted[window] = self._predict(window, prompts)
        return self._predicted[window]

    def refine(self, candidate: Candidate, window: Window) -> list[WindowCandidate]:
        """What a candidate's window shows, given its logits too, best first."""
        known, hint = self.as_window_candidate(candidate, window), None
        logits = candidate.logits_hw
        if logits is not None and np.isfinite(logits).all() and (logits > 0).any():
            hint = MaskPrompt(Box.of_shape(window.box.shape), logits)
        if known is None or window.level == 0:
            prompts = self.plane.prompts_in(self.prompts, window.level, window.box)
        else:
            prompts = self._prompts_deep_inside(known, window)
        return self._predict(window, prompts, hint)

    def as_window_candidate(
        self, candidate: Candidate, window: Window
    ) -> WindowCandidate | None:
        """What a candidate's window showed of it, None if its mask lies elsewhere."""
        steps = steps_between(self.plane.levels, 0, window.level)
        placed = PlacedMask(candidate.mask, candidate.box, 0)
        mask = placed.sample(window.box, steps, self.plane.shape)
        if not mask.any():
            return None
        return WindowCandidate(window, mask, candidate.score, candidate.logits_hw)

    def predict_agreeing(
        self, window: Window, known: WindowCandidate
    ) -> list[WindowCandidate]:
        """The best of what another window shows that agrees with what is known.

        What scored less follows it. In a level coarser than the known one, the model
        gets clicks that what is known puts deep inside the object.
        """
        if window.level == known.window.level:
            prompts = self.plane.prompts_in(self.prompts, window.level, window.box)
            meant = self.plane.prompts_in(self.prompts, window.level, known.window.box)
            if count_positive(prompts) < count_positive(meant):
                return []
        else:
            prompts = self._prompts_deep_inside(known, window)
        candidates = self._predict(window, prompts)
        for index, candidate in enumerate(candidates):
            if self._overlap_iou(candidate, known) >= AGREEMENT:
                return candidates[index:]
        return []

    def touched(self, candidate: WindowCandidate) -> Sides:
        """The sides of its window at which a candidate may go on."""
        shape = self.plane.levels[candidate.window.level].shape
        return touched_sides(candidate.mask_hw, candidate.window.box, shape)

    def tidied(self, placed: PlacedMask, size: int) -> PlacedMask:
        """A mask from windows of a size, without specks; what was clicked is none.

        Very large masks stay as they are: finding specks takes 8 bytes a pixel.
        """
        if self._options.keep_specks or placed.box.area > LARGEST_TIDIED:
            return placed
        prompts = self.plane.prompts_in(self.prompts, placed.level, placed.box)
        mask = self._without_specks(placed.mask_hw, prompts, size)
        return PlacedMask(mask, placed.box, placed.level)

    def visible_box(self, candidate: WindowCandidate) -> Box:
        """The pixels of level 0 that a candidate covers."""
        window = candidate.window
        visible = bounding_box(candidate.mask_hw) or Box.of_shape(window.box.shape)
        box = visible.shift(window.box.y0, window.box.x0)
        return from_level(box, self.plane.levels[window.level], self.plane.shape)

    def _predict(
        self,
        window: Window,
        prompts: Sequence[Prompt],
        hint: MaskPrompt | None = None,
    ) -> list[WindowCandidate]:
        if not self.plane.may_predict(window):
            return []
        given = [*prompts] if hint is None else [*prompts, hint]
        candidates = self.plane.predict(window, given)
        return [self._cleaned(candidate, prompts) for candidate in candidates]

    def _cleaned(
        self, candidate: WindowCandidate, prompts: Sequence[Prompt]
    ) -> WindowCandidate:
        """Without specks, and without what only shows at the window's border."""
        mask, window = candidate.mask_hw, candidate.window
        if not self._options.keep_specks:
            mask = self._without_specks(mask, prompts, window.size)
        meant = touching(mask, pointed_at(prompts, mask.shape))
        if meant.any():
            rest = mask & ~meant
            if rest.any():
                ends = image_ends(window.box, self.plane.levels[window.level].shape)
                mask = mask & ~touching(rest, border_pixels(mask.shape, ends))
        return replace(candidate, mask_hw=mask)

    def _without_specks(self, mask: Mask, prompts: Sequence[Prompt], size: int) -> Mask:
        largest = (SPECK_SIDE * size) ** 2
        area = max(int(np.count_nonzero(mask)), 1)
        shares = (self._options.speck_share, self._options.hole_share)
        keep = click_pixels(prompts, mask.shape)
        return without_specks(mask, keep, *(min(s, largest / area) for s in shares))

    def _prompts_deep_inside(
        self, known: WindowCandidate, window: Window
    ) -> list[Prompt]:
        """The user's prompts for a coarser window, none where its pixels are mixed.

        A click close to the outline may fall on a coarse pixel that is half
        background. What the finer level showed there gives a better point.
        """
        level = window.level
        steps = max(steps_between(self.plane.levels, level, known.window.level))
        depth = ndimage.distance_transform_edt(np.pad(known.mask_hw, 1))[1:-1, 1:-1]
        kept: list[Prompt] = []
        shallow = np.zeros(known.mask_hw.shape, dtype=bool)
        for prompt in self.prompts:
            here = self._positive_pixel(prompt, known)
            if here and known.mask_hw[here] and depth[here] < SHALLOW * steps:
                shallow[here] = True
            else:
                kept.append(prompt)
        prompts = self.plane.prompts_in(kept, level, window.box)
        if shallow.any():
            parts = largest_islands(touching(known.mask_hw, shallow), MAX_PARTS)
        else:
            parts = [] if count_positive(prompts) else [known.mask_hw]
        deep = [self._deepest_click(part, known, window) for part in parts]
        return [*deep, *prompts]

    def _positive_pixel(
        self, prompt: Prompt, known: WindowCandidate
    ) -> tuple[int, int] | None:
        """Where a positive click lies in a candidate's window, None for any other."""
        if not isinstance(prompt, Click) or not prompt.positive:
            return None
        here = self.plane.prompts_in([prompt], known.window.level, known.window.box)
        return here[0].pixel if here and isinstance(here[0], Click) else None

    def _deepest_click(
        self, part: Mask, known: WindowCandidate, window: Window
    ) -> Click:
        """A click in a coarser window's pixels, deep inside what is known finely."""
        row, column = deepest_point(part)
        fine, coarse = known.window, window.box
        steps = steps_between(self.plane.levels, window.level, fine.level)
        height, width = coarse.shape
        y = int((row + fine.box.y0 + 0.5) / steps[0]) - coarse.y0
        x = int((column + fine.box.x0 + 0.5) / steps[1]) - coarse.x0
        return Click(min(max(y, 0), height - 1), min(max(x, 0), width - 1))

    def _overlap_iou(self, candidate: WindowCandidate, known: WindowCandidate) -> float:
        """IoU at the known candidate's level, in what both windows show."""
        levels, window = self.plane.levels, candidate.window
        steps = steps_between(levels, window.level, known.window.level)
        covered = at_level(
            from_level(window.box, levels[window.level], self.plane.shape),
            levels[known.window.level],
        )
        if not covered.intersects(known.window.box):
            return 0.0
        shared = covered.clip(known.window.box)
        placed = PlacedMask(candidate.mask_hw, window.box, window.level)
        shown = placed.sample(shared, steps, levels[window.level].shape)
        before = known.mask_hw[shared.relative_to(known.window.box).slices]
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


def unmet_prompts(
    prompts: tuple[Prompt, ...], mask: Mask, box: Box
) -> tuple[Prompt, ...]:
    """The prompts that a mask over `box` (level 0) does not honour."""
    return tuple(prompt for prompt in prompts if not _is_met(prompt, mask, box))


def _is_met(prompt: Prompt, mask: Mask, box: Box) -> bool:
    if isinstance(prompt, Click):
        row, column = prompt.pixel
        inside = box.contains_point(row, column) and bool(
            mask[row - box.y0, column - box.x0]
        )
        return inside == prompt.positive
    if not prompt.box.intersects(box):
        return False
    return bool(mask[prompt.box.clip(box).relative_to(box).slices].any())
