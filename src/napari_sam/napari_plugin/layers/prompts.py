"""The prompts of the object at hand: clicks as points, boxes as rectangles.

Drawn from the annotator's state, and read only: that is where prompts come and go.
Positive and negative clicks differ in colour and in symbol, since many people do not
tell every colour from every other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points, Shapes
from napari.layers.base import Layer
from numpy.typing import NDArray

from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt

if TYPE_CHECKING:
    from napari.components import ViewerModel

POSITIVE_COLOR, NEGATIVE_COLOR = "#00d5ff", "#ff7f0e"
POSITIVE_SYMBOL, NEGATIVE_SYMBOL = "disc", "x"
BOX_COLOR, MASK_COLOR = "#00d5ff", "#ffffff"

POINT_SIZE = 10  # in pixels of level 0, but on screen within:
SCREEN_SIZES = (8, 16)

EDGE_SHARE = 0.01
"""Width of a rectangle's edge over its longer side: seen with all of it in view."""


class PromptPresenter:
    """Draws prompts; `close` it with the session.

    Parameters
    ----------
    viewer
        Where to add the layers.
    placement
        Of the image.
    name
        What the layers' names begin with.

    Attributes
    ----------
    points, boxes
        The two layers; also after they were removed: `show` brings them back. Callbacks
        for mouse and keys may be added to `points`.
    """

    def __init__(self, viewer: ViewerModel, placement: Placement, name: str) -> None:
        self._viewer = viewer
        self._placement = placement
        self._drawn: tuple[Sequence[Prompt], tuple[int, ...]] = ((), ())
        axes = {"ndim": len(placement.axes), **placement.names()}
        self.boxes = Shapes(
            name=f"{name} boxes",
            face_color="transparent",
            edge_color=BOX_COLOR,
            **placement.transform(),
            **axes,
        )
        self.points = Points(
            name=f"{name} clicks",
            size=POINT_SIZE,
            canvas_size_limits=SCREEN_SIZES,
            **placement.transform(),
            **axes,
        )
        for layer in self._layers:
            layer.events.editable.connect(self._keep_uneditable)
        self._keep_uneditable()

    @property
    def is_shown(self) -> bool:
        """Whether both layers are in the viewer."""
        return all(layer in self._viewer.layers for layer in self._layers)

    def show(self) -> Points:
        """Add the layers to the viewer, on top, unless they are there."""
        for layer in self._layers:
            if layer not in self._viewer.layers:
                self._viewer.add_layer(layer)
        return self.points

    def draw(self, prompts: Sequence[Prompt], plane: tuple[int, ...]) -> None:
        """Draw these prompts, in a plane, instead of those before.

        Of a rough mask, its box is drawn.
        """
        self._drawn = (tuple(prompts), plane)
        self._draw_clicks([p for p in prompts if isinstance(p, Click)], plane)
        boxes = [p for p in prompts if isinstance(p, BoxPrompt | MaskPrompt)]
        self._draw_boxes(boxes, plane)
        self._keep_uneditable()

    def follow(self, placement: Placement) -> None:
        """Take over the image layer's transform, which the user may have changed."""
        self._placement = placement
        for layer in self._layers:
            for name, value in placement.transform().items():
                setattr(layer, name, value)
        self.draw(*self._drawn)

    def close(self) -> None:
        """Take the layers out of the viewer."""
        for layer in self._layers:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    @property
    def _layers(self) -> tuple[Layer, Layer]:
        return self.boxes, self.points

    def _draw_clicks(self, clicks: Sequence[Click], plane: tuple[int, ...]) -> None:
        # A click is on its pixel's centre, like what the model sees.
        middles = [(c.pixel[0] + 0.5, c.pixel[1] + 0.5) for c in clicks]
        placed = [self._place(yx, plane) for yx in middles]
        signs = [click.positive for click in clicks for _ in self._channels]
        layer = self.points
        layer.selected_data = set()
        layer.data = np.reshape(placed, (-1, layer.ndim))
        if signs:
            colors = {True: POSITIVE_COLOR, False: NEGATIVE_COLOR}
            symbols = {True: POSITIVE_SYMBOL, False: NEGATIVE_SYMBOL}
            layer.face_color = [colors[sign] for sign in signs]
            # A border of another colour would hide all of so thin a symbol.
            layer.border_color = [colors[sign] for sign in signs]
            layer.symbol = [symbols[sign] for sign in signs]

    def _draw_boxes(
        self, prompts: Sequence[BoxPrompt | MaskPrompt], plane: tuple[int, ...]
    ) -> None:
        layer = self.boxes
        layer.selected_data = set()
        layer.data = []
        for prompt in prompts:
            box = prompt if isinstance(prompt, BoxPrompt) else prompt.box
            corners = [
                (y, x)
                for y, x in (
                    (box.y0, box.x0),
                    (box.y0, box.x1),
                    (box.y1, box.x1),
                    (box.y1, box.x0),
                )
            ]
            placed = [self._place(yx, plane) for yx in corners]  # corner, channel
            side = max(box.y1 - box.y0, box.x1 - box.x0)
            layer.add(
                list(np.stack(placed, axis=1)),
                shape_type="rectangle",
                edge_color=BOX_COLOR if box is prompt else MASK_COLOR,
                face_color="transparent",
                edge_width=max(1.0, EDGE_SHARE * side),
            )

    @property
    def _channels(self) -> range:
        return range(self._placement.channel_count)

    def _place(
        self, yx: tuple[float, float], plane: tuple[int, ...]
    ) -> NDArray[np.float64]:
        """(channels, axes): a prompt is shown in every channel."""
        return np.array([self._placement.point(plane, yx, c) for c in self._channels])

    def _keep_uneditable(self, event: object = None) -> None:
        for layer in self._layers:
            if layer.editable:
                layer.editable = False
