"""napari's brush, over a bounded crop that is committed as one edit.

A pyramid on disk cannot be painted in napari. What is in view is copied into a small
layer of its own, painted there with all of napari's tools, and written in one step:

    labels on disk --> crop in memory, painted --> Paint(crop), one step for undo

The same layer, empty, takes a rough mask, by brush or lasso, for a prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal

from napari_sam.annotator import Annotator, Plane
from napari_sam.annotator.commands import AddPrompts, Command, Paint
from napari_sam.errors import PromptError
from napari_sam.geometry import Box
from napari_sam.masks import bounding_box
from napari_sam.napari_plugin.screen import NapariScreen
from napari_sam.prompts import MaskPrompt
from napari_sam.session import Session

MOST_SIDE = 2048
"""Longest side of the crop, in pixels: what is further from the middle is left out."""

LabelsRead = tuple[NDArray[np.integer], int]


class Painting:
    """A layer to paint in; ends with `commit` or `close`.

    Parameters
    ----------
    screen
        Of the image that is painted on.
    box, plane
        Where.
    labels_hw
        What is there; None for a rough mask: what is painted is a prompt.
    label_id
        What the brush paints at first.
    """

    def __init__(
        self,
        screen: NapariScreen,
        box: Box,
        plane: Plane,
        labels_hw: NDArray[np.integer] | None = None,
        label_id: int = 1,
    ) -> None:
        self._screen = screen
        self.box = box
        self.plane = plane
        is_mask = self.is_mask = labels_hw is None
        pixels_hw: NDArray[np.integer] = (
            np.zeros(box.shape, np.uint8) if labels_hw is None else labels_hw.copy()
        )
        viewer, placement = screen.view.viewer, screen.view.placement
        channel = placement.channel_at(viewer.dims.point)
        origin = placement.point(plane, (box.y0 + 0.5, box.x0 + 0.5), channel)
        what = "rough mask" if is_mask else "painting"
        self.layer = Labels(
            _over_axes(pixels_hw, placement.axes),
            name=f"{screen.view.name} {what}",
            **placement.transform(origin),
            **placement.names(),
        )
        self.layer.selected_label = label_id
        viewer.add_layer(self.layer)
        self.layer.mode = "paint"

    @property
    def is_shown(self) -> bool:
        """Whether the user has not removed the layer."""
        return self.layer in self._screen.view.viewer.layers

    def is_current(self, screen: NapariScreen | None) -> bool:
        """Whether it can go on: of this screen, and still there."""
        return screen is self._screen and self.is_shown

    def painted(self) -> NDArray[np.integer]:
        """(height, width) of the box, as it looks now."""
        axes = self._screen.view.placement.axes
        pixels: NDArray[np.integer] = np.asarray(self.layer.data).reshape(
            [
                n
                for n, name in zip(self.layer.data.shape, axes, strict=True)
                if name in "yx"
            ]
        )
        return pixels.T if axes.index("y") > axes.index("x") else pixels

    def finish(self) -> Command:
        """Take the layer away; what it comes to is a command.

        Raises
        ------
        PromptError
            A rough mask is empty.
        """
        painted = self.painted().copy()
        self.close()
        if not self.is_mask:
            return Paint(painted, self.box, self.plane)
        mask = painted > 0
        inner = bounding_box(mask)
        if inner is None:
            raise PromptError("A rough mask needs some paint: use the brush first.")
        prompt = MaskPrompt.from_mask(
            mask[inner.slices], inner.shift(self.box.y0, self.box.x0)
        )
        return AddPrompts((prompt,), self.plane)

    def close(self) -> None:
        """Take the layer away, and have clicks be prompts again."""
        if self.is_shown:
            self._screen.view.viewer.layers.remove(self.layer)
        self._screen.show_layers()


class LabelsReader(QObject):
    """Reads labels off the window's thread, after what the user did before is done.

    Parameters
    ----------
    annotator
        Of the labels.
    box, plane
        What to read.
    done
        Gets the reader, and (height, width) ids with the next free id, or why they
        cannot be read; in the window's thread.
    """

    _ended = Signal(object)

    def __init__(
        self,
        annotator: Annotator,
        box: Box,
        plane: Plane,
        done: Callable[[LabelsReader, LabelsRead | Exception], None],
    ) -> None:
        super().__init__()
        self._annotator, self._box, self._plane = annotator, box, plane
        self._done = done
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)
        Thread(target=self._run, name="napari-sam reader", daemon=True).start()

    def _run(self) -> None:
        try:
            self._annotator.wait()
            found = self._annotator.call(self._read)
        except Exception as error:  # noqa: BLE001 - shown in the window's thread
            self._ended.emit(error)
        else:
            self._ended.emit(found)

    def _read(self, session: Session) -> LabelsRead:
        labels = session.labels
        return labels.read(self._plane, self._box), labels.next_id

    def _on_ended(self, found: LabelsRead | Exception) -> None:
        self._done(self, found)


def middle_of(view: Box) -> Box:
    """As much of a view as there is to paint in."""
    y, x = (int(c) for c in view.center)
    half = MOST_SIDE // 2
    return view.clip(Box(y - half, x - half, y + half, x + half))


def _over_axes(pixels_hw: NDArray[np.integer], axes: str) -> NDArray[np.integer]:
    if axes.index("y") > axes.index("x"):
        pixels_hw = pixels_hw.T
    sizes = iter(pixels_hw.shape)
    return pixels_hw.reshape([next(sizes) if name in "yx" else 1 for name in axes])
