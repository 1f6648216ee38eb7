"""An object drawn at one level, cell by cell, along what is known of it.

Two uses, one way of going about it:

- *Follow* an object that no window of a coarser level can show, such as a fibre. What
  one window showed is known; each cell that the object enters is drawn in turn.
- *Refine* the outline of what a coarser level showed. Cells along the outline are
  drawn; only a `Band` along it is taken over.

A cell's window always overlaps what is known by a quarter of a window. There the model
is pointed at the object, one click for each part that the window shows, and its mask
is taken only if it agrees with what is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.geometry import Box
from napari_sam.masks import EIGHT_NEIGHBOURS, Mask, deepest_point
from napari_sam.predictor.band import Band
from napari_sam.predictor.placed_mask import (
    MaskCanvas,
    PlacedMask,
    half_width,
    largest_islands,
    touching,
)
from napari_sam.predictor.plane_predictor import PlanePredictor
from napari_sam.predictor.window_grid import Cell, WindowGrid
from napari_sam.predictor.windows import Window
from napari_sam.prompts import MASK_PROMPT_LOGIT, Click, MaskPrompt, Prompt

MAX_PARTS = 16
"""Parts of the object that are predicted at a time in one window, largest first."""

MAX_VISITS = 32
"""Times a cell is drawn: again whenever another part of the object turns up in it.

A coiled fibre comes back many times; only what is new is predicted, and the embedding
is there already.
"""

AGREEMENT = 0.5
"""Least share of the known part that a mask holds, and of it that is plausible."""

NEAR = 3
"""Pixels from a part within which the user's click is about that part."""


