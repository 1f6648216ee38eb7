"""The dock's other half: workers, model and cache, and the workspace that is open.

No widgets here; the dock draws what this says, and calls it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.napari_plugin import log
from napari_sam.napari_plugin.activity import Activity
from napari_sam.napari_plugin.everything_run import EverythingRun
from napari_sam.napari_plugin.hovering import Hovering
from napari_sam.napari_plugin.jobs import Job, Jobs, JobWatch
from napari_sam.napari_plugin.mouse import Mouse
from napari_sam.napari_plugin.opening import Choices, Models, Opened, open_session
from napari_sam.napari_plugin.prefetch import Prefetch
from napari_sam.napari_plugin.screen import Workspace
from napari_sam.napari_plugin.settings import read_settings
from napari_sam.napari_plugin.sources import LayerSource
from napari_sam.prompts import BoxPrompt, Prompt

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer

OPEN = "open"

VIEW_MS = 300
"""The view has to rest so long before windows in it are prepared."""


@dataclass(slots=True, eq=False)
class _Handover:
    """A session on its way from the worker: exactly one side closes it."""

    lock: Lock = field(default_factory=Lock)
    opened: Opened | None = None
    is_unwanted: bool = False

    def give(self, opened: Opened) -> Opened:
        with self.lock:
            if not self.is_unwanted:
                self.opened = opened
                return opened
        opened.session.close()
        raise Cancelled("Nobody waits for this image any more.")

    def refuse(self) -> None:
        with self.lock:
            self.is_unwanted = True
            opened, self.opened = self.opened, None
        if opened is not None:
            opened.session.close()


class Controller:
    """What the dock of one viewer holds; `close` it with the dock.

    Parameters
    ----------
    viewer
        Where the images are.
    models
        Where models come from.

    Attributes
    ----------
    changed
        Emits when what the dock shows has changed.
    edited
        Emits when the labels have changed, or are others.
    """

    changed = Signal()
    edited = Signal()

    def __init__(self, viewer: ViewerModel, models: Models | None = None) -> None:
        log.start_logging()
        settings = read_settings()
        self.viewer = viewer
        self.choices = Choices(settings.model, settings.device)
        self.jobs = Jobs()
        self.activity = Activity(self.jobs)
        # A worker of its own: clicks do not wait for a run that takes hours.
        self.long_jobs = Jobs()
        self._long_activity = Activity(self.long_jobs)
        self.everything: EverythingRun | None = None
        self.cache = settings.cache()
        self.workspace: Workspace | None = None
        self.takes_many_boxes = False
        self._models = models or Models()
        self._prefetches = settings.prefetch
        self._prefetch: Prefetch | None = None
        self._mouse: Mouse | None = None
        self.hovering: Hovering | None = None
        self._previews = False
        self._handover: _Handover | None = None
        self._is_closed = False
        self._view_timer = _timer(VIEW_MS, self._prepare_view)
        self._swap_timer = _timer(0, self._open_swapped)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.scene.camera.events.connect(self._on_view)
        viewer.dims.events.current_step.connect(self._on_view)

    @property
    def is_opening(self) -> bool:
        """Whether an image is being opened."""
        return self._handover is not None

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._is_closed

    @property
    def previews(self) -> bool:
        """Whether the mask under the mouse is shown."""
        return self._previews

    def open(self, layer: ImageLayer, choices: Choices | None = None) -> None:
        """Begin to label an image layer, with these choices."""
        if self._is_closed:
            return
        choices = choices or replace(
            self.choices, channels=None, contrast=None, labels=None, level=None
        )
        self.leave()
        try:
            source = LayerSource.of(layer)
        except Exception as error:  # noqa: BLE001 - whatever a layer is made of
            log.show(error)
            return
        handover = self._handover = _Handover()
        models, cache = self._models, self.cache

        def work(watch: JobWatch) -> Opened:
            return handover.give(open_session(source, choices, models, cache, watch))

        self.jobs.submit(
            Job(
                work,
                done=lambda opened: self._on_opened(layer, opened, choices, handover),
                failed=self._on_not_opened,
                dropped=self._on_open_dropped,
                topic=OPEN,
                text=f"Opening {layer.name} with the model {choices.model}",
            )
        )
        self.changed()

    def reopen(self, **other: Any) -> None:
        """Open the same layer again, with other `Choices`."""
        if self.workspace is None:
            self.choices = replace(self.choices, **other)
            self.changed()
            return
        labels = self.workspace.session.labels.path
        choices = replace(self.choices, labels=Path(labels))
        self.open(self.workspace.layer, replace(choices, **other))

    def leave(self) -> None:
        """Close the image that is open, or the one that is being opened."""
        self.jobs.cancel()
        self._refuse()
        workspace, self.workspace = self.workspace, None
        if workspace is None:
            return
        for part in (self.everything, self._prefetch, self.hovering, self._mouse):
            if part is not None:
                part.close()
        self.everything = self._prefetch = self.hovering = self._mouse = None
        workspace.layer.events.data.disconnect(self._on_swapped)
        try:
            workspace.close()
        except Exception as error:  # noqa: BLE001 - a full disk; the journal has it all
            log.show(error)
        self.edited()
        self.changed()

    def close(self) -> None:
        """End all work and let go of everything; afterwards it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._view_timer.stop()
        self._swap_timer.stop()
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.viewer.scene.camera.events.disconnect(self._on_view)
        self.viewer.dims.events.current_step.disconnect(self._on_view)
        self.leave()
        for activity in (self.activity, self._long_activity):
            activity.close()
        for jobs in (self.long_jobs, self.jobs):
            jobs.close()
        self._refuse()
        self.changed.disconnect()
        self.edited.disconnect()

    def set_previews(self, previews: bool) -> None:
        """Show what a click would give, or do not."""
        self._previews = previews
        if self.hovering is not None:
            self.hovering.set_on(previews)
        self.changed()

    def set_many_boxes(self, takes: bool) -> None:
        """Collect boxes for an object each, instead of asking about each at once."""
        self.takes_many_boxes = takes
        self.changed()

    def point_at(self, prompt: Prompt, plane: tuple[int, ...]) -> None:
        """Take a prompt of the mouse."""
        workspace = self.workspace
        if workspace is None:
            return
        area = None if self.everything is None else self.everything.area
        if area is not None and area.is_drawing and isinstance(prompt, BoxPrompt):
            area.take(prompt.box)
        elif self.takes_many_boxes and isinstance(prompt, BoxPrompt):
            workspace.collect(prompt, plane)
        else:
            workspace.point_at(prompt, plane)

    def view(self) -> Box | None:
        """The pixels of level 0 in view; None if there are none."""
        workspace = self.workspace
        if workspace is None or workspace.plane_in_view is None:
            return None
        return view_box(workspace)

    def _on_opened(
        self, layer: ImageLayer, opened: Opened, choices: Choices, handover: _Handover
    ) -> None:
        if handover is not self._handover or layer not in self.viewer.layers:
            handover.refuse()
            self._handover = None
            self.changed()
            return
        self._handover = None
        self.choices = choices
        workspace = Workspace(self.viewer, layer, opened, self.jobs, log.show)
        self.workspace = workspace
        workspace.changed.connect(self._on_workspace)
        workspace.edited.connect(self._on_edited)
        layer.events.data.connect(self._on_swapped)
        self.hovering = Hovering(workspace, self.jobs, is_on=self._previews)
        points = workspace.prompts.points
        self._mouse = Mouse(
            workspace, points, self.point_at, self.hovering.at, workspace.choose_next
        )
        self._prefetch = Prefetch(opened.session, self.jobs, self.cache)
        self.everything = EverythingRun(workspace, self.long_jobs, self.view)
        workspace.begin()
        self._on_view()
        self.edited()
        self.changed()

    def _on_not_opened(self, error: BaseException) -> None:
        self._handover = None
        log.show(error)
        self.changed()

    def _on_open_dropped(self) -> None:
        self._refuse()
        self.changed()

    def _refuse(self) -> None:
        handover, self._handover = self._handover, None
        if handover is not None:
            handover.refuse()

    def _on_workspace(self) -> None:
        self.changed()

    def _on_edited(self) -> None:
        self.edited()

    def _on_removed(self, event: Any) -> None:
        if self.workspace is not None and event.value is self.workspace.layer:
            self.leave()
        self.changed()

    def _on_swapped(self, event: Any = None) -> None:
        """Somebody gave the layer other pixels: it is another image now."""
        # Not within napari's own handling of the event, which draws layers.
        self._swap_timer.start()

    def _open_swapped(self) -> None:
        if self.workspace is not None:
            self.open(self.workspace.layer)

    def _on_view(self, event: Any = None) -> None:
        if self.workspace is not None and self._prefetches:
            self._view_timer.start()

    def _prepare_view(self) -> None:
        workspace, view = self.workspace, self.view()
        if workspace is not None and view is not None and self._prefetch is not None:
            plane = workspace.plane_in_view
            if plane is not None:
                self._prefetch.look_at(plane, view)


