"""How a person points at an object: a click, a box, a rough mask.

Coordinates are (y, x) in pixels. A click points at the pixel that holds it: (2, 3)
and (2.9, 3.2) both mean row 2, column 3. Only `sam_points` and
`sam_box` turn (y, x) into SAM's (x, y).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import floor, isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import PromptError
from napari_sam.geometry import Box

MASK_PROMPT_LOGIT = 8.0
"""What a bool mask becomes as a mask prompt: sigmoid(8) = 0.9997, inside or not."""


@dataclass(frozen=True, slots=True, order=True)
class Click:
    """A point on an object or, when not `positive`, on what is not the object."""

    y: float
    x: float
    positive: bool = True

    def __post_init__(self) -> None:
        if not are_finite(self.y, self.x):
            raise PromptError(
                f"A click needs finite coordinates, got y={self.y!r}, x={self.x!r}."
            )

    @property
    def pixel(self) -> tuple[int, int]:
        """(row, column) of the pixel that the click points at."""
        return floor(self.y), floor(self.x)


@dataclass(frozen=True, slots=True, order=True)
class BoxPrompt:
    """A rectangle around one object: rows y0 to y1, columns x0 to x1."""

    y0: float
    x0: float
    y1: float
    x1: float

    def __post_init__(self) -> None:
        sides = (self.y0, self.x0, self.y1, self.x1)
        if not are_finite(*sides):
            raise PromptError(f"A box prompt needs finite sides, got {sides}.")
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise PromptError(
                f"A box prompt needs y0 < y1 and x0 < x1, got y0={self.y0:g}, "
                f"x0={self.x0:g}, y1={self.y1:g}, x1={self.x1:g}: it is empty or "
                "inverted. Give the smaller corner first."
            )

    @classmethod
    def from_box(cls, box: Box) -> BoxPrompt:
        """The prompt that points at a pixel rectangle."""
        return cls(box.y0, box.x0, box.y1, box.x1)

    @property
    def box(self) -> Box:
        """The pixels that the rectangle touches."""
        y0, x0 = floor(self.y0), floor(self.x0)
        y1, x1 = -floor(-self.y1), -floor(-self.x1)
        return Box(y0, x0, max(y1, y0 + 1), max(x1, x0 + 1))


@dataclass(frozen=True, slots=True, eq=False)
class MaskPrompt:
    """A rough mask of the object: logits over `box`, > 0 is inside, outside is not.

    The logits of an earlier answer carry more than its mask does: how sure the
    model was of each pixel.
    """

    box: Box
    logits_hw: NDArray[np.float32]

    def __post_init__(self) -> None:
        if not (is_box(self.box) and is_numbers(self.logits_hw)):
            raise PromptError(
                "A mask prompt needs a Box and a numpy array of numbers over it, got "
                f"{type(self.box).__name__} and {type(self.logits_hw).__name__}."
            )
        if self.logits_hw.shape != self.box.shape:
            raise PromptError(
                f"A mask prompt needs logits of its box's shape {self.box.shape}, "
                f"got {self.logits_hw.shape}."
            )
        if not np.isfinite(self.logits_hw).all():
            raise PromptError("A mask prompt needs finite logits, got NaN or inf.")
        if not (self.logits_hw > 0).any():
            raise PromptError(
                "A mask prompt needs at least one pixel inside the object, got none."
            )

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_], box: Box) -> MaskPrompt:
        """Turn a bool mask over `box` into a prompt."""
        logit = np.float32(MASK_PROMPT_LOGIT)
        return cls(box, np.where(np.asarray(mask, dtype=bool), logit, -logit))

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The pixels inside, over `box`."""
        return self.logits_hw > 0


Prompt = Click | BoxPrompt | MaskPrompt


def are_finite(*numbers: Any) -> bool:
    """Whether these are all numbers, and none of them is NaN or infinite."""
    return all(isinstance(n, Real) and isfinite(n) for n in numbers)


def is_box(value: Any) -> bool:
    """Whether this is a Box, and no tuple of its sides."""
    return isinstance(value, Box)


def is_numbers(values: Any) -> bool:
    """Whether this is a numpy array of real numbers."""
    return isinstance(values, np.ndarray) and values.dtype.kind in "buif"


def has_positive(prompts: Iterable[Prompt]) -> bool:
    """Whether any of the prompts is on the object."""
    return any(not isinstance(p, Click) or p.positive for p in prompts)


