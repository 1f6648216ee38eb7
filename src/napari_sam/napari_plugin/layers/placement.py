"""Where an image layer's pixels are: in its own axes, and in the viewer's world.

A layer counts pixels from the centre of the first, an `Image` from its corner:

    layer      -0.5      0.5      1.5          centre of pixel 0 at 0
                 |   0    |   1    |
    image        0        1        2           pixel 0 is [0, 1)

The layers that are drawn over the image have its axes and transform, so that their
data are in its pixels too. A channel axis that has a slider is one of those; labels
and prompts are the same in every channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_sam.axes import CHANNEL, PLANE, stack_letters

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

CENTRE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """The place of an image layer, as it is at the moment.

    Parameters
    ----------
    layer
        Of the image.
    axes
        A letter for each axis of the layer, RGB samples left out; as in `open_image`.
    """

    layer: ImageLayer
    axes: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of each axis, in pixels."""
        data = self.layer.data[0] if self.layer.multiscale else self.layer.data
        return tuple(int(n) for n in data.shape[: len(self.axes)])

    @property
    def stack_axes(self) -> str:
        """The axes that count planes."""
        return stack_letters(self.axes)

    @property
    def channel_count(self) -> int:
        """Steps of the channel slider; 1 where there is none."""
        if CHANNEL not in self.axes:
            return 1
        return self.shape[self.axes.index(CHANNEL)]

    def data_at(self, world: Sequence[float]) -> NDArray[np.float64]:
        """A point of the viewer's world in the layer's own coordinates."""
        return np.asarray(self.layer.world_to_data(np.asarray(world)), dtype=float)

    def yx_at(self, world: Sequence[float]) -> tuple[float, float]:
        """A point of the viewer's world as (y, x), in pixels of level 0."""
        point = self.data_at(world)
        y, x = (float(point[self.axes.index(name)]) + CENTRE for name in PLANE)
        return y, x

    def plane_at(self, world: Sequence[float]) -> tuple[int, ...] | None:
        """The plane that the sliders show, given `viewer.dims.point`.

        None where they are beyond the image.
        """
        return self._indices(self.data_at(world), self.stack_axes)

    def channel_at(self, world: Sequence[float]) -> int:
        """The channel that the sliders show."""
        found = self._indices(self.data_at(world), CHANNEL)
        return found[0] if CHANNEL in self.axes and found else 0

    def is_plane_displayed(self, displayed: Sequence[int], ndim: int) -> bool:
        """Whether y runs down and x runs right, and all else has sliders.

        Parameters
        ----------
        displayed, ndim
            `viewer.dims.displayed` and `viewer.dims.ndim`.
        """
        # A layer's axes are the last ones of the viewer's.
        missing = ndim - len(self.axes)
        wanted = [missing + self.axes.index(name) for name in PLANE]
        return list(displayed) == wanted

    def point(
        self, plane: Sequence[int], yx: Sequence[float], channel: int = 0
    ) -> NDArray[np.float64]:
        """(y, x) of a plane in the layer's own coordinates."""
        found = dict(zip(self.stack_axes, map(float, plane), strict=True))
        found |= {"y": yx[0] - CENTRE, "x": yx[1] - CENTRE, CHANNEL: float(channel)}
        return np.array([found[name] for name in self.axes])

    def world_at(
        self, plane: Sequence[int], yx: Sequence[float]
    ) -> NDArray[np.float64]:
        """(y, x) of a plane in the viewer's world, in the layer's last axes of it."""
        return np.asarray(self.layer.data_to_world(self.point(plane, yx)), dtype=float)

    def transform(
        self, origin: NDArray[np.float64] | None = None, step: float = 1.0
    ) -> dict[str, Any]:
        """The image's transform, for a layer that begins elsewhere.

        Parameters
        ----------
        origin
            The centre of its first pixel, in the image layer's own coordinates; None
            for the image's first pixel.
        step
            Size of its pixels in y and x, in those of the image.
        """
        layer = self.layer
        scale, translate = np.array(layer.scale), np.array(layer.translate)
        if origin is not None:
            linear = Affine(scale=scale, rotate=layer.rotate, shear=layer.shear)
            translate = translate + np.asarray(linear(origin))
        for name in PLANE:
            scale[self.axes.index(name)] *= step
        return {
            "scale": scale,
            "translate": translate,
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": layer.affine,
        }

    def names(self) -> dict[str, Any]:
        """The image's units and axis labels, which new layers over it get."""
        return {"units": self.layer.units, "axis_labels": self.layer.axis_labels}

    def _indices(self, point: NDArray[np.float64], axes: str) -> tuple[int, ...] | None:
        """The pixels along some axes that hold a point; None if it is outside."""
        found = []
        for name in axes:
            if name not in self.axes:
                continue
            axis = self.axes.index(name)
            index = int(np.round(point[axis]))
            if not 0 <= index < self.shape[axis]:
                return None
            found.append(index)
        return tuple(found)
