"""What a label store has to do, in plain numpy on a volume in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from numpy.typing import NDArray

from napari_sam.geometry import Box
from napari_sam.labels import LabelStore, OverlapRule

SHAPE = (2, 50, 60)  # z, y, x


def blocks(seed: int, box: Box, count: int) -> NDArray[np.integer]:
    """Blocks of 3 x 3 pixels, each with a number below `count`, the first with 1."""
    coarse = np.random.default_rng(seed).integers(0, count, (40, 40))
    coarse[0, 0] = 1
    fine = coarse.repeat(3, axis=0).repeat(3, axis=1)
    return fine[: box.shape[0], : box.shape[1]]


@dataclass(frozen=True)
class Add:
    plane: int
    box: Box
    rule: OverlapRule
    seed: int
    label_id: int | None = None

    @property
    def mask(self) -> NDArray[np.bool_]:
        return blocks(self.seed, self.box, 2).astype(bool)


@dataclass(frozen=True)
class Replace:
    plane: int
    box: Box
    seed: int
    label_id: int

    @property
    def mask(self) -> NDArray[np.bool_]:
        return blocks(self.seed, self.box, 2).astype(bool)


@dataclass(frozen=True)
class Paint:
    plane: int
    box: Box
    seed: int

    @property
    def labels(self) -> NDArray[np.uint32]:
        return blocks(self.seed, self.box, 6).astype(np.uint32)


@dataclass(frozen=True)
class Erase:
    label_id: int


@dataclass(frozen=True)
class Turn:
    edit: int  # counted from 0
    forward: bool


Operation = Add | Replace | Paint | Erase | Turn


@dataclass
class NumpyLabels:
    """Applies operations; those that make no sense change nothing."""

    volume: NDArray[np.uint32] = field(
        default_factory=lambda: np.zeros(SHAPE, dtype=np.uint32)
    )
    next_id: int = 1
    edits: list[tuple[NDArray[np.bool_], NDArray[np.uint32], NDArray[np.uint32]]] = (
        field(default_factory=list)
    )
    applied: list[bool] = field(default_factory=list)

    def perform(self, operation: Operation) -> bool:
        """Whether the operation did anything."""
        if isinstance(operation, Turn):
            return self._turn(operation)
        after = self.volume.copy()
        used = self._change(after, operation)
        changed = after != self.volume
        if not changed.any():
            return False
        self.next_id = max(self.next_id, used + 1, int(after[changed].max()) + 1)
        self.edits.append((changed, self.volume[changed], after[changed]))
        self.applied.append(True)
        self.volume = after
        return True

    def _change(
        self, after: NDArray[np.uint32], operation: Add | Replace | Paint | Erase
    ) -> int:
        """Change the volume; an id that counts as used from then on, or 0."""
        if isinstance(operation, Erase):
            after[after == operation.label_id] = 0
            return 0
        if isinstance(operation, Add):
            return self._add(after, operation)
        plane = after[operation.plane]
        if isinstance(operation, Paint):
            plane[operation.box.slices] = operation.labels
            return 0
        plane[plane == operation.label_id] = 0
        plane[operation.box.slices][operation.mask] = operation.label_id
        return operation.label_id

    def _add(self, after: NDArray[np.uint32], operation: Add) -> int:
        window = after[operation.plane][operation.box.slices]
        mask = operation.mask
        label_id = operation.label_id or self.next_id
        if operation.rule is OverlapRule.MERGE:
            under = np.bincount(window[mask], minlength=2)
            under[0] = 0
            if under.any():
                label_id = int(under.argmax())
        if operation.rule is not OverlapRule.OVERWRITE:
            mask = mask & (window == 0)
        window[mask] = label_id
        return label_id

    def _turn(self, operation: Turn) -> bool:
        if operation.edit >= len(self.edits):
            return False
        changed, before, after = self.edits[operation.edit]
        if operation.forward:
            before, after = after, before
        if self.applied[operation.edit] is operation.forward:
            return False
        if (self.volume[changed] != after).any():
            return False
        self.volume[changed] = before
        self.applied[operation.edit] = operation.forward
        return True


def perform(store: LabelStore, edits: list[int], operation: Operation) -> None:
    """The same operation on a store; `edits` collects the sequence numbers."""
    if isinstance(operation, Add):
        edit = store.add(
            operation.mask,
            operation.box,
            (operation.plane,),
            rule=operation.rule,
            label_id=operation.label_id,
            record={"seed": operation.seed},
        )
        edits.append(edit.sequence)
    elif isinstance(operation, Replace):
        edit = store.replace(
            operation.label_id,
            operation.mask,
            operation.box,
            (operation.plane,),
            record={"seed": operation.seed},
        )
        edits.append(edit.sequence)
    elif isinstance(operation, Paint):
        edit = store.paint(
            operation.labels,
            operation.box,
            (operation.plane,),
            record={"seed": operation.seed},
        )
        edits.append(edit.sequence)
    elif isinstance(operation, Erase):
        edits.append(store.erase(operation.label_id).sequence)
    elif operation.forward:
        store.redo(edits[operation.edit])
    else:
        store.undo(edits[operation.edit])


def random_operation(random: Random, model: NumpyLabels) -> Operation:
    """Something to do next, mostly something that makes sense."""
    kind = random.random()
    if kind < 0.6 or not model.edits:
        height, width = random.randint(1, 45), random.randint(1, 45)
        y, x = random.randint(0, SHAPE[1] - height), random.randint(0, SHAPE[2] - width)
        box = Box(y, x, y + height, x + width)
        plane, seed = random.randrange(SHAPE[0]), random.randrange(2**32)
        if kind < 0.1:
            return Paint(plane, box, seed)
        if kind < 0.2:
            return Replace(plane, box, seed, random.randrange(1, model.next_id + 1))
        return Add(plane, box, random.choice(list(OverlapRule)), seed)
    if kind < 0.7:
        return Erase(random.randrange(1, model.next_id))
    if kind < 0.9:
        return Turn(
            max((i for i, on in enumerate(model.applied) if on), default=0), False
        )
    return Turn(random.randrange(len(model.edits)), True)
