"""What a browser says to a widget and hears from it, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Any

from napari_sam.jupyter_widget.widget import SegmentWidget

MOST_S = 120
"""To wait for anything; a machine may be slow, and have other things to do."""


def says(widget: SegmentWidget, **content: Any) -> dict[str, Any]:
    """Let the browser say something, and return the state that it leads to."""
    widget.canvas._handle_custom_msg(content, [])
    widget.wait()
    return dict(widget.canvas.state)


def clicked(widget: SegmentWidget, y: float, x: float, **how: Any) -> dict[str, Any]:
    content = {"plane": list(widget.plane), "y": y, "x": x, "positive": True}
    return says(widget, type="click", **{**content, **how})


def sent(widget: SegmentWidget) -> list[tuple[dict[str, Any], bytes | None]]:
    """Collect what is sent to the browser from now on."""
    heard: list[tuple[dict[str, Any], bytes | None]] = []

    def send(content: Any, buffers: Any = None) -> None:
        heard.append((content, buffers[0] if buffers else None))

    widget.canvas.send = send
    return heard


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    tick, end = Event(), monotonic() + MOST_S
    while not is_so():
        if monotonic() > end:
            raise TimeoutError(f"It did not happen in {MOST_S} s.")
        tick.wait(0.02)
