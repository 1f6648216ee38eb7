"""Prompts as a JSON file: what to segment, object by object.

    {"objects": [{"id": 1, "plane": [3], "points": [[120.5, 80.0, 1], [140.0, 95.0, 0]],
                  "box": [100, 60, 180, 130]}]}

`points` rows are y, x, label (1 on the object, 0 off it), `box` is y0, x0, y1, x1,
`plane` indexes the axes before y, x other than channels. A rough mask may be given as
`"mask": {"box": [y0, x0, y1, x1], "runs": [...]}`, whose runs count false and true
pixels of the box in turn, in C order. All of them may be left out, but an object
needs a positive point, a box or a mask.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_sam.errors import MaskError, PromptError
from napari_sam.geometry import Box
from napari_sam.masks import from_run_lengths, run_lengths
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt, has_positive

OBJECT_KEYS = {"id", "plane", "points", "box", "mask"}
LARGEST_ID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class ObjectPrompts:
    """The prompts of one object.

    Parameters
    ----------
    prompts
        Clicks and boxes, in pixels of level 0.
    plane
        Indices of the axes before y, x other than channels.
    label_id
        The id that the object is to get, or None for the next free one.
    """

    prompts: tuple[Prompt, ...]
    plane: tuple[int, ...] = ()
    label_id: int | None = None


def read_prompts(path: Path | str) -> tuple[ObjectPrompts, ...]:
    """Read a prompts file.

    Raises
    ------
    PromptError
        The file cannot be read or is not of this form; the message names the entry.
    """
    try:
        # Editors on Windows begin a file with a byte order mark; it means nothing.
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"Cannot read prompts from {path}: {error}.") from error
    try:
        return parse_prompts(json.loads(text))
    except json.JSONDecodeError as error:
        raise PromptError(
            f"{path} is not valid JSON: {error.msg} in line {error.lineno}, column "
            f"{error.colno}."
        ) from error
    except PromptError as error:
        raise PromptError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, brackets nested thousands deep.
        raise PromptError(
            f"{path} is JSON beyond what can be read: {error}."
        ) from error


def write_prompts(path: Path | str, objects: Iterable[ObjectPrompts]) -> None:
    """Write a prompts file; of mask prompts the mask is kept, not the logits."""
    text = json.dumps({"objects": [_to_json(item) for item in objects]}, indent=1)
    Path(path).write_text(text + "\n", encoding="utf-8")


def prompts_to_json(prompts: Iterable[Prompt]) -> dict[str, Any]:
    """The `points`, `box` and `mask` of an object, those that it has.

    The form has one box and one mask, so of several the last is kept.
    """
    listed = tuple(prompts)
    points = [
        [float(p.y), float(p.x), int(p.positive)]
        for p in listed
        if isinstance(p, Click)
    ]
    boxes = [_sides(p, float) for p in listed if isinstance(p, BoxPrompt)]
    masks = [
        {"box": _sides(p.box, int), "runs": run_lengths(p.mask)}
        for p in listed
        if isinstance(p, MaskPrompt)
    ]
    return {
        **({"points": points} if points else {}),
        **({"box": boxes[-1]} if boxes else {}),
        **({"mask": masks[-1]} if masks else {}),
    }


def parse_prompts(document: Any) -> tuple[ObjectPrompts, ...]:
    """Check a decoded prompts file and turn it into values."""
    if not isinstance(document, Mapping) or not isinstance(
        document.get("objects"), list
    ):
        raise PromptError(
            'prompts are an object with a list "objects", as in '
            '{"objects": [{"points": [[120, 80, 1]]}]}, got '
            f"{_brief(document)}."
        )
    objects = parse_objects(document["objects"])
    counts = Counter(item.label_id for item in objects if item.label_id is not None)
    twice = [str(label_id) for label_id, count in counts.items() if count > 1]
    if twice:
        raise PromptError(
            f"ids must differ between objects, but {', '.join(twice)} came more than "
            "once. Put all points of one object into one entry, or leave ids out."
        )
    return objects


def parse_objects(
    items: Sequence[Any], *, need_positive: bool = True
) -> tuple[ObjectPrompts, ...]:
    """Check the entries of "objects"; with `need_positive` for a positive prompt."""
    objects = []
    for i, item in enumerate(items):
        objects.append(_parse_object(item, f"objects[{i}]"))
        if need_positive and not has_positive(objects[-1].prompts):
            raise PromptError(
                f"objects[{i}] needs a point with label 1, a box or a mask."
            )
    return tuple(objects)


def _parse_object(item: Any, where: str) -> ObjectPrompts:
    if not isinstance(item, Mapping):
        raise PromptError(f"{where} needs to be an object, got {_brief(item)}.")
    unknown = sorted(item.keys() - OBJECT_KEYS)
    if unknown:
        raise PromptError(
            f"{where} has unknown keys {', '.join(unknown)}; known are "
            f"{', '.join(sorted(OBJECT_KEYS))}."
        )
    prompts: list[Prompt] = _parse_points(item.get("points", []), f"{where}.points")
    if item.get("box") is not None:
        prompts.append(_parse_box(item["box"], f"{where}.box"))
    if item.get("mask") is not None:
        prompts.append(_parse_mask(item["mask"], f"{where}.mask"))
    plane = item.get("plane", [])
    if not isinstance(plane, list) or not all(_is_whole(n) and n >= 0 for n in plane):
        raise PromptError(
            f"{where}.plane needs a list of whole numbers >= 0, got {_brief(plane)}."
        )
    label_id = item.get("id")
    if label_id is not None and not (
        _is_whole(label_id) and 1 <= label_id <= LARGEST_ID
    ):
        raise PromptError(
            f"{where}.id needs a whole number from 1 to {LARGEST_ID}, got "
            f"{_brief(label_id)}."
        )
    return ObjectPrompts(tuple(prompts), tuple(plane), label_id)


def _parse_points(points: Any, where: str) -> list[Prompt]:
    if not isinstance(points, list):
        raise PromptError(
            f"{where} needs a list of [y, x, label], got {_brief(points)}."
        )
    clicks: list[Prompt] = []
    for i, row in enumerate(points):
        y, x, label = _numbers(row, 3, f"{where}[{i}]", "[y, x, label]")
        if label not in (0, 1):
            raise PromptError(
                f"{where}[{i}] needs label 1 (on the object) or 0 (off it), got "
                f"{label:g}."
            )
        try:
            clicks.append(Click(y, x, label == 1))
        except PromptError as error:
            raise PromptError(f"{where}[{i}]: {error}") from error
    return clicks


def _parse_box(box: Any, where: str) -> BoxPrompt:
    sides = _numbers(box, 4, where, "[y0, x0, y1, x1]")
    try:
        return BoxPrompt(*sides)
    except PromptError as error:
        raise PromptError(f"{where}: {error}") from error


def _parse_mask(mask: Any, where: str) -> MaskPrompt:
    if not isinstance(mask, Mapping) or mask.keys() != {"box", "runs"}:
        raise PromptError(f"{where} needs keys box and runs, got {_brief(mask)}.")
    box = _parse_box(mask["box"], f"{where}.box").box
    runs = mask["runs"]
    if not isinstance(runs, list) or not all(_is_whole(n) for n in runs):
        raise PromptError(
            f"{where}.runs needs a list of whole numbers, got {_brief(runs)}."
        )
    try:
        return MaskPrompt.from_mask(from_run_lengths(runs, box.shape), box)
    except (MaskError, PromptError) as error:
        raise PromptError(f"{where}: {error}") from error


def _sides(box: Box | BoxPrompt, kind: type[int] | type[float]) -> list[float]:
    """Plain numbers, also where numpy's came from a viewer."""
    return [kind(side) for side in (box.y0, box.x0, box.y1, box.x1)]


def _numbers(row: Any, count: int, where: str, form: str) -> list[float]:
    is_number = [
        isinstance(n, int | float) and not isinstance(n, bool)
        for n in (row if isinstance(row, list) else ())
    ]
    if len(is_number) != count or not all(is_number):
        raise PromptError(f"{where} needs {count} numbers {form}, got {_brief(row)}.")
    try:
        return [float(n) for n in row]
    except OverflowError as error:
        raise PromptError(f"{where} has a number beyond reason: {error}.") from error


def _is_whole(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _brief(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _to_json(item: ObjectPrompts) -> dict[str, Any]:
    return {
        **({} if item.label_id is None else {"id": item.label_id}),
        **({"plane": list(item.plane)} if item.plane else {}),
        **prompts_to_json(item.prompts),
    }
