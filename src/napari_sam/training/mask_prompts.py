"""Masks as prompts: the true one, and what people and other models make of it.

| shape     | what is shown                        | what is wanted            |
|-----------|--------------------------------------|---------------------------|
| true      | the object                           | the object                |
| distorted | its outline moved in, out, to and fro| the object                |
| scribble  | a thin line inside of it             | the object                |
| merged    | it and a neighbour                   | both; the object, if a    |
|           |                                      | click says no to the other|
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.prompts import MASK_PROMPT_LOGIT

LOW_RES_STRIDE = 4  # pixels of the crop in one of the decoder's logits
LARGEST_SHIFT = 0.18  # of an outline, in sides of the object
LONGEST_WALK = 60  # steps of a scribble
NEAREST = 3  # neighbours that an object is merged with
SEARCH = 1.0  # around an object for its neighbours, in its sides


class MaskShape(StrEnum):
    """What a mask prompt shows."""

    TRUE = "true"
    DISTORTED = "distorted"
    SCRIBBLE = "scribble"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class MaskForm:
    """What comes with the mask prompts of a crop.

    Parameters
    ----------
    on, off
        Points on the object and on what is not wanted, 0 or 1.
    box
        Whether the box of the mask comes too.
    shapes
        What the masks may show.
    """

    on: int
    off: int
    box: bool
    shapes: tuple[MaskShape, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> MaskForm:
        """One of the five."""
        return FORMS[int(rng.choice(len(FORMS), p=FORM_SHARES))]


FORMS = (
    MaskForm(0, 0, False, tuple(MaskShape)),
    MaskForm(1, 0, False, (MaskShape.TRUE, MaskShape.DISTORTED, MaskShape.SCRIBBLE)),
    MaskForm(1, 0, True, (MaskShape.TRUE, MaskShape.DISTORTED)),
    MaskForm(0, 1, False, (MaskShape.MERGED,)),
    MaskForm(1, 1, False, (MaskShape.MERGED,)),
)
FORM_SHARES = (0.35, 0.15, 0.2, 0.15, 0.15)


@dataclass(frozen=True, slots=True)
class DrawnMask:
    """A mask prompt and what it means, (h, w) each.

    Parameters
    ----------
    shown
        The mask that is the prompt.
    wanted
        The right answer.
    inside, outside
        Where a click on the object, and one on what is not wanted, may be; None:
        everything is wanted.
    """

    shown: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_] | None = None

    @property
    def logits(self) -> NDArray[np.float32]:
        """Of the prompt, as the network gets them: a quarter of the size."""
        rows = self.shown.shape[0] // LOW_RES_STRIDE
        blocks = self.shown.reshape(rows, LOW_RES_STRIDE, -1, LOW_RES_STRIDE)
        share = blocks.mean(axis=(1, 3), dtype=np.float32)
        logits: NDArray[np.float32] = (2 * share - 1) * np.float32(MASK_PROMPT_LOGIT)
        return logits


def draw_mask_prompts(
    labels_hw: NDArray[np.int32], number: int, form: MaskForm, rng: np.random.Generator
) -> DrawnMask:
    """A mask prompt about the object `number` of a crop."""
    mask = labels_hw == number
    shape = form.shapes[int(rng.integers(len(form.shapes)))]
    if shape is MaskShape.MERGED:
        return _merged(labels_hw, mask, number, rng, splits=form.off > 0)
    shown = mask
    if shape is MaskShape.DISTORTED:
        shown = distorted(mask, rng)
    elif shape is MaskShape.SCRIBBLE:
        shown = scribbled(mask, rng)
    return DrawnMask(shown, mask, shown & mask)


def distorted(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A mask whose outline is moved as a whole and here and there."""
    side = float(np.sqrt(mask.sum()))
    distance = ndimage.distance_transform_edt(mask) - ndimage.distance_transform_edt(
        ~mask
    )
    waves = ndimage.zoom(rng.standard_normal((5, 5)), np.array(mask.shape) / 5, order=1)
    shift = rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT) + rng.uniform(0, 0.1) * waves
    changed: NDArray[np.bool_] = distance + side * shift > 0
    return changed if (changed & mask).any() else mask


def scribbled(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A line that wanders inside a mask, one to three pixels wide for every twenty."""
    rows, columns = np.nonzero(mask)
    side = float(np.sqrt(rows.size))
    start = rng.integers(rows.size)
    y, x = float(rows[start]), float(columns[start])
    angle, step = rng.uniform(0, 2 * np.pi), max(side / 20, 1.0)
    line = np.zeros_like(mask)
    for _ in range(int(rng.integers(LONGEST_WALK // 4, LONGEST_WALK))):
        line[int(y), int(x)] = True
        for _ in range(4):
            ny, nx = y + step * np.sin(angle), x + step * np.cos(angle)
            is_inside = 0 <= ny < mask.shape[0] and 0 <= nx < mask.shape[1]
            if is_inside and mask[int(ny), int(nx)]:
                y, x = ny, nx
                break
            angle += rng.uniform(0.5, 2.5)
        angle += rng.normal(0, 0.3)
    width = max(round(side / 20 * rng.uniform(1, 3)), 1)
    drawn: NDArray[np.bool_] = ndimage.maximum_filter(line, 2 * (width // 2) + 1)
    return drawn


def _merged(
    labels: NDArray[np.int32],
    mask: NDArray[np.bool_],
    number: int,
    rng: np.random.Generator,
    *,
    splits: bool,
) -> DrawnMask:
    """The object and a neighbour; without one, the object and what is around it."""
    margin = int(SEARCH * np.sqrt(mask.sum())) + 2
    rows, columns = np.nonzero(mask)
    window = (
        slice(max(rows.min() - margin, 0), rows.max() + margin + 1),
        slice(max(columns.min() - margin, 0), columns.max() + margin + 1),
    )
    around = labels[window]
    others = np.setdiff1d(around, [0, number])
    if others.size == 0:
        grown = distorted(ndimage.binary_dilation(mask, iterations=3), rng) | mask
        beyond = grown & (labels == 0)
        return DrawnMask(grown, mask, mask, beyond if beyond.any() else None)
    distance = ndimage.distance_transform_edt(~mask[window])
    apart = ndimage.minimum(distance, around, others)
    nearest = others[np.argsort(apart)[:NEAREST]]
    other = labels == nearest[int(rng.integers(nearest.size))]
    both = mask | other
    return DrawnMask(both, mask if splits else both, mask, other)
