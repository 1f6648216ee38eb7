"""Where to begin: the first window for a set of prompts, and what if it misleads.

Negative clicks never decide which window that is: only what the object is can.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, bounding_box
from napari_sam.predictor.candidates import Candidate
from napari_sam.predictor.growing import COMPACT, DrawnObject, Grower
from napari_sam.predictor.object_predictor import ObjectPredictor
from napari_sam.predictor.placed_mask import MaskCanvas, PlacedMask, half_width
from napari_sam.predictor.plane_predictor import PlanePredictor, WindowCandidate
from napari_sam.predictor.window_sizes import SizeEstimate
from napari_sam.predictor.windows import (
    BOX_SHARE,
    CLICK_SHARE,
    Window,
    at_level,
    first_window,
    fits,
    has_margin,
    nearest,
    steps_between,
    window_at,
)
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

MAX_SEEDS = 16
"""Positive clicks that get a window each, where no window fits them all."""


def find_object(
    grower: Grower, size: int, previous: Candidate | None = None
) -> DrawnObject | None:
    """The object that the prompts point at, or None where the model sees none.

    Parameters
    ----------
    grower
        Makes what a window shows whole; its predictor has the prompts.
    size
        Side of the windows to use, in pixels.
    previous
        The candidate so far. Where the prompts fit in its window, that is predicted in
        again, with its logits as one more prompt.
    """
    predictor = grower.predictor
    bounds = _bounds(predictor)
    start = _first_window(predictor, bounds, grower.base, size)
    if previous is not None and _holds(previous, bounds, start, grower):
        window = Window(previous.window_level, previous.window, size)
        refined = predictor.refine(previous, window)
        if refined:
            return grower.grow(refined)
    candidates = predictor.predict(start)
    if start.level == grower.base:
        return grower.grow(candidates) if candidates else None
    found: DrawnObject | None = None
    # A coarser level blurs what is thin.
    if candidates and half_width(candidates[0].mask_hw) >= COMPACT:
        found = grower.grow(candidates)
    found = _with_seeds(grower, found, size)
    if found is None and candidates:
        found = _followed_finely(grower, candidates, bounds)
    return found


def estimate_size(predictor: ObjectPredictor, base: int, size: int) -> SizeEstimate:
    """How large the object is, as far as the first window of a size shows it.

    Something that reaches the window's border is as long as what is seen of it.
    """
    window = _first_window(predictor, _bounds(predictor), base, size)
    candidates = predictor.predict(window)
    if not candidates:
        return SizeEstimate(0.0, 0.0)
    mask = candidates[0].mask_hw
    side = float(np.sqrt(np.count_nonzero(mask)))
    box = bounding_box(mask)
    if box is not None and any(predictor.touched(candidates[0])):
        side = float(max(box.shape))
    steps = steps_between(predictor.plane.levels, window.level, base)
    return SizeEstimate(side * max(steps), candidates[0].score)


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


def _bounds(predictor: ObjectPredictor) -> Box:
    bounds = predictor.bounds
    if bounds is None:
        raise PromptError(
            "At least one positive click, a box or a mask is needed to find an "
            f"object, got {len(predictor.prompts)} prompts, none of them positive."
        )
    return bounds


def _first_window(
    predictor: ObjectPredictor, bounds: Box, base: int, size: int
) -> Window:
    """The window of the finest level at which the prompts fit in one."""
    only_clicks = all(isinstance(prompt, Click) for prompt in predictor.prompts)
    share = CLICK_SHARE if only_clicks else BOX_SHARE
    levels = predictor.plane.levels
    level = len(levels) - 1
    for index in range(base, len(levels)):
        if fits(at_level(bounds, levels[index]), size, levels[index].shape, share):
            level = index
            break
    here, shape = at_level(bounds, levels[level]), levels[level].shape
    wanted = first_window(here, size, shape)
    known = predictor.plane.encoded(level, size)
    if wanted in known:
        return Window(level, wanted, size)
    # A window that is there already costs nothing, and if the object turns out to
    # leave it, the next one costs no more than the window wanted would have.
    roomy = [box for box in known if has_margin(box, here, size // 8, shape)]
    return Window(level, nearest(roomy, wanted) or wanted, size)


def _holds(previous: Candidate, bounds: Box, start: Window, grower: Grower) -> bool:
    """Whether the prompts are as well placed in the window that decided before."""
    level, levels = previous.window_level, grower.predictor.plane.levels
    if not grower.base <= level < len(levels):
        return False
    shape = levels[level].shape
    if not Box.of_shape(shape).contains(previous.window):
        return False
    here = at_level(bounds, levels[level])
    return (start.level, start.box) == (level, previous.window) or has_margin(
        previous.window, here, start.size // 8, shape
    )


def _with_seeds(
    grower: Grower, found: DrawnObject | None, size: int
) -> DrawnObject | None:
    """What was found, and what the clicks that it leaves out point at."""
    predictor, base = grower.predictor, grower.base
    finest = predictor.plane.levels[base]
    clicks = [p for p in predictor.prompts if isinstance(p, Click) and p.positive]
    for click in clicks[:MAX_SEEDS]:
        if found is not None and _is_on(click, found.placed, predictor.plane):
            continue
        row, column = click.pixel
        here = at_level(Box(row, column, row + 1, column + 1), finest)
        box = first_window(here, size, finest.shape)
        seed = predictor.predict(Window(base, box, size))
        if seed:
            part = grower.grow(seed)
            found = part if found is None else _union(found, part, predictor.plane)
    return found


def _is_on(click: Click, placed: PlacedMask, plane: PlanePredictor) -> bool:
    here = plane.prompts_in([click], placed.level, placed.box)
    return any(
        bool(placed.mask_hw[there.pixel]) for there in here if isinstance(there, Click)
    )


def _union(one: DrawnObject, other: DrawnObject, plane: PlanePredictor) -> DrawnObject:
    """Two parts as one object; only parts of the same level can be joined."""
    if one.placed.level != other.placed.level:
        return DrawnObject(one.placed, one.decisive, (), complete=False)
    shape = plane.levels[one.placed.level].shape
    canvas = MaskCanvas(one.placed, Box.of_shape(shape), room=0)
    box = Box.around((one.placed.box, other.placed.box))
    canvas.paste(box, one.placed.read(box) | other.placed.read(box))
    worse = min((one.decisive, other.decisive), key=lambda shown: shown.score)
    return DrawnObject(canvas.placed, worse, (), one.complete and other.complete)


def _followed_finely(
    grower: Grower, candidates: list[WindowCandidate], bounds: Box
) -> DrawnObject:
    """A thin object in a box: followed from the box's centre, if it is there.

    At a level at which the box fits the object may be blurred beyond recognition.
    The finest level around the box's centre shows a part of it, or something else.
    """
    predictor, base = grower.predictor, grower.base
    if any(isinstance(prompt, BoxPrompt) for prompt in predictor.prompts):
        size, finest = candidates[0].window.size, predictor.plane.levels[base]
        y, x = at_level(bounds, finest).center
        # Off the lattice: cut by this window, the box keeps its centre.
        box = window_at(y - size / 2, x - size / 2, size, finest.shape)
        seed = predictor.predict(Window(base, box, size))
        if seed and _confirms(seed[0], candidates[0], predictor.plane):
            return grower.grow(seed)
    return grower.grow(candidates)


def _confirms(
    fine: WindowCandidate, coarse: WindowCandidate, plane: PlanePredictor
) -> bool:
    """Whether a finer window shows what the coarse one does: as thin, and there."""
    level = coarse.window.level
    steps = steps_between(plane.levels, level, fine.window.level)
    placed = PlacedMask(coarse.mask_hw, coarse.window.box, level)
    expected = placed.sample(fine.window.box, steps, plane.levels[level].shape)
    reach = max(int(max(steps)), 1)
    near = ndimage.binary_dilation(fine.mask_hw, EIGHT_NEIGHBOURS, reach)
    covered, total = np.count_nonzero(expected & near), np.count_nonzero(expected)
    thin = half_width(fine.mask_hw) < (COMPACT + 2) * max(steps)
    return bool(thin and covered > 0 and 2 * covered >= total)
