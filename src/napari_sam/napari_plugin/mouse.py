"""What a mouse on the canvas does, while the layer of clicks is the selected one.

left click                        on the object
right click, or with Shift        not on the object
left drag                         a box around the object
middle drag, or left with Alt     move the view
wheel                             zoom, as ever
wheel with Shift                  the next candidate, or the one before
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.annotator import Plane
from napari_sam.napari_plugin.image_view import ImageView
from napari_sam.prompts import BoxPrompt, Click, Prompt

LEFT, MIDDLE = 1, 3

DRAG_PX = 3
"""A mouse that moves at most this far between press and release has clicked."""

SMALLEST_BOX = 2
"""Shortest side of a box, in pixels of level 0; hands make smaller ones by mistake."""


class Mouse:
    """Turns the mouse on a layer into prompts; `close` it with the layer.

    Parameters
    ----------
    view
        Of the image.
    layer
        Of clicks; it gets the callbacks.
    add
        Gets each prompt, and its plane.
    move
        Gets where the mouse is, in the world, while no button is down.
    step
        Gets 1 for the next candidate, -1 for the one before.
    """

    def __init__(
        self,
        view: ImageView,
        layer: Any,
        add: Callable[[Prompt, Plane], None],
        move: Callable[[NDArray[np.float64]], None],
        step: Callable[[int], None],
    ) -> None:
        self._view = view
        self._layer = layer
        self._add = add
        self._move = move
        self._step = step
        self._turned = 0.0  # of the wheel, since the last step
        layer.mouse_pan = False
        layer.mouse_drag_callbacks.append(self._on_drag)
        layer.mouse_move_callbacks.append(self._on_move)
        layer.mouse_wheel_callbacks.append(self._on_wheel)
        # Making a layer uneditable resets how it reacts to the mouse.
        layer.events.mouse_pan.connect(self._keep_still)
        layer.events.mode.connect(self._keep_still)

    def close(self) -> None:
        """Leave the layer as it was."""
        layer = self._layer
        layer.events.mouse_pan.disconnect(self._keep_still)
        layer.events.mode.disconnect(self._keep_still)
        layer.mouse_drag_callbacks.remove(self._on_drag)
        layer.mouse_move_callbacks.remove(self._on_move)
        layer.mouse_wheel_callbacks.remove(self._on_wheel)

    def _keep_still(self, event: object = None) -> None:
        if self._layer.mouse_pan:
            self._layer.mouse_pan = False

    def _on_move(self, layer: Any, event: Any) -> None:
        self._move(np.asarray(event.position, dtype=float))

    def _on_wheel(self, layer: Any, event: Any) -> None:
        if _names(event.modifiers) != {"Shift"}:
            return
        event.handled = True
        # Some systems turn the wheel sideways while Shift is down; touchpads report
        # parts of a step, quick wheels several at once.
        self._turned -= float(np.clip(np.sum(event.delta), -1, 1))
        whole = int(self._turned)
        if whole:
            self._turned -= whole
            self._step(whole)

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        button, keys = event.button, _names(event.modifiers)
        start_px, start = np.array(event.pos), np.array(event.position)
        moves = button == MIDDLE or (button == LEFT and "Alt" in keys)
        camera = self._view.viewer.scene.camera
        centre = np.array(camera.center)
        # The plane that was on show at the press; the user may play a movie.
        plane = self._view.plane
        reach = 0.0
        event.handled = True
        yield
        while event.type == "mouse_move":
            way_px = np.array(event.pos) - start_px
            reach = max(reach, float(np.abs(way_px).max()))
            if moves:
                shift = way_px[::-1] / camera.zoom
                camera.center = (*centre[:-2], *(centre[-2:] - shift))
            event.handled = True
            yield
        if moves or plane is None:
            return
        if reach <= DRAG_PX:
            self._click(start, plane, positive=button == LEFT and "Shift" not in keys)
        elif button == LEFT:
            self._box(start, np.array(event.position), plane)

    def _click(
        self, world: NDArray[np.float64], plane: Plane, *, positive: bool
    ) -> None:
        yx = self._view.yx_at(world.tolist())
        if yx is not None:
            self._add(Click(*yx, positive), plane)

    def _box(
        self,
        start: NDArray[np.float64],
        end: NDArray[np.float64],
        plane: Plane,
    ) -> None:
        placement = self._view.placement
        (ya, xa), (yb, xb) = (
            placement.yx_at(start.tolist()),
            placement.yx_at(end.tolist()),
        )
        height, width = self._view.shape
        y0, y1 = (min(max(y, 0.0), height) for y in sorted((ya, yb)))
        x0, x1 = (min(max(x, 0.0), width) for x in sorted((xa, xb)))
        if min(y1 - y0, x1 - x0) >= SMALLEST_BOX:
            self._add(BoxPrompt(y0, x0, y1, x1), plane)


def _names(modifiers: Any) -> set[str]:
    return {getattr(key, "name", str(key)) for key in modifiers}
