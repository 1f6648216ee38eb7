"""What a user can do, as values: screens post them, the annotator carries them out.

    annotator.post(AddPrompts((Click(120, 80),), plane=()))

Coordinates are in pixels of level 0, planes are indices along the stack axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.annotator.state import Plane
from napari_sam.geometry import Box
from napari_sam.prompts import BoxPrompt, Click, Prompt


class Where(StrEnum):
    """The part of an image that a run segments."""

    VIEW = "In view"
    RECTANGLE = "In a rectangle"
    PLANE = "Whole plane"
    STACK = "All planes"


@dataclass(frozen=True, slots=True)
class AddPrompts:
    """Refine the object at hand; in another plane, begin one there."""

    prompts: tuple[Prompt, ...]
    plane: Plane


@dataclass(frozen=True, slots=True)
class ReplacePrompts:
    """Begin the object at hand anew with these prompts, in the plane on show."""

    prompts: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class CollectBox:
    """Keep a box for an object of its own, until `SegmentBoxes`."""

    box: BoxPrompt
    plane: Plane


@dataclass(frozen=True, slots=True)
class SegmentBoxes:
    """Make an object of each box that was collected."""


@dataclass(frozen=True, slots=True)
class Choose:
    """Take another of the candidates, counted from 0."""

    index: int


@dataclass(frozen=True, slots=True)
class ChooseNext:
    """Take the next of the candidates, or with -1 the one before."""

    step: int = 1


@dataclass(frozen=True, slots=True)
class Accept:
    """Write the candidate into the labels, once its answer is there."""


@dataclass(frozen=True, slots=True)
class MergeInto:
    """Write the candidate as one more part of an object."""

    label_id: int


@dataclass(frozen=True, slots=True)
class Discard:
    """Drop prompts, boxes and candidate, also those that are on their way."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Take back the last step, also one that is on its way."""


@dataclass(frozen=True, slots=True)
class Redo:
    """Do again what was taken back last."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Give up what takes time: an answer, a batch, an undo; not a run."""


@dataclass(frozen=True, slots=True)
class EditObject:
    """Begin to change an object, in the plane on show if it is there."""

    label_id: int


@dataclass(frozen=True, slots=True)
class EditAt:
    """Begin to change the object at a point."""

    plane: Plane
    y: float
    x: float


@dataclass(frozen=True, slots=True)
class Delete:
    """Turn objects into background; none named: the one that is being edited."""

    label_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Paint:
    """Write what was painted by hand: ids over a box, 0 erases."""

    labels_hw: NDArray[np.integer]
    box: Box
    plane: Plane


@dataclass(frozen=True, slots=True)
class GoTo:
    """Show another plane; prompts stay in theirs until a click is in another."""

    plane: Plane


@dataclass(frozen=True, slots=True)
class MoveBy:
    """Show the plane so many further along a stack axis, as far as there are any."""

    axis: int
    step: int


@dataclass(frozen=True, slots=True)
class MoveMouse:
    """The mouse is here now; None: not over the image."""

    plane: Plane
    click: Click | None


@dataclass(frozen=True, slots=True)
class MoveView:
    """What of a plane is in view has changed; None: nothing of the image is."""

    plane: Plane
    box: Box | None


@dataclass(frozen=True, slots=True)
class SetPreviews:
    """Show what a click under the mouse would give, or do not."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class SetBoxCollecting:
    """Collect boxes for an object each, or segment each at once."""

    is_on: bool


@dataclass(frozen=True, slots=True)
class SetLevel:
    """Read no level finer than this; None: as the object needs it."""

    level: int | None


@dataclass(frozen=True, slots=True)
class LoadPrompts:
    """Make an object of each entry of a prompts file."""

    path: Path


@dataclass(frozen=True, slots=True)
class SavePrompts:
    """Write the prompts of all objects to a file."""

    path: Path


@dataclass(frozen=True, slots=True)
class StartRun:
    """Segment everything in a part of the image.

    Parameters
    ----------
    where
        Which part. The view is that of the last `MoveView`.
    rectangle
        The part, for `Where.RECTANGLE`.
    object_size
        Side of a typical object, in pixels of level 0; None: estimated.
    """

    where: Where
    rectangle: Box | None = None
    object_size: float | None = None


@dataclass(frozen=True, slots=True)
class ContinueRun:
    """Go on with the run that was left unfinished."""


@dataclass(frozen=True, slots=True)
class CancelRun:
    """Stop the run; what it has found is kept, and `ContinueRun` goes on."""


Command = (
    AddPrompts
    | ReplacePrompts
    | CollectBox
    | SegmentBoxes
    | Choose
    | ChooseNext
    | Accept
    | MergeInto
    | Discard
    | Undo
    | Redo
    | Cancel
    | EditObject
    | EditAt
    | Delete
    | Paint
    | GoTo
    | MoveBy
    | MoveMouse
    | MoveView
    | SetPreviews
    | SetBoxCollecting
    | SetLevel
    | LoadPrompts
    | SavePrompts
    | StartRun
    | ContinueRun
    | CancelRun
)
