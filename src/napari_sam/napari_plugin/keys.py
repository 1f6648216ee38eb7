"""Keys on the canvas, while the layer of clicks is the selected one.

They are bound to our own layer, not to the viewer: napari looks at a layer's keys
first, and other layers keep theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

KEYS: Mapping[str, tuple[str, ...]] = {
    "accept": ("Enter",),
    "discard": ("Escape",),
    "undo": ("Control-Z",),
    "redo": ("Control-Shift-Z",),
    "candidate 1": ("1",),
    "candidate 2": ("2",),
    "candidate 3": ("3",),
    "next candidate": ("N",),
    "preview on and off": ("H",),
    "edit the object under the mouse": ("E",),
    "many boxes on and off": ("M",),
}
"""What there are keys for, and which."""


def bind_keys(layer: Any, actions: Mapping[str, Callable[[], None]]) -> None:
    """Bind the keys of these actions to a layer."""
    for name, act in actions.items():
        for key in KEYS[name]:
            layer.bind_key(key, _ignoring_layer(act), overwrite=True)


def keys_as_text() -> str:
    """The keys and what the mouse does, a line each, for people."""
    mouse = {
        "Click": "on the object",
        "Right click, Shift+click": "not on the object",
        "Drag": "box around the object",
        "Middle drag, Alt+drag": "move the view",
    }
    keys = {" ".join(map(_readable, found)): name for name, found in KEYS.items()}
    rows = [
        f"<tr><td><b>{k}</b>&nbsp;&nbsp;</td><td>{v}</td></tr>"
        for k, v in {**mouse, **keys}.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _readable(key: str) -> str:
    return key.replace("Control", "Ctrl").replace("-", "+").replace("Escape", "Esc")


def _ignoring_layer(act: Callable[[], None]) -> Callable[[Any], None]:
    def run(layer: Any) -> None:
        act()

    return run
