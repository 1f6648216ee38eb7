"""The windows that are encoded, as rectangles: where a click is answered at once."""

from __future__ import annotations

import numpy as np
from napari.layers import Shapes
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from napari_sam.images import Image
from napari_sam.napari_plugin.image_view import ImageView
from napari_sam.napari_plugin.signalling_cache import SignallingCache
from napari_sam.predictor import from_level

COLOR = "#9467bd"

DRAW_MS = 100
"""Windows that are encoded closer together are drawn at once."""


class EncodedPresenter(QObject):
    """Draws what the cache holds of the plane in view; `close` it with the image.

    Parameters
    ----------
    view
        Of the image.
    image
        That is encoded.
    model
        Fingerprint of the one that encodes.
    cache
        Of the session's predictor.
    """

    _added = Signal()

    def __init__(
        self, view: ImageView, image: Image, model: str, cache: SignallingCache
    ) -> None:
        super().__init__()
        self._view, self._image, self._model = view, image, model
        self._cache = cache
        placement = view.placement
        self.layer = Shapes(
            name=f"{view.name} encoded",
            ndim=len(placement.axes),
            edge_color=COLOR,
            face_color="transparent",
            opacity=0.6,
            **placement.transform(),
            **placement.names(),
        )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DRAW_MS)
        self._timer.timeout.connect(self.draw)
        self._added.connect(self._timer.start, Qt.ConnectionType.QueuedConnection)
        cache.added.connect(self._on_added)
        view.viewer.dims.events.current_step.connect(self._on_step)
        self._show()
        self.draw()

    def draw(self) -> None:
        """Draw the windows that are encoded now."""
        self.layer.data = []
        rectangles = self._rectangles()
        if rectangles:
            self.layer.add_rectangles(
                rectangles, edge_color=COLOR, face_color="transparent", edge_width=2
            )
        self.layer.editable = False

    def close(self) -> None:
        """Take it away."""
        self._timer.stop()
        self._cache.added.disconnect(self._on_added)
        self._view.viewer.dims.events.current_step.disconnect(self._on_step)
        if self.layer in self._view.viewer.layers:
            self._view.viewer.layers.remove(self.layer)

    def _show(self) -> None:
        layers = self._view.viewer.layers
        active = layers.selection.active
        self._view.viewer.add_layer(self.layer)
        layers.selection.active = active

    def _rectangles(self) -> list[list[NDArray[np.float64]]]:
        plane, image = self._view.plane, self._image
        if plane is None:
            return []
        point = self._view.placement.point
        found = []
        for level, facts in enumerate(image.levels):
            for window in self._cache.windows(
                image.fingerprint, plane, level, self._model
            ):
                box = from_level(window, facts, image.shape)
                corners = (
                    (box.y0, box.x0),
                    (box.y0, box.x1),
                    (box.y1, box.x1),
                    (box.y1, box.x0),
                )
                found.append([point(plane, yx) for yx in corners])
        return found

    def _on_added(self) -> None:
        self._added.emit()  # in the thread that encodes

    def _on_step(self, event: object = None) -> None:
        self._timer.start()
