"""What a journal adds up to: which objects are alive, which ids are used.

Only facts of a fixed size are kept in memory; masks and prompts stay on disk.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from napari_sam.geometry import Box
from napari_sam.labels.edits import Edit, OverlapRule, Patch, patches_to_json
from napari_sam.labels.journal import EDIT_KINDS, Entry

OWN_KINDS = EDIT_KINDS | {"volume", "revert", "reapply", "checkpoint", "restore"}


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """An object that is in the labels now, or one part of one."""

    sequence: int  # of the journal entry, and of the `Edit`
    label_id: int
    plane: tuple[int, ...]
    box: Box
    pixels: int  # that it wrote; later objects may have taken some
    rule: OverlapRule
    time: str  # ISO 8601, UTC
    record: Mapping[str, Any]  # what came with it: prompts, model, score


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object that is in the labels now, all its parts together."""

    label_id: int
    planes: tuple[tuple[int, ...], ...]
    box: Box  # around its pixels in all planes; may be larger than they are now
    area: int | None  # pixels, over all planes; None if from before the journal
    score: float | None  # of its newest part that has one, 0..1


@dataclass(frozen=True, slots=True)
class Gain:
    """What one edit gave to one object."""

    pixels: int  # that it did not have before
    area: int  # as of the edit, in the edit's plane
    box: Box  # around them
    score: float | None = None  # of its own, 0..1


@dataclass(frozen=True, slots=True)
class Operation:
    """An edit that was done or, when not `forward`, taken back."""

    sequence: int  # of the edit
    forward: bool


class Ledger:
    """Follows a journal, entry by entry."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.identity: str | None = None
        self.origin = "created"  # or "adopted": pixels that no entry is about
        self.axes: str | None = None
        self.shape: tuple[int, ...] = ()
        self.highest_id = 0
        self.operations: list[Operation] = []
        self.safe_count = 0  # so many operations survive a power cut
        self._adopted_id = 0
        self._edits: dict[int, Edit] = {}
        self._gains: dict[int, Mapping[int, Gain]] = {}
        self._taken: dict[int, Mapping[int, int]] = {}
        self._scores: dict[int, float] = {}  # of edits, for objects without their own
        self._applied: set[int] = set()
        self._areas: Counter[int] = Counter()
        self._adds: dict[int, list[int]] = defaultdict(list)
        self._erases: dict[int, list[int]] = defaultdict(list)
        for entry in entries:
            self.follow(entry)

    def follow(self, entry: Entry) -> None:
        """Take one more entry into account; foreign kinds change nothing."""
        data = entry.data
        if entry.kind == "volume":
            self.identity, self.origin = data["identity"], data["origin"]
            self.axes, self.shape = data["axes"], tuple(data["shape"])
            self._adopted_id = self.highest_id = data["highest_id"]
        elif entry.is_edit:
            self._begin(entry)
        elif entry.kind in {"revert", "reapply"}:
            self._turn(Operation(data["edit"], entry.kind == "reapply"))
        elif entry.kind == "checkpoint":
            self.safe_count = len(self.operations)
        elif entry.kind == "restore":
            self.safe_count = 0

    @property
    def unsafe(self) -> list[Operation]:
        """Operations that a power cut could undo, oldest first."""
        return self.operations[self.safe_count :]

    def edit(self, sequence: int) -> Edit | None:
        """The edit of a journal entry, None if the entry is none."""
        return self._edits.get(sequence)

    def is_applied(self, sequence: int) -> bool:
        """Whether an edit is in the labels now, that is, not undone."""
        return sequence in self._applied

    def live_adds(self) -> list[tuple[int, int]]:
        """(sequence, label id) of what was added and is in the labels now, in order."""
        return sorted(
            (sequence, label)
            for label, adds in self._adds.items()
            if self._has_pixels(label)
            for sequence in adds
            if sequence in self._applied and not self._was_erased(label, sequence)
        )

    def objects(self) -> list[ObjectSummary]:
        """What is in the labels now, by label id."""
        parts: dict[int, list[int]] = defaultdict(list)
        for sequence, label in self.live_adds():
            parts[label].append(sequence)
        return [self._summary(label, parts[label]) for label in sorted(parts)]

    def area(self, label_id: int) -> int | None:
        """Pixels of an object, over all planes; None if from before the journal."""
        return None if label_id <= self._adopted_id else self._areas[label_id]

    def spots(
        self, label_id: int, plane: tuple[int, ...] | None
    ) -> list[tuple[tuple[int, ...], Box]]:
        """Where an object's pixels can be: a box in each plane, or in one plane."""
        boxes: dict[tuple[int, ...], list[Box]] = defaultdict(list)
        # Erased additions too: undoing what had covered a part brings that part back.
        for sequence in self._adds.get(label_id, ()):
            edit = self._edits[sequence]
            if sequence in self._applied and plane in {None, edit.planes[0]}:
                boxes[edit.planes[0]].append(self._gains[sequence][label_id].box)
        return [(index, Box.around(found)) for index, found in boxes.items()]

    def _summary(self, label: int, parts: list[int]) -> ObjectSummary:
        planes = sorted({self._edits[part].planes[0] for part in parts})
        box = Box.around(self._gains[part][label].box for part in parts)
        scores = [self._score(part, label) for part in parts]
        score = next((score for score in reversed(scores) if score is not None), None)
        return ObjectSummary(label, tuple(planes), box, self.area(label), score)

    def _score(self, part: int, label: int) -> float | None:
        own = self._gains[part][label].score
        return self._scores.get(part) if own is None else own

    def _has_pixels(self, label_id: int) -> bool:
        # The journal cannot count what was there before it was begun.
        return label_id <= self._adopted_id or self._areas[label_id] > 0

    def _was_erased(self, label_id: int, add: int) -> bool:
        plane = self._edits[add].planes[0]
        return any(
            erase > add
            and erase in self._applied
            and plane in self._edits[erase].planes
            for erase in self._erases.get(label_id, ())
        )

    def _begin(self, entry: Entry) -> None:
        edit, gains = edit_of(entry), gains_of(entry)
        taken = {int(label): count for label, count in entry.data["taken"].items()}
        self._edits[entry.sequence], self._taken[entry.sequence] = edit, taken
        self._gains[entry.sequence] = gains
        score = entry.data.get("record", {}).get("score")
        if isinstance(score, int | float):
            self._scores[entry.sequence] = float(score)
        self.highest_id = max(self.highest_id, edit.label_id, *gains)
        for label in gains:
            self._adds[label].append(edit.sequence)
        if edit.kind == "replace" or entry.data.get("whole"):
            self._erases[edit.label_id].append(edit.sequence)
        self._turn(Operation(edit.sequence, forward=True))

    def _turn(self, operation: Operation) -> None:
        sign = 1 if operation.forward else -1
        for label, gain in self._gains[operation.sequence].items():
            self._areas[label] += sign * gain.pixels
        for label, count in self._taken[operation.sequence].items():
            self._areas[label] -= sign * count
        if operation.forward:
            self._applied.add(operation.sequence)
        else:
            self._applied.discard(operation.sequence)
        self.operations.append(operation)


