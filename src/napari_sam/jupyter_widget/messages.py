"""What the browser sends, as commands. Whatever else comes is refused in plain words.

    {"type": "click", "plane": [3], "y": 120.5, "x": 80.25, "positive": true}

Coordinates are in pixels of level 0, as everywhere; the browser knows the zoom.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from napari_sam.annotator import Command, Plane, commands
from napari_sam.errors import PromptError, SamError
from napari_sam.geometry import Box
from napari_sam.jupyter_widget.tiles import Kind, TileKey
from napari_sam.prompts import BoxPrompt, Click, are_finite

Tool = Literal["prompt", "exclude", "pan", "pick"]
LabelStyle = Literal["fill", "outline", "off"]

COMMANDS: Mapping[str, Command] = {
    "accept": commands.Accept(),
    "discard": commands.Discard(),
    "undo": commands.Undo(),
    "redo": commands.Redo(),
    "delete": commands.Delete(),
    "next": commands.ChooseNext(),
    "cancel": commands.Cancel(),
}
"""What needs nothing but its name."""

MOST_TILES = 1024
"""A view requests fewer tiles than this, whatever its size."""


class MessageError(SamError, ValueError):
    """A message from the browser that makes no sense."""


@dataclass(frozen=True, slots=True)
class ViewMoved:
    """What is in view, and the tiles that it lacks, the most wanted first.

    Parameters
    ----------
    view
        Names one of several views of the same widget.
    plane
        That is on show.
    box
        y0, x0, y1, x1 of the canvas; it may be larger than the image.
    zoom
        Pixels of the screen for each pixel of level 0.
    tiles
        To be sent; those that an earlier message named are not wanted any more.
    """

    view: str
    plane: Plane
    box: tuple[float, float, float, float]
    zoom: float
    tiles: tuple[TileKey, ...]


@dataclass(frozen=True, slots=True)
class TilesArrived:
    """The tile of this number is in the browser, and so are those before it."""

    number: int


@dataclass(frozen=True, slots=True)
class RepeatState:
    """The page waits for long, and may have missed what the state has come to be."""


@dataclass(frozen=True, slots=True)
class DisplayChanged:
    """How things are shown was changed by a key; None: as before."""

    tool: Tool | None = None
    labels: LabelStyle | None = None
    preview: bool | None = None


PageMessage = ViewMoved | TilesArrived | RepeatState | DisplayChanged
"""What is the page's own; all else goes to the annotator."""


def parse_message(content: Any) -> Command | PageMessage:
    """Check a message and turn it into a value.

    Raises
    ------
    MessageError
        It is none; says which part of it, what was needed and what came.
    """
    if not isinstance(content, Mapping):
        raise MessageError(
            f'A message needs to be an object with a "type", got {_brief(content)}.'
        )
    kind = content.get("type")
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise MessageError(
            f"A message needs a type among {', '.join(sorted(_PARSERS))}, got "
            f"{_brief(kind)}. Is the page older than the kernel? Reload it."
        )
    try:
        return parse(content)
    except PromptError as error:
        raise MessageError(str(error)) from error


def _view(content: Mapping[str, Any]) -> ViewMoved:
    plane = _plane(content)
    view: Any = content.get("view")
    zoom: Any = content.get("zoom")
    if not isinstance(view, str) or len(view) > 64:
        raise MessageError(f"view needs a short name, got {_brief(view)}.")
    if not _are_numbers(zoom) or not zoom > 0:
        raise MessageError(f"view needs a zoom above 0, got {_brief(zoom)}.")
    box = _numbers(content, "box", 4)
    rows = content.get("tiles")
    if not isinstance(rows, list) or len(rows) > MOST_TILES:
        raise MessageError(
            f"view needs a list of at most {MOST_TILES} tiles, got {_brief(rows)}."
        )
    tiles = tuple(_tile(row, plane) for row in rows)
    return ViewMoved(view, plane, (box[0], box[1], box[2], box[3]), float(zoom), tiles)


def _tile(row: Any, plane: Plane) -> TileKey:
    is_tile = (
        isinstance(row, list)
        and len(row) == 4
        and row[0] in get_args(Kind)
        and all(_is_whole(n) and 0 <= n < 2**31 for n in row[1:])
    )
    if not is_tile:
        kinds = ", ".join(get_args(Kind))
        raise MessageError(
            f"A tile needs [kind, level, row, column] with a kind among {kinds} and "
            f"whole numbers >= 0, got {_brief(row)}."
        )
    return TileKey(row[0], plane, row[1], row[2], row[3])


def _arrived(content: Mapping[str, Any]) -> TilesArrived:
    number: Any = content.get("number")
    if not _is_whole(number) or number < 1:
        raise MessageError(
            f"arrived needs a number, a whole one above 0, got {_brief(number)}."
        )
    return TilesArrived(number)


