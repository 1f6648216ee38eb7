"""The part of the widget that lives in the browser: one ES module, one style sheet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import anywidget
import traitlets

from napari_sam.jupyter_widget.bundle import bundle
from napari_sam.palette import CANDIDATE, PALETTE, PREVIEW

BROWSER = Path(__file__).parent / "browser"
DEFAULT_HEIGHT = 480
COLOURS = {"labels": PALETTE, "candidate": CANDIDATE, "preview": PREVIEW}


class Canvas(anywidget.AnyWidget):
    """What is drawn, as traits; tiles and what the hand does go as messages.

    Attributes
    ----------
    facts
        Of the image, as `TileView.facts` has them.
    state
        Of the annotator, as `page_state` has it for the browser.
    display
        tool, labels, opacity and preview.
    focus
        Where views are to look: y, x, zoom and a count that makes each wish new.
    colours
        Red, green and blue: of the objects, in turn, of the candidate and the preview.
    height
        Of the canvas, in pixels of the page.
    still
        PNG of the last state, for a page without a kernel.
    """

    _esm = bundle(BROWSER / "widget.js")
    _css = (BROWSER / "canvas.css").read_text(encoding="utf-8")

    facts = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    display = traitlets.Dict().tag(sync=True)
    focus = traitlets.Dict().tag(sync=True)
    colours = traitlets.Dict(COLOURS).tag(sync=True)
    height = traitlets.Int(DEFAULT_HEIGHT, min=100).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._sending = Lock()

    def on_content(self, receive: Callable[[Any], None]) -> None:
        """Call this with the content of every message of the browser."""
        self.on_msg(lambda _, content, buffers: receive(content))

    def send_content(self, content: dict[str, Any], data: bytes | None = None) -> None:
        """Send a message to all views, from any thread."""
        with self._sending:
            if self.comm is not None:
                self.send(content, None if data is None else [data])