def check_inside(prompts: Any, plane: Box) -> None:
    """Raise a PromptError for the first prompt that does not fit the image plane.

    A box may stick out, since a hand that drags one overshoots, but it has to
    meet the image; a click has to be on a pixel.
    """
    if isinstance(prompts, Click | BoxPrompt | MaskPrompt):
        raise PromptError(
            f"Prompts need to be a list, even of one: [{type(prompts).__name__}(...)]."
        )
    if not isinstance(prompts, Sequence):
        raise PromptError(f"Prompts need to be a list of prompts, got {prompts!r}.")
    height, width = plane.shape
    for prompt in prompts:
        if not isinstance(prompt, Click | BoxPrompt | MaskPrompt):
            raise PromptError(
                "A prompt needs to be a Click, a BoxPrompt or a MaskPrompt, got "
                f"{prompt!r}."
            )
        if isinstance(prompt, Click):
            inside = plane.contains_point(prompt.y, prompt.x)
        else:
            inside = prompt.box.intersects(plane)
        if not inside:
            where = (
                f"Click (y={prompt.y:g}, x={prompt.x:g})"
                if isinstance(prompt, Click)
                else f"{type(prompt).__name__} {prompt.box}"
            )
            raise PromptError(
                f"{where} lies outside the image, whose plane has {height} rows and "
                f"{width} columns. Coordinates are y, x in pixels of level 0."
            )


def in_window(
    prompt: Prompt, window: Box, factors: tuple[float, float] = (1.0, 1.0)
) -> Prompt | None:
    """Express a level 0 prompt in the pixels of a window of some level.

    Parameters
    ----------
    prompt
        In pixels of level 0.
    window
        In pixels of the level.
    factors
        (y, x) size of one of the level's pixels, in pixels of level 0.

    Returns
    -------
    Prompt or None
        In the window's own pixels, clipped to it; None where no part of it falls into
        the window.
    """
    if isinstance(prompt, Click):
        return _click_in_window(prompt, window, factors)
    if not prompt.box.scaled(1 / factors[0], 1 / factors[1]).intersects(window):
        return None
    if isinstance(prompt, BoxPrompt):
        return _box_in_window(prompt, window, factors)
    return _mask_in_window(prompt, window, factors)


def _click_in_window(
    click: Click, window: Box, factors: tuple[float, float]
) -> Click | None:
    row, column = (floor(n / f) for n, f in zip(click.pixel, factors, strict=True))
    if not window.contains_point(row, column):
        return None
    return Click(row - window.y0, column - window.x0, click.positive)


def _box_in_window(
    prompt: BoxPrompt, window: Box, factors: tuple[float, float]
) -> BoxPrompt | None:
    fy, fx = factors
    y0, y1 = (
        float(np.clip(y / fy, window.y0, window.y1)) - window.y0
        for y in (prompt.y0, prompt.y1)
    )
    x0, x1 = (
        float(np.clip(x / fx, window.x0, window.x1)) - window.x0
        for x in (prompt.x0, prompt.x1)
    )
    return BoxPrompt(y0, x0, y1, x1) if y0 < y1 and x0 < x1 else None


def _mask_in_window(
    prompt: MaskPrompt, window: Box, factors: tuple[float, float]
) -> MaskPrompt | None:
    """Logits sampled at the centres of the window's pixels."""
    box, (fy, fx) = prompt.box, factors
    part = box.scaled(1 / fy, 1 / fx).clip(window)
    y = ((np.arange(part.y0, part.y1) + 0.5) * fy).astype(int) - box.y0
    x = ((np.arange(part.x0, part.x1) + 0.5) * fx).astype(int) - box.x0
    height, width = box.shape
    inside = np.ix_(np.clip(y, 0, height - 1), np.clip(x, 0, width - 1))
    logits_hw = prompt.logits_hw[inside]
    if not (logits_hw > 0).any():
        return None
    return MaskPrompt(part.relative_to(window), logits_hw)


def sam_points(
    clicks: Sequence[Click],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Clicks as SAM wants them: (n, 2) float (x, y), and (n,) labels 1 or 0."""
    points = np.array([click.pixel[::-1] for click in clicks], dtype=np.float32)
    labels = np.array([int(click.positive) for click in clicks], dtype=np.int64)
    return points.reshape(-1, 2), labels


def sam_box(prompt: BoxPrompt) -> NDArray[np.float32]:
    """A box as SAM wants it: (4,) float x0, y0, x1, y1, the far corner included."""
    box = prompt.box
    return np.array([box.x0, box.y0, box.x1 - 1, box.y1 - 1], dtype=np.float32)
