"""The rectangle that a run is to segment.

It comes from a drag on the canvas, while the button for it is down, or from four typed
numbers. It is drawn over the image as long as it counts.
"""

from __future__ import annotations

import re

from napari.layers import Shapes
from psygnal import Signal

from napari_sam.errors import GeometryError, SessionError
from napari_sam.geometry import Box
from napari_sam.napari_plugin.image_view import ImageView

COLOR = "#2ca02c"
EDGE_SHARE = 0.005
"""Width of the edge over the longer side."""


class RectanglePresenter:
    """Draws the rectangle; `close` it with the image.

    Parameters
    ----------
    view
        Of the image.

    Attributes
    ----------
    changed
        Emits when there is another rectangle, or when it is to be drawn.
    """

    changed = Signal()

    def __init__(self, view: ImageView) -> None:
        self._view = view
        self._rectangle: Box | None = None
        self._is_drawing = False
        self._is_shown = False
        self._plane: tuple[int, ...] | None = None  # that it is drawn in
        self._layer: Shapes | None = None
        view.viewer.dims.events.current_step.connect(self._on_step)

    @property
    def rectangle(self) -> Box | None:
        """In pixels of level 0; None if there is none."""
        return self._rectangle

    @property
    def is_drawing(self) -> bool:
        """Whether the next drag on the canvas is the rectangle."""
        return self._is_drawing

    @property
    def text(self) -> str:
        """The rectangle as it may be typed."""
        box = self._rectangle
        return "" if box is None else f"{box.y0}, {box.x0}, {box.y1}, {box.x1}"

    def begin_drawing(self, is_drawing: bool = True) -> None:
        """Take the next drag on the canvas for the rectangle; or do not."""
        self._is_drawing = is_drawing
        self.changed()

    def take(self, box: Box) -> None:
        """Make this the rectangle, as far as it is on the image."""
        image = Box.of_shape(self._view.shape)
        try:
            self._rectangle = box.clip(image)
        except GeometryError as error:
            raise SessionError(
                f"The rectangle needs to meet the image, which has {image.y1} rows and "
                f"{image.x1} columns, got {box}."
            ) from error
        self._is_drawing = False
        self._draw()
        self.changed()

    def take_text(self, text: str) -> None:
        """The same for y0, x0, y1, x1 as they were typed; nothing for no rectangle."""
        numbers = [int(word) for word in re.findall(r"-?\d+", text)]
        if not numbers:
            self._rectangle = None
            self._draw()
            self.changed()
            return
        try:
            box = Box(*numbers)
        except (TypeError, GeometryError) as error:
            raise SessionError(
                "A rectangle needs four whole numbers, its first row and column and "
                "the ones after its last: y0, x0, y1, x1, the smaller corner first; "
                f"got {text!r}."
            ) from error
        self.take(box)

    def show(self, is_shown: bool) -> None:
        """Show the rectangle over the image, or do not."""
        if is_shown != self._is_shown:
            self._is_shown = is_shown
            self._is_drawing = self._is_drawing and is_shown
            self._draw()

    def follow(self) -> None:
        """Take over the image layer's transform, which the user may have changed."""
        if self._layer is not None:
            self._draw()

    def close(self) -> None:
        """Take it away."""
        self._view.viewer.dims.events.current_step.disconnect(self._on_step)
        self._is_shown = False
        self._draw()

    def _draw(self) -> None:
        view, layers = self._view, self._view.viewer.layers
        box, plane = self._rectangle, view.plane
        if box is None or plane is None or not self._is_shown:
            if self._layer is not None and self._layer in layers:
                layers.remove(self._layer)
            return
        point = view.placement.point
        corners = (
            (box.y0, box.x0),
            (box.y0, box.x1),
            (box.y1, box.x1),
            (box.y1, box.x0),
        )
        layer = self._layer = self._layer or self._made()
        self._plane = plane
        layer.data = []
        layer.add_rectangles(
            [[point(plane, yx) for yx in corners]],
            edge_color=COLOR,
            face_color="transparent",
            edge_width=max(1.0, EDGE_SHARE * max(box.shape)),
        )
        for name, value in view.placement.transform().items():
            setattr(layer, name, value)
        layer.editable = False
        if layer not in layers:
            active = layers.selection.active
            view.viewer.add_layer(layer)
            layers.selection.active = active

    def _made(self) -> Shapes:
        placement = self._view.placement
        return Shapes(
            name=f"{self._view.name} rectangle",
            ndim=len(placement.axes),
            **placement.names(),
        )

    def _on_step(self, event: object = None) -> None:
        """The rectangle counts in the plane on show, whichever that is."""
        if self._is_shown and self._view.plane != self._plane:
            self._draw()
