"""What the user did, step by step: the past that undo and redo go through.

It is kept in the label store's journal, in order with the edits of the labels, so
that it has no end and outlives the program: opening the labels again brings back
the prompts that were not accepted yet, and all of it can still be undone.

    kind          what happened                           undone by
    "draft"       prompts or the choice changed           "draft-undo"
    "add"         the candidate was accepted              "revert", by the store
    "replace"     an object got other pixels              "revert", by the store
    "erase"       an object was deleted                   "revert", by the store
    "paint"       pixels were painted by hand             "revert", by the store
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from napari_sam.errors import SamError
from napari_sam.labels import Edit, Entry, LabelStore, PixelsPendingError
from napari_sam.prompt_files import parse_objects, prompts_to_json
from napari_sam.prompts import Prompt

STATE, STATE_UNDO, STATE_REDO = "draft", "draft-undo", "draft-redo"


@dataclass(frozen=True, slots=True, eq=False)
class PromptState:
    """What the user points at right now, and has not accepted.

    Parameters
    ----------
    plane
        Where the prompts are.
    prompts
        In the order in which they came.
    choices
        For each prompt, which of the candidates that it led to was chosen.
    target
        The object that is being edited: the first prompt is its mask. None for a new
        one.
    """

    plane: tuple[int, ...]
    prompts: tuple[Prompt, ...] = ()
    choices: tuple[int, ...] = ()
    target: int | None = None

    def with_prompt(self, prompt: Prompt) -> PromptState:
        """The state with one more prompt."""
        return replace(
            self, prompts=(*self.prompts, prompt), choices=(*self.choices, 0)
        )

    def without(self, index: int) -> PromptState:
        """The state without one of its prompts."""
        prompts = self.prompts[:index] + self.prompts[index + 1 :]
        choices = self.choices[:index] + self.choices[index + 1 :]
        return PromptState(
            self.plane, prompts, choices, self.target if prompts else None
        )

    def with_choice(self, choice: int) -> PromptState:
        """The state with another candidate chosen."""
        return replace(self, choices=(*self.choices[:-1], choice))

    def first(self, count: int) -> PromptState:
        """The state as it was after so many of its prompts."""
        return replace(self, prompts=self.prompts[:count], choices=self.choices[:count])

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON; each prompt by itself, since order matters."""
        return {
            "plane": list(self.plane),
            "prompts": [prompts_to_json([prompt]) for prompt in self.prompts],
            "choices": list(self.choices),
            **({} if self.target is None else {"target": self.target}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PromptState:
        """The state that `to_json` wrote."""
        objects = parse_objects(data["prompts"], need_positive=False)
        prompts = tuple(item.prompts[0] for item in objects)
        choices = tuple(data["choices"])
        return cls(tuple(data["plane"]), prompts, choices, data.get("target"))


@dataclass(frozen=True, slots=True, eq=False)
class HistoryStep:
    """One thing that can be undone."""

    before: PromptState
    after: PromptState
    edit: int | None = None  # journal entry of the change of the labels, if any
    part_of: str = ""  # what it is one of several steps of, if it is

    def belongs_with(self, other: HistoryStep | None) -> bool:
        """Whether both are parts of what was one step to the user."""
        name = "" if other is None else other.part_of
        return bool(name) and name == self.part_of


@dataclass(frozen=True, slots=True, eq=False)
class TakenSteps:
    """The edits that an undo or redo went through, and what ended it early."""

    edits: tuple[Edit, ...] = ()
    error: SamError | None = None


class History:
    """The steps that were done, those that were undone, and the state they lead to.

    Parameters
    ----------
    store
        Whose journal keeps the history; what it holds already is taken up.
    plane
        Where the user is, if that is not in the journal.
    """

    def __init__(self, store: LabelStore, plane: tuple[int, ...]) -> None:
        self.state = PromptState(plane)
        self._store = store
        self._done: list[HistoryStep] = []
        self._undone: list[HistoryStep] = []
        for entry in store.journal.entries():
            self._follow(entry)

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._undone)

    @property
    def last(self) -> HistoryStep | None:
        """The step that `undo` takes back."""
        return self._done[-1] if self._done else None

    @property
    def next(self) -> HistoryStep | None:
        """The step that `redo` does again."""
        return self._undone[-1] if self._undone else None

    def change_state(self, state: PromptState) -> None:
        """Remember other prompts or another choice."""
        self._store.note(STATE, state.to_json())
        self._do(HistoryStep(self.state, state))

    def move(self, plane: tuple[int, ...]) -> None:
        """Go to another plane. It is a step only where prompts are left behind.

        So a drag of a slider does not bury what was done under planes passed by.
        """
        if self.state.prompts:
            self.change_state(PromptState(plane))
        else:
            self.state = PromptState(plane)

    def changed_labels(self, edit: Edit) -> None:
        """Remember a change of the labels, which the store has journaled already."""
        self._do(self._edit_step(edit.kind, edit.sequence, edit.part_of))

    def undo(self) -> Edit | None:
        """Take the last step back, and return the change of labels that it was."""
        step = self._done[-1]
        edit = None
        try:
            if step.edit is None:
                self._store.note(STATE_UNDO, {})
            else:
                edit = self._store.undo(step.edit)
        except PixelsPendingError:
            self._undo()  # the journal has it
            raise
        self._undo()
        return edit

    def redo(self) -> Edit | None:
        """Do the last undone step again, and return the change of labels it is."""
        step = self._undone[-1]
        edit = None
        try:
            if step.edit is None:
                self._store.note(STATE_REDO, {})
            else:
                edit = self._store.redo(step.edit)
        except PixelsPendingError:
            self._redo()
            raise
        self._redo()
        return edit

    def take(
        self, step: HistoryStep, before_edit: Callable[[], None] | None = None
    ) -> TakenSteps:
        """Undo or redo a step, and those that belong with it.

        Errors of the first edit are raised; later ones are returned with the edits that
        are done by then.
        """
        is_undo = step is self.last
        edits: list[Edit] = []
        try:
            while True:
                edit = self.undo() if is_undo else self.redo()
                if edit is not None:
                    edits.append(edit)
                if not step.belongs_with(self.last if is_undo else self.next):
                    return TakenSteps(tuple(edits))
                if before_edit is not None:
                    before_edit()
        except PixelsPendingError as error:
            return TakenSteps((*edits, error.edit), error)
        except SamError as error:
            if not edits:
                raise
            return TakenSteps(tuple(edits), error)

    def _follow(self, entry: Entry) -> None:
        if entry.kind == STATE:
            self._do(HistoryStep(self.state, PromptState.from_json(entry.data)))
        elif entry.is_edit:
            part_of = entry.data.get("part_of", "")
            self._do(self._edit_step(entry.kind, entry.sequence, part_of))
        elif entry.kind in {STATE_UNDO, "revert"}:
            if is_about(entry, self._done):
                self._undo()
            else:
                self._forget(entry.data.get("edit"))
        elif entry.kind in {STATE_REDO, "reapply"}:
            if is_about(entry, self._undone):
                self._redo()
            else:
                self._forget(entry.data.get("edit"))

    def _forget(self, edit: int | None) -> None:
        """Drop an edit that a script took back or did again, out of its turn."""
        self._done = [step for step in self._done if step.edit != edit]
        self._undone = [step for step in self._undone if step.edit != edit]

    def _edit_step(self, kind: str, sequence: int, part_of: str) -> HistoryStep:
        is_accepted = kind in {"add", "replace"}
        after = PromptState(self.state.plane) if is_accepted else self.state
        return HistoryStep(self.state, after, sequence, part_of)

    def _do(self, step: HistoryStep) -> None:
        self._done.append(step)
        self._undone.clear()
        self.state = step.after

    def _undo(self) -> None:
        step = self._done.pop()
        self._undone.append(step)
        self.state = step.before

    def _redo(self) -> None:
        step = self._undone.pop()
        self._done.append(step)
        self.state = step.after


def is_about(entry: Entry, steps: Sequence[HistoryStep]) -> bool:
    """Whether an undo or redo in the journal is of the last of these steps.

    It is not where labels were changed without a session, by a script.
    """
    return bool(steps) and steps[-1].edit == entry.data.get("edit")
