"""Objects as a session writes them: one's record, its mask as a prompt, many at once.

    ObjectPrompts ---> ObjectAnswer ---> ObjectOutcome
    `request_objects`  `compute_object`  `add_objects`
    session's thread   any thread        session's thread

Many objects at once are boxes that were collected, or a file of prompts. All prompts of
one go to the model together. Nothing refines its answer, as a click does that a user
makes because of what is shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

from napari_sam.errors import (
    Cancelled,
    PredictorError,
    PromptError,
    SamError,
    SessionError,
)
from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.labels import LabelStore, OverlapRule
from napari_sam.masks import bounding_box
from napari_sam.predictor import Candidate, ImagePredictor, ProgressCallback
from napari_sam.prompt_files import ObjectPrompts, prompts_to_json
from napari_sam.prompts import Click, MaskPrompt, Prompt, check_inside, has_positive

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class ObjectAnswer:
    """What the model makes of one object's prompts: a candidate, or why there is none.

    Parameters
    ----------
    item
        The prompts.
    candidate
        The best one, None where there is none.
    error
        Why there is none.
    """

    item: ObjectPrompts
    candidate: Candidate | None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ObjectOutcome:
    """What became of one of many objects; it holds no pixels.

    Parameters
    ----------
    index
        Among those that were given, from 0.
    item
        Its prompts.
    error
        Why it is not in the labels; None where it is.
    label_id
        Its id; None where it is not in the labels.
    score
        0..1, as the model gave it.
    level
        The coarsest that its outline comes from.
    box
        Where it is, in pixels of level 0.
    is_complete
        Whether its outline was followed to its end.
    unmet_count
        How many of its prompts the mask does not honour.
    """

    index: int
    item: ObjectPrompts
    error: BaseException | None = None
    label_id: int | None = None
    score: float = 0.0
    level: int = 0
    box: Box | None = None
    is_complete: bool = False
    unmet_count: int = 0

    @property
    def name(self) -> str:
        """Which object it is, for messages."""
        return object_name(self.index, self.item)

    @classmethod
    def of_written(
        cls, index: int, item: ObjectPrompts, label_id: int, candidate: Candidate
    ) -> ObjectOutcome:
        """Of an object that is in the labels."""
        return cls(
            index,
            item,
            label_id=label_id,
            score=candidate.score,
            level=candidate.level,
            box=candidate.box,
            is_complete=candidate.complete,
            unmet_count=len(candidate.unmet),
        )


class FreeIds:
    """Ids for objects that name none; none of those that others of them name.

    Parameters
    ----------
    first
        From which on ids are free.
    taken
        Those that objects name.
    """

    def __init__(self, first: int, taken: Collection[int]) -> None:
        self._next, self._taken = first, taken

    def choose(self, label_id: int | None, rule: OverlapRule) -> int | None:
        """The id to write an object under, None where the rule chooses it."""
        while self._next in self._taken:
            self._next += 1
        if label_id is not None:
            return label_id
        return None if rule is OverlapRule.MERGE else self._next

    def written(self, label_id: int) -> None:
        """Give this id to no other object."""
        if label_id == self._next:
            self._next += 1


def object_name(index: int, item: ObjectPrompts) -> str:
    """Which of many objects one is, such as "objects[3] (id 7, at y=20, x=31.5)"."""
    facts = [] if item.label_id is None else [f"id {item.label_id}"]
    facts += [f"plane {list(item.plane)}"] if item.plane else []
    facts += [f"at {position}" for position in _first_position(item.prompts)]
    return f"objects[{index}] ({', '.join(facts)})"


def as_sequence(objects: Sequence[T]) -> Sequence[T]:
    """The objects; a SessionError if this is no list of them."""
    if not isinstance(objects, Sequence):
        raise SessionError(
            f"Objects need to be a list, each a list of prompts, got {objects!r}."
        )
    return objects


def check_object(
    index: int,
    item: ObjectPrompts | Sequence[Prompt],
    image: Image,
    plane: tuple[int, ...] = (),
) -> ObjectPrompts:
    """The object with its plane, `plane` where it names none.

    Raises
    ------
    PromptError
        It is not in the image; the message says which object.
    """
    prompts = item.prompts if isinstance(item, ObjectPrompts) else item
    named = item if isinstance(item, ObjectPrompts) else ObjectPrompts(())
    chosen = named.plane or plane
    if not chosen and prod(image.stack_shape) == 1:
        chosen = (0,) * len(image.stack_shape)
    try:
        image.check_plane(chosen)
        check_inside(prompts, Box.of_shape(image.shape))
    except SamError as error:
        raise PromptError(f"objects[{index}]: {error}") from error
    return ObjectPrompts(tuple(prompts), tuple(chosen), named.label_id)


def ids_named_by(items: Iterable[ObjectAnswer | ObjectPrompts]) -> set[int]:
    """The ids that objects name."""
    prompts = (x.item if isinstance(x, ObjectAnswer) else x for x in items)
    return {item.label_id for item in prompts if item.label_id is not None}


def iter_answers(
    predictor: ImagePredictor,
    items: Iterable[ObjectAnswer | ObjectPrompts],
    watch: ProgressCallback | None = None,
    *,
    keep_going: bool,
) -> Iterator[ObjectAnswer]:
    """Find one object after the other, but for those that are found already."""
    find = try_object if keep_going else compute_object
    for item in items:
        if isinstance(item, ObjectAnswer):
            yield item
        else:
            yield find(predictor, item, watch)


def compute_object(
    predictor: ImagePredictor,
    item: ObjectPrompts,
    watch: ProgressCallback | None = None,
) -> ObjectAnswer:
    """Find one object; `watch` and errors are those of `ImagePredictor.predict`."""
    candidates = (
        predictor.predict(item.prompts, item.plane, watch=watch)
        if has_positive(item.prompts)
        else ()
    )
    if candidates:
        return ObjectAnswer(item, candidates[0])
    error = PredictorError(
        "the model sees no object there. Move the points, or add a box."
    )
    return ObjectAnswer(item, None, error)


def try_object(
    predictor: ImagePredictor,
    item: ObjectPrompts,
    watch: ProgressCallback | None = None,
) -> ObjectAnswer:
    """Find one object; what only concerns it becomes the answer's error."""
    try:
        return compute_object(predictor, item, watch)
    except Cancelled:
        raise
    except (SamError, OSError, RuntimeError, MemoryError) as error:
        # torch reports a full GPU as a RuntimeError.
        return ObjectAnswer(item, None, error)


