"""Keys on the canvas, while the layer of clicks is the selected one.

They are bound to our own layer, not to the viewer: napari looks at a layer's keys
first, and other layers keep theirs. napari 0.9 ignores keys in a plugin's manifest,
and its list of shortcuts has no room for them; so they are settings of the plugin, in
napari's preferences, and a change counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari.settings import get_plugin_settings
from napari.utils.key_bindings import coerce_keybinding
from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_sam.napari_plugin.settings import PLUGIN

TEXTS: Mapping[str, str] = {
    "accept": "accept",
    "discard": "discard",
    "undo": "undo",
    "redo": "redo",
    "candidate_1": "candidate 1",
    "candidate_2": "candidate 2",
    "candidate_3": "candidate 3",
    "next_candidate": "next candidate",
    "preview": "preview on and off",
    "edit": "edit the object there",
    "many_boxes": "many boxes on and off",
}
"""What there are keys for, by its name in the settings, as people are told of it."""

MOUSE: Mapping[str, str] = {
    "Click": "on the object",
    "Right click, Shift+click": "not on the object",
    "Drag": "box around the object",
    "Shift+wheel": "other candidates",
    "Middle drag, Alt+drag": "move the view",
}


class Keys:
    """The user's keys, on one layer at a time; `close` it with the dock.

    Parameters
    ----------
    actions
        What they do, by the names of `TEXTS`.

    Attributes
    ----------
    changed
        Emits when the user has chosen others.
    """

    changed = Signal()

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = actions
        self._layer: Any = None
        self._bound: list[str] = []
        self._settings = get_plugin_settings(PLUGIN).keys
        self._keys = read_keys()
        self._settings.events.connect(self._on_changed)

    def bind(self, layer: Any) -> None:
        """Bind the keys to this layer instead of the one before; None: to none."""
        for key in self._bound:
            self._layer.bind_key(key, None)
        self._layer, self._bound = layer, []
        if layer is None:
            return
        for name, key in self._keys.items():
            if key not in self._bound:
                act = _ignoring_layer(self._actions[name])
                layer.bind_key(key, act, overwrite=True)
                self._bound.append(key)

    def close(self) -> None:
        """Leave the keyboard alone."""
        self._settings.events.disconnect(self._on_changed)
        self.bind(None)

    def as_text(self) -> str:
        """The keys and what the mouse does, a line each, for people."""
        keys = {key: TEXTS[name] for name, key in reversed(self._keys.items())}
        rows = [
            f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>"
            for key, text in (*MOUSE.items(), *reversed(keys.items()))
        ]
        return f"<table>{''.join(rows)}</table>"

    def _on_changed(self, event: Any = None) -> None:
        problem = problem_of(self._settings)
        if problem:
            show_warning(problem)
        self._keys = read_keys()
        self.bind(self._layer)
        self.changed()


def read_keys() -> dict[str, str]:
    """The keys as they are now, by the names of `TEXTS`, as napari writes them.

    In place of one that napari does not know, there is the one of the manifest.
    """
    settings = get_plugin_settings(PLUGIN).keys
    defaults = type(settings).model_fields
    return {
        name: _as_key(getattr(settings, name)) or _as_key(defaults[name].default)
        for name in TEXTS
    }


def problem_of(settings: Any) -> str:
    """What is wrong with the keys that were chosen; empty if nothing is."""
    users: dict[str, str] = {}
    for name, text in TEXTS.items():
        written = getattr(settings, name)
        key = _as_key(written)
        if not key:
            return (
                f"{written!r} is no key that napari knows, so the key to {text!r} "
                "stays what it was at first. Write it like N, Enter or Ctrl+Shift+Z."
            )
        if key in users:
            return f"{key} is the key to {users[key]!r} already; {text!r} has none now."
        users[key] = text
    return ""


def _as_key(written: str) -> str:
    return str(coerce_keybinding(written)) if written else ""


def _ignoring_layer(act: Callable[[], None]) -> Callable[[Any], None]:
    def run(layer: Any) -> None:
        act()

    return run
