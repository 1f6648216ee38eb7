"""napari's brush, over a bounded crop that is committed as one edit.

A pyramid on disk cannot be painted in napari. What is in view is copied into a small
layer of its own, painted there with all of napari's tools, and written in one step:

    labels on disk --> crop in memory, painted --> session.paint(crop), one undo step

The same layer, empty, takes a rough mask, by brush or lasso, for a prompt.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.masks import bounding_box
from napari_sam.napari_plugin.screen import Workspace
from napari_sam.prompts import MaskPrompt

MOST_SIDE = 2048
"""Longest side of the crop, in pixels: what is further from the middle is left out."""


class Painting:
    """A layer to paint in; ends with `commit`, `as_prompt` or `close`.

    Parameters
    ----------
    workspace
        Whose labels are painted.
    box, plane
        Where.
    labels_hw
        What is there; None for a rough mask: what is painted is a prompt.
    """

    def __init__(
        self,
        workspace: Workspace,
        box: Box,
        plane: tuple[int, ...],
        labels_hw: NDArray[np.integer] | None,
    ) -> None:
        self._workspace = workspace
        self.box = box
        self.plane = plane
        is_mask = self.is_mask = labels_hw is None
        pixels_hw: NDArray[np.integer] = (
            np.zeros(box.shape, np.uint8) if labels_hw is None else labels_hw.copy()
        )
        placement = workspace.placement
        axes = placement.axes
        channel = placement.channel_at(workspace.viewer.dims.point)
        origin = placement.point(plane, (self.box.y0 + 0.5, self.box.x0 + 0.5), channel)
        what = "rough mask" if is_mask else "painting"
        self.layer = Labels(
            _over_axes(pixels_hw, axes),
            name=f"{workspace.layer.name} {what}",
            **placement.transform(origin),
            **placement.names(),
        )
        self.layer.selected_label = 1 if is_mask else workspace.session.labels.next_id
        workspace.viewer.add_layer(self.layer)
        self.layer.mode = "paint"

    @property
    def is_shown(self) -> bool:
        """Whether the user has not removed the layer."""
        return self.layer in self._workspace.viewer.layers

    def is_current(self, workspace: Workspace | None) -> bool:
        """Whether it can go on: of this workspace, and still there."""
        return workspace is self._workspace and self.is_shown

    def painted(self) -> NDArray[np.integer]:
        """(height, width) of the box, as it looks now."""
        axes = self._workspace.placement.axes
        pixels: NDArray[np.integer] = np.asarray(self.layer.data).reshape(
            [
                n
                for n, name in zip(self.layer.data.shape, axes, strict=True)
                if name in "yx"
            ]
        )
        return pixels.T if axes.index("y") > axes.index("x") else pixels

    def commit(self) -> None:
        """Write what was painted, or point at it, and end."""
        painted = self.painted().copy()
        self.close()
        if not self.is_mask:
            self._workspace.paint(painted, self.box, self.plane)
            return
        mask = painted > 0
        inner = bounding_box(mask)
        if inner is None:
            raise PromptError("A rough mask needs some paint: use the brush first.")
        prompt = MaskPrompt.from_mask(
            mask[inner.slices], inner.shift(self.box.y0, self.box.x0)
        )
        self._workspace.point_at(prompt, self.plane)

    def close(self) -> None:
        """Take the layer away, and point at objects again."""
        if self.is_shown:
            self._workspace.viewer.layers.remove(self.layer)
        self._workspace.show_layers()


def begin_painting(
    workspace: Workspace,
    view: Box,
    plane: tuple[int, ...],
    done: Callable[[Painting], None],
    *,
    is_mask: bool,
) -> None:
    """Make a `Painting` of what is in view, once the worker has read the labels there.

    Parameters
    ----------
    workspace, plane
        As of `Painting`.
    view
        In pixels of level 0; the middle of it is painted where it is too large.
    done
        Gets it.
    is_mask
        For a rough mask: the layer begins empty.
    """
    box, labels = _middle_of(view), workspace.session.labels
    workspace.writing.read(
        lambda: None if is_mask else labels.read(plane, box),
        lambda labels_hw: done(Painting(workspace, box, plane, labels_hw)),
    )


def _middle_of(view: Box) -> Box:
    y, x = (int(c) for c in view.center)
    half = MOST_SIDE // 2
    return view.clip(Box(y - half, x - half, y + half, x + half))


def _over_axes(pixels_hw: NDArray[np.integer], axes: str) -> NDArray[np.integer]:
    if axes.index("y") > axes.index("x"):
        pixels_hw = pixels_hw.T
    sizes = iter(pixels_hw.shape)
    return pixels_hw.reshape([next(sizes) if name in "yx" else 1 for name in axes])
