"""What a screen draws: one frozen state, complete in itself.

A screen never reads the session. Whatever there is to see of prompts, masks,
objects and runs is in the state; pixels of the image and of the labels it reads by
itself, and learns from `Screen.change_labels` which of them are old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from napari_sam.automatic import Tile
from napari_sam.errors import SamError
from napari_sam.labels import Edit, ObjectSummary
from napari_sam.predictor import Candidate
from napari_sam.prompts import BoxPrompt, Prompt

Plane = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RunState:
    """How far an automatic run is.

    Parameters
    ----------
    is_running
        Whether objects are being found, or written into the labels.
    done, count
        Steps that are done, and how many there are; a count of 0: not known yet.
    text
        For the user: progress, what came of it, or what an unfinished run offers.
    can_continue
        Whether there is an unfinished run that fits this image and model.
    """

    is_running: bool = False
    done: int = 0
    count: int = 1
    text: str = ""
    can_continue: bool = False


@dataclass(frozen=True, slots=True)
class JobState:
    """What takes time right now, for a bar and its Cancel; no text: nothing does.

    Parameters
    ----------
    text
        For the user, such as "Segmenting".
    done, count
        Steps done, and how many there are; a count of 0: not known.
    """

    text: str = ""
    done: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class AnnotatorState:
    """All that a screen shows of one image being labelled.

    Parameters
    ----------
    is_open
        Whether image, labels and model are there; before, only `job`, `notice` and
        `error` say anything.
    plane
        That is on show: indices along the stack axes.
    prompt_plane
        That the prompts are in.
    prompts
        In order, also those whose answer is on its way.
    unmet
        Indices of prompts that the chosen candidate does not honour.
    boxes
        That are collected for an object each, in `prompt_plane`.
    candidates, chosen
        Best first, and which of them is shown; none while an answer is on its way.
    candidate
        The mask that is shown: it stays until the next answer is there.
    preview
        What a click under the mouse would give.
    target
        The object that is being edited.
    is_pending
        Whether an answer is on its way.
    is_saving
        Whether an undo or a redo of many edits goes on; Cancel stops it.
    can_undo, can_redo
        Whether there is a step to take back, or to do again.
    has_previews, collects_boxes
        The two modes that a user turns on and off.
    level
        The finest level that is read; None: as the object needs it.
    objects
        That are in the labels, by id.
    labels_version
        Counts the edits of the labels in this session.
    job, run
        What takes time.
    notice, error
        A sentence for the user; an error stays until the next command.
    """

    is_open: bool = False
    plane: Plane = ()
    prompt_plane: Plane = ()
    prompts: tuple[Prompt, ...] = ()
    unmet: frozenset[int] = frozenset()
    boxes: tuple[BoxPrompt, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    chosen: int = 0
    candidate: Candidate | None = None
    preview: Candidate | None = None
    target: int | None = None
    is_pending: bool = False
    is_saving: bool = False
    can_undo: bool = False
    can_redo: bool = False
    has_previews: bool = False
    collects_boxes: bool = False
    level: int | None = None
    objects: tuple[ObjectSummary, ...] = ()
    labels_version: int = 0
    job: JobState = field(default_factory=JobState)
    run: RunState = field(default_factory=RunState)
    notice: str = ""
    error: str = ""


class Screen(Protocol):
    """Where an annotator is drawn; all of it is called on the session's thread.

    A screen that lives in another thread, as a window does, passes on what it is given
    by a queued signal, and posts commands back.
    """

    def show(self, state: AnnotatorState) -> None:
        """Draw this state; called whenever it is another one."""

    def change_labels(self, edit: Edit) -> None:
        """The labels have changed here; called before the state that says so."""

    def show_tile(self, tile: Tile | None) -> None:
        """Draw what a run has found in a tile; None: the run has ended, clear them."""

    def report(self, error: BaseException) -> None:
        """Something went wrong, for a log or a notification; the state says it too."""


def in_plain_words(error: BaseException) -> str:
    """What a user reads of it: of ours the message, of others also what they are."""
    if isinstance(error, SamError):
        return str(error)
    return f"Something went wrong ({type(error).__name__}: {error})."


def unmet_prompts(
    prompts: Sequence[Prompt], chosen: Candidate | None
) -> frozenset[int]:
    """Indices of the prompts that a candidate does not honour."""
    unmet = () if chosen is None else chosen.unmet
    return frozenset(
        index
        for index, prompt in enumerate(prompts)
        if any(prompt is other for other in unmet)
    )