class Tracer:
    """One object being drawn at one level.

    Parameters
    ----------
    plane
        Predicts in windows.
    prompts
        The user's, in pixels of level 0.
    known
        What is known of the object, at the level to draw at; without a band, its box
        is a window that showed it.
    size
        Side of the windows, in pixels.
    max_pixels
        Largest box of the object, in pixels of the level.
    band
        What a coarser level leaves open; None to follow without one.
    """

    def __init__(
        self,
        plane: PlanePredictor,
        prompts: Sequence[Prompt],
        known: PlacedMask,
        size: int,
        max_pixels: int,
        band: Band | None = None,
    ) -> None:
        self._plane = plane
        self._level = known.level
        shape = plane.levels[known.level].shape
        self._grid = WindowGrid.of_quarters(shape, size)
        # A box is about the object as a whole, which no single cell shows.
        self._clicks = [prompt for prompt in prompts if isinstance(prompt, Click)]
        self._canvas = MaskCanvas(known, Box.of_shape(shape), size)
        self._band = band
        self._first = known.box
        self._max_pixels = max_pixels
        self._visits: dict[Cell, int] = {}
        # All that each visited window showed, packed eight pixels to a byte.
        self._shown: dict[Cell, NDArray[np.uint8]] = {}
        self.complete = True

    @property
    def placed(self) -> PlacedMask:
        """What is drawn so far."""
        return self._canvas.placed

    def follow(self) -> None:
        """Draw the cells that the known parts are in, and where they lead."""
        placed = self._canvas.placed
        starts = []
        for part in largest_islands(placed.mask_hw, MAX_PARTS):
            row, column = deepest_point(part)
            starts.append(
                self._grid.cell_of(row + placed.box.y0, column + placed.box.x0)
            )
        self.draw(dict.fromkeys(starts))

    def draw(self, cells: Iterable[Cell]) -> None:
        """Draw these cells, and those that the object turns out to enter from them."""
        queue = deque(cells)
        waiting = set(queue)
        while queue:
            cell = queue.popleft()
            waiting.discard(cell)
            window = self._window(cell)
            roomy = self._canvas.area_with(self._grid.core(*cell)) <= self._max_pixels
            if not (roomy and self._plane.may_predict(window)):
                self.complete = False
                continue
            self._visit(cell, window.box)
            for entered in self._entered_from(cell):
                if entered not in waiting:
                    waiting.add(entered)
                    queue.append(entered)

    def _window(self, cell: Cell) -> Window:
        return Window(self._level, self._grid.window(*cell), self._grid.side)

    def _visit(self, cell: Cell, window: Box) -> None:
        known = self._canvas.read(window)
        shown = self._shown_in(cell, window, known)
        box = self._grid.core(*cell)
        self._canvas.paste(box, shown[box.relative_to(window).slices])
        self._visits[cell] = self._visits.get(cell, 0) + 1
        self._shown[cell] = np.packbits(shown)

    def _shown_in(self, cell: Cell, window: Box, known: Mask) -> Mask:
        """The object over a window: what the model predicts for each known part."""
        # Shown by this window before: only parts that have come up since are new.
        before = self._was_shown(cell, window)
        parts = largest_islands(known & ~touching(known, before), MAX_PARTS)
        inside, reach = np.zeros_like(known), known
        if self._band is not None:
            inside, reach = self._band.read(window)
        decided = self._decided(cell, window)
        hint = self._mask_prompt(window, known, decided)
        # Parts beyond the largest few stay as they are.
        shown: Mask = before | (known & ~np.logical_or.reduce([before, *parts]))
        reached = _within(self._grid.core(*cell).grow(1), window)
        for part in parts:
            prompts = [*self._clicks_on(part, window), hint]
            mask = self._agreeing(cell, prompts, part, (known, reach, decided))
            if mask is None:
                shown |= part
                if self._band is None and (part & reached).any():
                    self.complete = False
            else:
                shown |= mask
        return shown | inside if self._band is not None else shown

    def _agreeing(
        self,
        cell: Cell,
        prompts: Sequence[Prompt],
        part: Mask,
        context: tuple[Mask, Mask, Mask],
    ) -> Mask | None:
        """The best-scored mask among those that agree well with what is known."""
        judged = []
        for candidate in self._plane.predict(self._window(cell), prompts):
            mask = touching(candidate.mask_hw, part)
            if self._band is None:
                agreement = _agreement_where_decided(mask, part, context)
            else:
                mask, agreement = self._within_reach(self._band, mask, part, context)
            judged.append((agreement, candidate.score, mask))
        best = max((agreement for agreement, _, _ in judged), default=0.0)
        if best < AGREEMENT:
            return None
        # Among masks that agree about as well, the model knows better than we do.
        floor = max(AGREEMENT, best - 0.1)
        return max(
            (item for item in judged if item[0] >= floor),
            key=lambda item: (item[1], item[0]),
        )[2]

    def _within_reach(
        self, band: Band, mask: Mask, part: Mask, context: tuple[Mask, Mask, Mask]
    ) -> tuple[Mask, float]:
        known, reach, _ = context
        thin, thick = band.beyond(mask, known, reach)
        kept = (mask & reach) | thin
        count = np.count_nonzero
        total = int(count(kept) + count(thick))
        held = float(count(kept & part) / count(part))
        plausible = float(count(kept) / total) if total else 0.0
        if thick.any() and not reach.any():
            # Far from the outline we follow a thin part, and here it leads to more
            # than a thin part: the object may go on.
            self.complete = False
        return kept, min(held, plausible)

    def _clicks_on(self, part: Mask, window: Box) -> list[Prompt]:
        """The part's deepest point, the user's clicks on it, and the negative ones."""
        row, column = deepest_point(part)
        clicks: list[Prompt] = [Click(row, column)]
        for click in self._plane.prompts_in(self._clicks, self._level, window):
            if not isinstance(click, Click):
                continue
            y, x = click.pixel
            near = part[
                max(y - NEAR, 0) : y + NEAR + 1, max(x - NEAR, 0) : x + NEAR + 1
            ]
            if not click.positive or (near.any() and (y, x) != (row, column)):
                clicks.append(click)
        return clicks

    def _mask_prompt(self, window: Box, known: Mask, decided: Mask) -> MaskPrompt:
        """What is known as a prompt, undecided where no window has decided."""
        logits_hw = np.where(decided, -MASK_PROMPT_LOGIT, 0.0).astype(np.float32)
        logits_hw[known] = MASK_PROMPT_LOGIT
        return MaskPrompt(Box.of_shape(window.shape), logits_hw)

    def _decided(self, cell: Cell, window: Box) -> Mask:
        """Where in the window the object's absence is known too."""
        if self._band is not None:
            return np.ones(window.shape, dtype=bool)
        decided = _within(self._first, window)
        for other in self._grid.cores_over(window):
            if other in self._visits:
                decided |= _within(self._grid.core(*other), window)
        # A cell that is drawn again is open again.
        decided[self._grid.core(*cell).relative_to(window).slices] = False
        return decided

    def _entered_from(self, cell: Cell) -> list[Cell]:
        """The cells around this one in which the object goes on unseen."""
        box = self._grid.core(*cell)
        entered = []
        for other in self._grid.neighbours(*cell):
            # One row of pixels on each side of the line between the two cells.
            across = self._grid.core(*other)
            ours, theirs = box.clip(across.grow(1)), across.clip(box.grow(1))
            drawn = self._canvas.read(theirs)
            if other not in self._visits:
                shown = self._was_shown(cell, theirs)
                goes_on = shown if self._band is None else shown & ~drawn
            elif self._visits[other] < MAX_VISITS:
                seen = self._was_shown(other, ours)
                goes_on = self._runs_apart(ours, seen, theirs, drawn)
            else:
                continue
            if goes_on.any():
                entered.append(other)
        return entered

    def _runs_apart(self, ours: Box, seen: Mask, theirs: Box, drawn: Mask) -> Mask:
        """Our runs along a border that their cell's window has not shown at all."""
        mine = self._canvas.read(ours)
        if not mine.any():
            return mine
        both = Box.around((ours, theirs))
        met = np.zeros(both.shape, dtype=bool)
        met[theirs.relative_to(both).slices] = drawn
        met[ours.relative_to(both).slices] |= seen
        near = ndimage.binary_dilation(met, EIGHT_NEIGHBOURS)
        return mine & ~touching(mine, near[ours.relative_to(both).slices])

    def _was_shown(self, cell: Cell, box: Box) -> Mask:
        """The object over `box`, as far as a visited cell's window has shown it."""
        if cell not in self._shown:
            return np.zeros(box.shape, dtype=bool)
        window = self._grid.window(*cell)
        height, width = window.shape
        bits = np.unpackbits(self._shown[cell], count=height * width)
        mask = bits.reshape(height, width).astype(bool)
        return PlacedMask(mask, window, self._level).read(box)


def _within(box: Box, window: Box) -> Mask:
    inside = np.zeros(window.shape, dtype=bool)
    if box.intersects(window):
        inside[box.clip(window).relative_to(window).slices] = True
    return inside


def _agreement_where_decided(
    mask: Mask, part: Mask, context: tuple[Mask, Mask, Mask]
) -> float:
    """How well a mask agrees with what is known where a window has decided.

    What the mask adds there counts against it, unless it is no thicker than what is
    known: a fibre may come back into a window from a turn that no window has shown yet.
    """
    known, _, decided = context
    judged = touching(mask & (decided | part), part)
    if not judged.any():
        return 0.0
    held = float(np.count_nonzero(judged & part) / np.count_nonzero(part))
    plausible = float(np.count_nonzero(judged & known) / np.count_nonzero(judged))
    if plausible < AGREEMENT and half_width(judged) <= 2 * half_width(part) + NEAR:
        return held
    return min(held, plausible)
