"""Canvas, controls and picture of one workspace, wired to each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from napari_sam.errors import SessionError
from napari_sam.images import Image
from napari_sam.jupyter_widget.canvas import Canvas
from napari_sam.jupyter_widget.controls import Controls
from napari_sam.jupyter_widget.everything_run import EverythingRun
from napari_sam.jupyter_widget.messages import Command, Displayed
from napari_sam.jupyter_widget.stage import Send
from napari_sam.jupyter_widget.still import draw_still, html_of
from napari_sam.jupyter_widget.still_output import StillOutput
from napari_sam.jupyter_widget.tiles import Ranges
from napari_sam.jupyter_widget.workspace import Workspace
from napari_sam.session import Session

Reopen = Callable[[tuple[int, ...]], Session]
"""Opens the image with other channels."""


class Page:
    """What the user sees; a `Screen` for the workspace.

    Parameters
    ----------
    image
        That is segmented.
    height
        Of the canvas, in pixels of the page.
    """

    def __init__(self, image: Image, height: int) -> None:
        self.canvas = Canvas(height=height)
        self.controls = Controls(
            image.stack_axes, tuple(image.stack_shape), self._command, self._choose
        )
        self.still = StillOutput(self._still)
        self._on_way = 0  # planes that a slider has asked for, and that are not shown
        self._workspace: Workspace | None = None
        self.everything: EverythingRun | None = None
        self._reopen: Reopen | None = None

    @property
    def send(self) -> Send:
        """Sends messages to the views."""
        return self.canvas.send_content

    def begin(self, workspace: Workspace, reopen: Reopen | None) -> None:
        """Draw this workspace, and tell it what the user does."""
        self._workspace, self._reopen = workspace, reopen
        controls = self.controls
        self.everything = EverythingRun(workspace, controls.everything)
        self.canvas.display = controls.display()
        self.canvas.facts = {**workspace.stage.facts(), "marker": self.still.marker}
        for part in (
            controls.tool,
            controls.labels,
            controls.opacity,
            controls.preview,
        ):
            part.observe(self._on_display, names="value")
        for axis, slider in enumerate(controls.sliders):
            controls.on_user(slider, partial(self._on_slider, axis))
        for slider in controls.ranges:
            controls.on_user(slider, self._on_contrast)
        controls.on_user(controls.channel, self._on_channel)
        controls.everything.start.on_click(self._on_everything)
        cancel = self.everything.cancel
        controls.everything.cancel.on_click(lambda _: workspace.desk.post(cancel))
        image = workspace.session.image
        if reopen is not None and image.channel_count > 1 and not image.is_rgb:
            controls.offer_channels(image.channel_count, image.channels)
        workspace.desk.post(self._draw_ranges)
        self.canvas.on_content(workspace.handle)

    def show(self, state: dict[str, Any]) -> None:
        """Draw a state; on the desk."""
        self.canvas.state = state
        self.controls.draw(state, moves_sliders=self._on_way == 0)
        self.still.soon()

    def repeat(self) -> None:
        """Tell views the state once more; on the desk."""
        self.canvas.send_state("state")

    def change_display(self, change: Displayed) -> None:
        """Take over what a key in the browser has changed; on the desk."""
        self.controls.change_display(change)

    def close(self) -> None:
        """Stop what the page does by itself."""
        self.still.close()
        if self.everything is not None:
            self.everything.close()

    @property
    def _here(self) -> Workspace:
        if self._workspace is None:
            raise SessionError("This page shows nothing yet.")
        return self._workspace

    def _command(self, command: Command) -> None:
        self._here.handle({"type": "command", "command": command})

    def _on_display(self, change: dict[str, Any]) -> None:
        display = self.controls.display()
        self.canvas.display = display
        here = self._here
        here.desk.post(lambda: here.hovering.set_on(display["preview"]))

    def _on_slider(self, axis: int, place: int) -> None:
        here = self._here
        self._on_way += 1

        def go() -> None:
            self._on_way -= 1
            here.go_to((*here.plane[:axis], place, *here.plane[axis + 1 :]))

        here.desk.post(go)

    def _choose(self, index: int) -> None:
        self._here.handle({"type": "choose", "index": index})

    def _on_contrast(self, _: Any) -> None:
        here = self._here
        count = len(here.session.image.channels)
        ranges = tuple(
            (float(slider.value[0]), float(slider.value[1]))
            for slider in self.controls.ranges[:count]
        )
        here.desk.post(lambda: here.stage.set_contrast(ranges))

    def _on_channel(self, channels: tuple[int, ...] | None) -> None:
        reopen, here = self._reopen, self._here
        if reopen is None or channels is None:
            return

        def swap() -> None:
            if channels != here.session.image.channels:
                here.swap(reopen(channels))
                self._draw_ranges()

        here.desk.post(swap)

    def _on_everything(self, _: Any) -> None:
        everything = self.everything
        is_plane = self.controls.everything.scope.value == "plane"
        if everything is not None:
            self._here.desk.post(lambda: everything.start(whole_plane=is_plane))

    def _draw_ranges(self) -> None:
        image = self._here.session.image
        self.controls.draw_ranges(
            image.contrast, bounds_of(image.dtype, image.contrast)
        )

    def _still(self) -> str:
        here = self._here
        session, look = here.session, here.stage.look
        candidate = here.stage.candidate.candidate
        png = draw_still(session, here.plane, candidate, look.contrast)
        return html_of(png, self.still.marker, str(session.labels.path))


def bounds_of(dtype: np.dtype[Any], ranges: Ranges) -> tuple[float, float]:
    """Between which values a range can be chosen."""
    if dtype == np.bool_:
        return 0.0, 1.0
    if dtype == np.uint8:
        return 0.0, 255.0
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    span = (high - low) or 1.0
    wide = (low - span / 2, high + 2 * span)
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        wide = (max(wide[0], float(info.min)), min(wide[1], float(info.max)))
    return wide
