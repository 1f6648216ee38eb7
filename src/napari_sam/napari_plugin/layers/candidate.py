"""The candidate: one small Labels layer with a fill and an outline, updated in place.

It covers the candidate's box only, in its plane, translated to where the box is. A
large one is drawn coarser, since a screen has no more pixels:

    1 1 1 1        2 2 2 2
    1 1 1 1   ->   2 1 1 2      1 is the fill, 2 the outline
    1 1 1 1        2 2 2 2
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from napari_sam.axes import CHANNEL, PLANE
from napari_sam.masks import Mask
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.predictor import Candidate

if TYPE_CHECKING:
    from napari.components import ViewerModel

MOST_SIDE = 2048
"""Longest side of what is drawn, in pixels; larger candidates are drawn coarser."""

OUTLINE_SHARE = 0.005
"""Width of the outline over the longer side, to be seen with all of it in view."""

FILL, OUTLINE = 1, 2
FILL_ALPHA = 0.35
COLORS = {"candidate": (1.0, 0.83, 0.0), "preview": (1.0, 1.0, 1.0)}


class CandidatePresenter:
    """Draws a candidate, or none; `close` it with the session.

    Parameters
    ----------
    viewer
        Where to add the layer.
    placement
        Of the image.
    name
        What the layer is called at first.
    kind
        "candidate", or "preview" for what a click would give.

    Attributes
    ----------
    layer
        The Labels layer; also after it was removed, so that `show` brings it back.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        placement: Placement,
        name: str,
        kind: str = "candidate",
    ) -> None:
        self._viewer = viewer
        self._placement = placement
        self._candidate: Candidate | None = None
        color = COLORS[kind]
        self.layer = Labels(
            _empty(placement),
            name=name,
            colormap=DirectLabelColormap(
                color_dict={
                    None: np.zeros(4),
                    0: np.zeros(4),
                    FILL: np.array([*color, FILL_ALPHA]),
                    OUTLINE: np.array([*color, 1.0]),
                }
            ),
            opacity=1.0,
            **placement.transform(),
            **placement.names(),
        )
        self.layer.events.editable.connect(self._keep_uneditable)
        self._keep_uneditable()

    @property
    def is_shown(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer in self._viewer.layers

    @property
    def candidate(self) -> Candidate | None:
        """What is drawn."""
        return self._candidate

    def show(self) -> Labels:
        """Add the layer to the viewer, on top, unless it is there."""
        if not self.is_shown:
            self._viewer.add_layer(self.layer)
        return self.layer

    def draw(self, candidate: Candidate | None) -> None:
        """Draw this candidate instead of the one before; None: nothing."""
        if candidate is self._candidate:
            return
        self._candidate = candidate
        self._redraw()

    def follow(self, placement: Placement) -> None:
        """Take over the image layer's transform, which the user may have changed."""
        self._placement = placement
        self._redraw()

    def close(self) -> None:
        """Take the layer out of the viewer."""
        if self.is_shown:
            self._viewer.layers.remove(self.layer)

    def _redraw(self) -> None:
        placement, candidate = self._placement, self._candidate
        if candidate is None:
            pixels, origin, step = _empty(placement), None, 1
        else:
            drawing, step = fill_and_outline(candidate.mask)
            first = (candidate.box.y0 + step / 2, candidate.box.x0 + step / 2)
            pixels = _over_axes(drawing, placement)
            origin = placement.point(candidate.plane, first)
        layer = self.layer
        # Between the two, the new pixels are at the old place; nothing is drawn until
        # the event loop runs.
        layer.data = pixels
        for name, value in placement.transform(origin, step).items():
            setattr(layer, name, value)
        self._keep_uneditable()

    def _keep_uneditable(self, event: object = None) -> None:
        if self.layer.editable:
            self.layer.editable = False


def fill_and_outline(mask: Mask) -> tuple[NDArray[np.uint8], int]:
    """A mask as pixels of 0, FILL or OUTLINE, and how many of its own each spans."""
    step = -(-max(mask.shape) // MOST_SIDE)
    inside = mask[::step, ::step]
    width = max(1, round(OUTLINE_SHARE * max(inside.shape)))
    core = binary_erosion(inside, iterations=width)
    drawing = np.where(core, FILL, OUTLINE).astype(np.uint8)
    return np.where(inside, drawing, np.uint8(0)), step


def _over_axes(pixels_hw: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Give pixels the axes of the layer: one plane, and every channel."""
    axes = placement.axes
    if axes.index("y") > axes.index("x"):
        pixels_hw = pixels_hw.T
    sizes = iter(pixels_hw.shape)
    single = tuple(next(sizes) if name in PLANE else 1 for name in axes)
    full = tuple(
        placement.channel_count if name == CHANNEL else n
        for name, n in zip(axes, single, strict=True)
    )
    return np.broadcast_to(pixels_hw.reshape(single), full)


def _empty(placement: Placement) -> NDArray[Any]:
    return np.zeros((1,) * len(placement.axes), dtype=np.uint8)