def _click(content: Mapping[str, Any]) -> commands.AddPrompts:
    y, x = _point(content)
    positive = content.get("positive")
    if not isinstance(positive, bool):
        raise MessageError(
            f"click needs positive true or false, got {_brief(positive)}."
        )
    return commands.AddPrompts((Click(y, x, positive),), _plane(content))


def _box(content: Mapping[str, Any]) -> commands.AddPrompts:
    y0, x0, y1, x1 = _numbers(content, "box", 4)
    return commands.AddPrompts((BoxPrompt(y0, x0, y1, x1),), _plane(content))


def _hover(content: Mapping[str, Any]) -> commands.MoveMouse:
    plane = _plane(content)
    if content.get("y") is None and content.get("x") is None:
        return commands.MoveMouse(plane, None)
    return commands.MoveMouse(plane, Click(*_point(content)))


def _pick(content: Mapping[str, Any]) -> commands.EditAt:
    return commands.EditAt(_plane(content), *_point(content))


def _choose(content: Mapping[str, Any]) -> commands.Choose:
    index: Any = content.get("index")
    if not _is_whole(index) or index < 0:
        raise MessageError(
            f"choose needs an index, a whole number >= 0, got {_brief(index)}."
        )
    return commands.Choose(index)


def _move(content: Mapping[str, Any]) -> commands.MoveBy:
    axis: Any = content.get("axis")
    step: Any = content.get("step")
    if not (_is_whole(axis) and axis >= 0 and _is_whole(step)):
        raise MessageError(
            "move needs whole numbers axis >= 0 and step, got "
            f"{_brief(axis)} and {_brief(step)}."
        )
    return commands.MoveBy(axis, step)


def _command(content: Mapping[str, Any]) -> Command:
    name: Any = content.get("command")
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        raise MessageError(
            f"command needs one of {', '.join(COMMANDS)}, got {_brief(name)}."
        )
    return command


def _display(content: Mapping[str, Any]) -> DisplayChanged:
    choices = {"tool": get_args(Tool), "labels": get_args(LabelStyle)}
    for name, allowed in choices.items():
        value = content.get(name)
        if value is not None and value not in allowed:
            raise MessageError(
                f"display needs {name} among {', '.join(allowed)}, got {_brief(value)}."
            )
    preview = content.get("preview")
    if preview is not None and not isinstance(preview, bool):
        raise MessageError(
            f"display needs preview true or false, got {_brief(preview)}."
        )
    return DisplayChanged(content.get("tool"), content.get("labels"), preview)


_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], Command | PageMessage]] = {
    "again": lambda content: RepeatState(),
    "arrived": _arrived,
    "box": _box,
    "choose": _choose,
    "click": _click,
    "command": _command,
    "display": _display,
    "hover": _hover,
    "move": _move,
    "pick": _pick,
    "view": _view,
}


def seen_box(message: ViewMoved, shape: tuple[int, int]) -> Box | None:
    """The pixels of the image that are in view, if any are."""
    (y0, x0, y1, x1), (height, width) = message.box, shape
    if y1 <= 0 or x1 <= 0 or y0 >= height or x0 >= width or y0 >= y1 or x0 >= x1:
        return None
    seen = Box(int(max(y0, 0)), int(max(x0, 0)), height, width)
    return Box(
        seen.y0,
        seen.x0,
        max(min(int(y1) + 1, height), seen.y0 + 1),
        max(min(int(x1) + 1, width), seen.x0 + 1),
    )


def _plane(content: Mapping[str, Any]) -> Plane:
    plane = content.get("plane")
    if not isinstance(plane, list) or not all(_is_whole(n) and n >= 0 for n in plane):
        raise MessageError(
            f"{content['type']} needs a plane, a list of whole numbers >= 0, got "
            f"{_brief(plane)}."
        )
    return tuple(plane)


def _point(content: Mapping[str, Any]) -> tuple[float, float]:
    y: Any = content.get("y")
    x: Any = content.get("x")
    if not _are_numbers(y, x):
        raise MessageError(
            f"{content['type']} needs numbers y and x, got {_brief(y)} and {_brief(x)}."
        )
    return float(y), float(x)


def _numbers(content: Mapping[str, Any], name: str, count: int) -> list[float]:
    row = content.get(name)
    if not isinstance(row, list) or len(row) != count or not _are_numbers(*row):
        raise MessageError(
            f"{content['type']} needs {name} with {count} numbers y0, x0, y1, x1, got "
            f"{_brief(row)}."
        )
    return [float(n) for n in row]


def _are_numbers(*values: Any) -> bool:
    """Whether these are finite numbers; true and false are none."""
    return are_finite(*values) and not any(isinstance(v, bool) for v in values)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _brief(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
