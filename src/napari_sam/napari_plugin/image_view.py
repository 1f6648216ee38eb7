"""What a viewer shows of an image: its world as planes, boxes and (y, x) of level 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.annotator import Plane
from napari_sam.geometry import Box
from napari_sam.napari_plugin.layers.placement import Placement

if TYPE_CHECKING:
    from napari.components import ViewerModel


@dataclass(frozen=True, slots=True, eq=False)
class ImageView:
    """One image in one viewer, as it is at the moment.

    Parameters
    ----------
    viewer
        Where the image is.
    placement
        Of the image in it.
    """

    viewer: ViewerModel
    placement: Placement

    @property
    def name(self) -> str:
        """What the image layer is called."""
        return str(self.placement.layer.name)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of a plane, in pixels of level 0."""
        axes, shape = self.placement.axes, self.placement.shape
        return shape[axes.index("y")], shape[axes.index("x")]

    @property
    def plane(self) -> Plane | None:
        """The plane that is on show; None in 3D or beyond the image."""
        dims = self.viewer.dims
        if not self.placement.is_plane_displayed(dims.displayed, dims.ndim):
            return None
        return self.placement.plane_at(dims.point)

    @property
    def box(self) -> Box | None:
        """The pixels in the canvas, as far as there are any in a plane."""
        if self.plane is None:
            return None
        camera, (height, width) = self.viewer.scene.camera, self.viewer.canvas.size
        half = np.array((height, width)) / 2 / camera.zoom
        middle = np.array(camera.center[-2:])
        corners = [self._yx(middle + sign * half) for sign in (-1, 1)]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        image = Box.of_shape(self.shape)
        shown = Box(*np.floor(low).astype(int).tolist(), *_above(low, high))
        return shown.clip(image) if shown.intersects(image) else None

    def yx_at(self, world: Sequence[float]) -> tuple[float, float] | None:
        """A point of the viewer's world as (y, x); None beside the image."""
        y, x = self.placement.yx_at(world)
        height, width = self.shape
        return (y, x) if 0 <= y < height and 0 <= x < width else None

    def go_to(self, plane: Plane, yx: tuple[float, float] | None = None) -> None:
        """Move the sliders to a plane, and the camera to a point of it."""
        height, width = self.shape
        placement, dims = self.placement, self.viewer.dims
        world = placement.world_at(plane, yx or (height / 2, width / 2))
        first = dims.ndim - len(placement.axes)
        moved = [i for i, a in enumerate(placement.axes) if a in placement.stack_axes]
        dims.set_point([first + i for i in moved], [float(world[i]) for i in moved])
        if yx is not None:
            shown = [world[axis - first] for axis in dims.displayed if axis >= first]
            # napari's camera has three numbers, of which 2D uses the last two.
            self.viewer.scene.camera.center = (0.0, *(float(v) for v in shown[-2:]))

    def _yx(self, shown: NDArray[np.float64]) -> tuple[float, float]:
        dims = self.viewer.dims
        world = np.array(dims.point, dtype=float)
        world[list(dims.displayed)[-2:]] = shown
        return self.placement.yx_at(world.tolist())


def _above(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[int]:
    ends = np.maximum(np.ceil(high), np.floor(low) + 1)
    return [int(end) for end in ends]
