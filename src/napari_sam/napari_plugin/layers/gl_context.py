"""Layers are taken away in the canvas's own OpenGL context, wherever Qt is just then.

napari 0.9 deletes the GL programs of a layer as soon as it is removed, in whatever
context is current. After Qt has composed the window, that is Qt's:

    window composed -> Qt's context is current -> layer removed, program deleted in it
    -> layer added, drawn in the canvas's context -> Mesa's software renderer crashes

Deleting is legal in either, since they share objects; not every driver can do it.
"""

from __future__ import annotations

from typing import Any

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget


class DrawingContext:
    """Makes the canvas's context current before each removal; `close` it at the end.

    Parameters
    ----------
    viewer
        Whose layers are watched, also those of others.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._canvases: list[QOpenGLWidget] = []
        viewer.layers.events.removing.connect(self._on_removing)

    def find_canvases(self, widget: QWidget) -> None:
        """Find the canvases of the window that a docked widget is in."""
        top = widget
        # Not `window()`: a floating dock is a window, below the one with the canvas.
        while (above := top.parentWidget()) is not None:
            top = above
        self._canvases = top.findChildren(QOpenGLWidget)

    def close(self) -> None:
        """Watch no more."""
        self._viewer.layers.events.removing.disconnect(self._on_removing)
        self._canvases = []

    def _on_removing(self, event: Any = None) -> None:
        for canvas in self._canvases:
            try:
                canvas.makeCurrent()
            except RuntimeError:
                # The window is gone, and its programs with it.
                self._canvases = []
                return
