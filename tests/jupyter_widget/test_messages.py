"""Every message from the browser, good and bad; no browser, no kernel."""

from __future__ import annotations

from typing import Any

import pytest

from napari_sam.annotator.commands import (
    Accept,
    AddPrompts,
    Choose,
    ChooseNext,
    EditAt,
    MoveBy,
    MoveMouse,
)
from napari_sam.geometry import Box
from napari_sam.jupyter_widget.messages import (
    DisplayChanged,
    MessageError,
    RepeatState,
    TilesArrived,
    ViewMoved,
    parse_message,
    seen_box,
)
from napari_sam.jupyter_widget.tiles import TileKey
from napari_sam.prompts import BoxPrompt, Click

VIEW = {
    "type": "view",
    "view": "v1",
    "plane": [2],
    "box": [-10, 0.5, 20, 30],
    "zoom": 2,
    "tiles": [["image", 0, 1, 2]],
}
CLICK = {"type": "click", "plane": [2], "y": 1.5, "x": 2, "positive": False}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CLICK, AddPrompts((Click(1.5, 2, positive=False),), (2,))),
        (
            {"type": "box", "plane": [], "box": [1, 2, 3, 4.5]},
            AddPrompts((BoxPrompt(1, 2, 3, 4.5),), ()),
        ),
        ({"type": "hover", "plane": [0], "y": 1, "x": 2}, MoveMouse((0,), Click(1, 2))),
        ({"type": "hover", "plane": [0]}, MoveMouse((0,), None)),
        ({"type": "pick", "plane": [0], "y": 1, "x": 2}, EditAt((0,), 1, 2)),
        ({"type": "choose", "index": 2}, Choose(2)),
        ({"type": "arrived", "number": 3}, TilesArrived(3)),
        ({"type": "again"}, RepeatState()),
        ({"type": "move", "axis": 0, "step": -1}, MoveBy(0, -1)),
        ({"type": "command", "command": "accept"}, Accept()),
        ({"type": "command", "command": "next"}, ChooseNext()),
        ({"type": "display", "labels": "off"}, DisplayChanged(labels="off")),
        ({"type": "display", "preview": True}, DisplayChanged(preview=True)),
        (
            VIEW,
            ViewMoved(
                "v1", (2,), (-10, 0.5, 20, 30), 2, (TileKey("image", (2,), 0, 1, 2),)
            ),
        ),
    ],
)
def test_a_message_becomes_a_value(content: Any, message: object) -> None:
    assert parse_message(content) == message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "type"),
        ([1, 2], "type"),
        ({}, "type"),
        ({"type": "explode"}, "explode"),
        ({"type": ["click"]}, "type"),
        ({**CLICK, "y": "1"}, "numbers y and x"),
        ({**CLICK, "y": True}, "numbers y and x"),
        ({**CLICK, "x": None}, "numbers y and x"),
        ({**CLICK, "y": float("nan")}, "numbers y and x"),
        ({**CLICK, "positive": 1}, "positive"),
        ({**CLICK, "plane": [-1]}, "plane"),
        ({**CLICK, "plane": [1.5]}, "plane"),
        ({**CLICK, "plane": "0"}, "plane"),
        ({"type": "box", "plane": [], "box": [3, 2, 1, 4]}, "inverted"),
        ({"type": "box", "plane": [], "box": [1, 2, 3]}, "4 numbers"),
        ({"type": "box", "plane": [], "box": [1, 2, 3, float("inf")]}, "4 numbers"),
        ({"type": "choose", "index": -1}, "index"),
        ({"type": "choose", "index": "1"}, "index"),
        ({"type": "arrived", "number": 0}, "number"),
        ({"type": "arrived", "number": "1"}, "number"),
        ({"type": "move", "axis": 0}, "axis"),
        ({"type": "command", "command": "format"}, "accept"),
        ({"type": "command", "command": ["accept"]}, "accept"),
        ({"type": "display", "labels": "pink"}, "outline"),
        ({"type": "display", "preview": "yes"}, "preview"),
        ({**VIEW, "zoom": 0}, "zoom"),
        ({**VIEW, "zoom": None}, "zoom"),
        ({**VIEW, "view": 7}, "name"),
        ({**VIEW, "tiles": [["image", 0, 1]]}, "tile"),
        ({**VIEW, "tiles": [["secrets", 0, 1, 2]]}, "secrets"),
        ({**VIEW, "tiles": [["image", 0, -1, 2]]}, "tile"),
        ({**VIEW, "tiles": [["image", 0, 1, 2**40]]}, "tile"),
        ({**VIEW, "tiles": [["image", 0, 0, 0]] * 2000}, "at most"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused_in_plain_words(
    content: Any, part: str
) -> None:
    with pytest.raises(MessageError, match=part):
        parse_message(content)


def test_what_is_in_view_is_clipped_to_the_image() -> None:
    message = parse_message(VIEW)
    assert isinstance(message, ViewMoved)
    assert seen_box(message, (100, 100)) == Box(0, 0, 21, 31)
    assert seen_box(message, (10, 10)) == Box(0, 0, 10, 10)


def test_a_view_beside_the_image_shows_nothing_of_it() -> None:
    message = parse_message({**VIEW, "box": [200, 200, 300, 300]})
    assert isinstance(message, ViewMoved)
    assert seen_box(message, (100, 100)) is None