def _timer(interval_ms: int, on_timeout: Callable[[], None]) -> QTimer:
    timer = QTimer()
    timer.setSingleShot(True)
    timer.setInterval(interval_ms)
    timer.timeout.connect(on_timeout)
    return timer


def view_box(workspace: Workspace) -> Box | None:
    """The pixels of level 0 in the canvas, as far as there are any."""
    viewer = workspace.viewer
    camera, (height, width) = viewer.scene.camera, viewer.canvas.size
    half = np.array((height, width)) / 2 / camera.zoom
    middle = np.array(camera.center[-2:])
    corners = [_yx(workspace, middle + sign * half) for sign in (-1, 1)]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    image = Box.of_shape(workspace.session.image.shape)
    seen = Box(*np.floor(low).astype(int).tolist(), *_above(low, high))
    return seen.clip(image) if seen.intersects(image) else None


def _above(low: NDArray[np.float64], high: NDArray[np.float64]) -> list[int]:
    ends = np.maximum(np.ceil(high), np.floor(low) + 1)
    return [int(end) for end in ends]


def _yx(workspace: Workspace, shown: NDArray[np.float64]) -> tuple[float, float]:
    dims = workspace.viewer.dims
    world = np.array(dims.point, dtype=float)
    world[list(dims.displayed)[-2:]] = shown
    return workspace.placement.yx_at(world.tolist())