def object_record(
    candidate: Candidate, prompts: Sequence[Prompt], fingerprint: str, chosen: int
) -> dict[str, Any]:
    """What the journal keeps of an accepted object besides its pixels."""
    return {
        "prompts": prompts_to_json(prompts),
        "model": fingerprint,
        "score": candidate.score,
        "level": candidate.level,
        "candidate": chosen,
    }


def mask_prompt(
    labels: LabelStore, label_id: int, plane: tuple[int, ...], box: Box | None
) -> MaskPrompt:
    """An object's mask in a plane as a prompt; `box` where the journal knows none.

    Raises
    ------
    SessionError
        It has no pixels there.
    """
    spots = [spot for _, spot in labels.spots(label_id, plane)]
    where = Box.around(spots) if box is None and spots else box
    if where is None:
        raise SessionError(
            f"The journal knows no pixels of object {label_id} in plane {plane}. Go to "
            "a plane that it is in, or give its box=Box(y0, x0, y1, x1) if "
            "it is older than the journal."
        )
    mask = labels.read(plane, where) == label_id
    inner = bounding_box(mask)
    if inner is None:
        raise SessionError(
            f"Object {label_id} has no pixels in {where} of plane {plane}."
        )
    return MaskPrompt.from_mask(mask[inner.slices], inner.shift(where.y0, where.x0))


def _first_position(prompts: Sequence[Prompt]) -> list[str]:
    """Where the first prompt is that is on the object; empty if none is."""
    for prompt in prompts:
        if isinstance(prompt, Click):
            if prompt.positive:
                return [f"y={prompt.y:g}, x={prompt.x:g}"]
        else:
            y, x = prompt.box.center
            return [f"y={y:g}, x={x:g}"]
    return []
