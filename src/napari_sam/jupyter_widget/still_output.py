"""The picture of the last state, as an output of its own that follows the widget."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Timer
from typing import Any
from uuid import uuid4

from IPython.display import DisplayHandle

DELAY_S = 1.5
"""The picture follows once nothing has changed for so long."""


class StillOutput:
    """One output, drawn anew some time after the last change.

    Parameters
    ----------
    draw
        Makes the HTML; called on a thread of its own.

    Attributes
    ----------
    marker
        Class of the element, which the living widget hides.
    """

    def __init__(self, draw: Callable[[], str]) -> None:
        self.marker = f"napari-sam-{uuid4().hex[:12]}"
        self._draw = draw
        self._handle: DisplayHandle | None = None
        self._timer: Timer | None = None
        self._lock = Lock()
        self._is_closed = False

    def display(self) -> None:
        """Show it below the cell that runs."""
        self._handle = DisplayHandle()
        self._handle.display(_bundle(self._safely_drawn()), raw=True)

    def soon(self) -> None:
        """Draw it anew when things have come to rest."""
        with self._lock:
            if self._handle is None or self._is_closed:
                return
            if self._timer is not None:
                self._timer.cancel()
            self._timer = Timer(DELAY_S, self._update)
            self._timer.daemon = True
            self._timer.start()

    def close(self) -> None:
        """Leave the picture as it is."""
        with self._lock:
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()

    def _update(self) -> None:
        handle = self._handle
        if handle is not None and not self._is_closed:
            handle.update(_bundle(self._safely_drawn()), raw=True)

    def _safely_drawn(self) -> str:
        try:
            return self._draw()
        except Exception:  # noqa: BLE001 - the widget itself says what is wrong
            return ""


def _bundle(html: str) -> dict[str, Any]:
    text = "A widget to segment objects. Run the cell to use it."
    return {"text/html": html, "text/plain": text}
