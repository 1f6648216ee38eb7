"""Canvas, controls and picture of one image, wired to an annotator."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import RLock
from typing import Any

import numpy as np

from napari_sam.annotator import (
    Annotator,
    AnnotatorState,
    Command,
    JobWatch,
    Plane,
    commands,
)
from napari_sam.automatic import Tile
from napari_sam.errors import SessionError
from napari_sam.images import Image
from napari_sam.jupyter_widget.canvas import Canvas
from napari_sam.jupyter_widget.controls import Controls
from napari_sam.jupyter_widget.messages import (
    DisplayChanged,
    MessageError,
    RepeatState,
    TilesArrived,
    ViewMoved,
    parse_message,
    seen_box,
)
from napari_sam.jupyter_widget.page_state import state_to_json
from napari_sam.jupyter_widget.still import draw_still, html_of
from napari_sam.jupyter_widget.still_output import StillOutput
from napari_sam.jupyter_widget.tile_view import TileView
from napari_sam.jupyter_widget.tiles import Ranges
from napari_sam.labels import Edit, LabelStore
from napari_sam.session import Session

Reopen = Callable[[tuple[int, ...]], Session]
"""Opens the image with other channels, over the same labels."""

RECEIVED = {"type": "received"}
"""To a page, which warns its user when nothing comes from the kernel for long."""


class Page:
    """What the user sees in a notebook: the `Screen` of an annotator.

    Parameters
    ----------
    image, labels
        That are shown.
    height
        Of the canvas, in pixels of the page.
    reopen
        Opens other channels; None: there are none to choose from.
    """

    def __init__(
        self, image: Image, labels: LabelStore, height: int, reopen: Reopen | None
    ) -> None:
        self.canvas = Canvas(height=height)
        self.controls = Controls(image.stack_axes, tuple(image.stack_shape), self._post)
        self.still = StillOutput(self._still)
        self.tiles = TileView(image, labels, self.canvas.send_content, self._show_error)
        self._reopen = reopen
        self._annotator: Annotator | None = None
        self._state = AnnotatorState()
        self._drawing = RLock()  # a cell changes the contrast, the session the rest
        self._awaited_plane: Plane | None = None  # that a slider is at already

    def begin(self, annotator: Annotator) -> None:
        """Pass on to an annotator what the user does."""
        self._annotator = annotator
        controls, image = self.controls, self.tiles.image
        self.canvas.display = controls.display()
        self.canvas.facts = {**self.tiles.facts(), "marker": self.still.marker}
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
        if self._reopen is not None and image.channel_count > 1 and not image.is_rgb:
            controls.offer_channels(image.channel_count, image.channels)
        self._draw_ranges()
        self.canvas.on_content(self.receive)

    def show(self, state: AnnotatorState) -> None:
        """Draw this state."""
        if not state.is_open:
            return  # the widget is made once it is open, or not at all
        with self._drawing:
            self._state = state
            is_behind = self._awaited_plane not in {None, state.plane}
            if not is_behind:
                self._awaited_plane = None
            self.tiles.show_candidate(state.candidate)
            self.tiles.show_preview(state.preview)
            self._draw()
            self.controls.draw(state, moves_sliders=not is_behind)

    def change_labels(self, edit: Edit) -> None:
        """Have views read the tiles again that are old now."""
        self.tiles.change_labels(edit)

    def show_tile(self, tile: Tile | None) -> None:
        """Do nothing: what a run has found is shown once it is in the labels."""

    def report(self, error: BaseException) -> None:
        """Do nothing: the state says it."""

    def receive(self, content: Any) -> None:
        """Take a message of the browser, on whatever thread it arrives."""
        try:
            message = parse_message(content)
        except MessageError as error:
            self.canvas.send_content(RECEIVED)
            self._show_error(error)
            return
        match message:
            case TilesArrived(number):
                self.tiles.count_arrived(number)
            case ViewMoved():
                self._move_view(message)
            case RepeatState():
                self.canvas.send_content(RECEIVED)
                self.canvas.send_state("state")
            case DisplayChanged():
                self.canvas.send_content(RECEIVED)
                self.controls.change_display(message)
            case _:
                if not isinstance(message, commands.MoveMouse):
                    self.canvas.send_content(RECEIVED)
                self._post(message)

    def close(self) -> None:
        """Stop what the page does by itself."""
        self.still.close()
        self.tiles.close()

    @property
    def _here(self) -> Annotator:
        if self._annotator is None:
            raise SessionError("This page shows nothing yet.")
        return self._annotator

    def _post(self, command: Command) -> None:
        self._here.post(command)

    def _show_error(self, error: Exception) -> None:
        self._here.show_error(error)

    def _draw(self) -> None:
        with self._drawing:
            drawn = state_to_json(self._state, self.tiles.versions())
            if drawn != self.canvas.state:  # a run says more than the canvas shows
                self.canvas.state = drawn
                self.still.soon()

    def _move_view(self, message: ViewMoved) -> None:
        before = self.tiles.view
        self.tiles.move(message)
        # A view that only lacks tiles has not moved.
        seen = None if before is None else (before.plane, before.box)
        if seen != (message.plane, message.box):
            box = seen_box(message, self.tiles.image.shape)
            self._post(commands.MoveView(message.plane, box))

    def _on_display(self, change: dict[str, Any]) -> None:
        self.canvas.display = self.controls.display()
        if change["owner"] is self.controls.preview:
            self._post(commands.SetPreviews(change["new"]))

    def _on_slider(self, axis: int, index: int) -> None:
        with self._drawing:
            before = self._awaited_plane or self._state.plane
            plane = (*before[:axis], index, *before[axis + 1 :])
            self._awaited_plane = plane
        self._post(commands.GoTo(plane))

    def _on_contrast(self, _: Any) -> None:
        count = len(self.tiles.image.channels)
        ranges = tuple(
            (float(slider.value[0]), float(slider.value[1]))
            for slider in self.controls.ranges[:count]
        )
        with self._drawing:
            self.tiles.set_contrast(ranges)
            self._draw()

    def _on_channel(self, channels: tuple[int, ...] | None) -> None:
        reopen = self._reopen
        if reopen is None or channels is None or channels == self.tiles.image.channels:
            return

        def open_session(_: JobWatch) -> Session:
            session = reopen(channels)
            with self._drawing:
                self.tiles.set_image(session.image)
                self._draw_ranges()
                self._draw()
            return session

        self._here.swap_session(open_session)

    def _draw_ranges(self) -> None:
        image = self.tiles.image
        self.controls.draw_ranges(
            image.contrast, bounds_of(image.dtype, image.contrast)
        )

    def _still(self) -> str:
        png = draw_still(self.tiles, self._state.plane, self._state.candidate)
        return html_of(png, self.still.marker, str(self.tiles.labels.path))


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