def edit_data(
    label_id: int, patches: Iterable[Patch], details: Mapping[str, Any]
) -> dict[str, Any]:
    """What the journal keeps of an edit.

    Parameters
    ----------
    label_id
        The object.
    patches
        Its pixels; at least one.
    details
        "rule" and "record" of what adds pixels; "gained" too where it adds to another
        object than `label_id`, or takes some away; "whole" of an erasure: whether it
        took all that was known of the object in its planes.
    """
    patches = list(patches)
    taken: Counter[int] = Counter()
    for patch in patches:
        taken.update(patch.taken())
    box = Box.around(patch.box for patch in patches)
    return {
        "label_id": label_id,
        "box": [box.y0, box.x0, box.y1, box.x1],
        "planes": sorted({patch.plane for patch in patches}),
        "pixels": sum(patch.changed_count for patch in patches),
        "taken": {str(label): count for label, count in taken.items()},
        **details,
        "patches": patches_to_json(patches),
    }


def edit_of(entry: Entry) -> Edit:
    """The edit that a journal entry records."""
    data = entry.data
    planes = tuple(tuple(plane) for plane in data["planes"])
    return Edit(
        entry.sequence,
        entry.kind,
        data["label_id"],
        planes,
        Box(*data["box"]),
        data["pixels"],
        data.get("part_of", ""),
    )


def gains_of(entry: Entry) -> dict[int, Gain]:
    """What an edit in the journal gave to which objects."""
    data = entry.data
    if "gained" in data:
        return {
            int(label): Gain(
                gain["pixels"], gain["area"], Box(*gain["box"]), gain.get("score")
            )
            for label, gain in data["gained"].items()
        }
    if entry.kind == "add":
        gain = Gain(data["pixels"], data["pixels"], Box(*data["box"]))
        return {data["label_id"]: gain}
    return {}


def gains_from(
    patches: Iterable[Patch], scores: Mapping[int, float] | None = None
) -> dict[int, Gain]:
    """What patches give to which objects, whose scores are known or not."""
    by_label: dict[int, list[Patch]] = defaultdict(list)
    for patch in patches:
        if patch.after:
            by_label[patch.after].append(patch)
    gains = {}
    for label, found in by_label.items():
        count = sum(patch.changed_count for patch in found)
        box = Box.around(patch.box for patch in found)
        gains[label] = Gain(count, count, box, (scores or {}).get(label))
    return gains


def overwriting(
    gains: Mapping[int, Gain], record: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The details of an edit that gave pixels to objects, whoever had them."""
    gained = {
        str(label): {
            "pixels": gain.pixels,
            "area": gain.area,
            "box": [gain.box.y0, gain.box.x0, gain.box.y1, gain.box.x1],
            **({} if gain.score is None else {"score": gain.score}),
        }
        for label, gain in gains.items()
    }
    rule = OverlapRule.OVERWRITE.value
    return {"rule": rule, "record": dict(record or {}), "gained": gained}


def record_of(entry: Entry, label_id: int) -> LabelRecord:
    """The record that the journal entry of an edit holds of an object that it made."""
    edit, gain = edit_of(entry), gains_of(entry)[label_id]
    own = {} if gain.score is None else {"score": gain.score}
    return LabelRecord(
        edit.sequence,
        label_id,
        edit.planes[0],
        gain.box,
        gain.area,
        OverlapRule(entry.data["rule"]),
        entry.time,
        {**entry.data["record"], **own},
    )
