"""The dock's other half: which image is open, the model and the cache, the choices.

No widgets here. An `Annotator` is opened for an image layer; its states are drawn by a
`NapariScreen` and by the dock, and what the user does is posted to it.

    open(layer) -> Annotator ... state.is_open -> NapariScreen ... leave()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam.annotator import Annotator, AnnotatorState, JobState, Plane
from napari_sam.annotator.commands import (
    AddPrompts,
    Cancel,
    CancelRun,
    ChooseNext,
    CollectBox,
    Command,
    SetBoxCollecting,
    SetLevel,
    SetPreviews,
    StartRun,
    Where,
)
from napari_sam.automatic import Tile
from napari_sam.errors import SessionError
from napari_sam.napari_plugin import log
from napari_sam.napari_plugin.activity import Activity
from napari_sam.napari_plugin.image_view import ImageView
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.napari_plugin.mouse import Mouse
from napari_sam.napari_plugin.opening import Choices, Models, SessionOpener
from napari_sam.napari_plugin.queued_screen import QueuedScreen
from napari_sam.napari_plugin.screen import NapariScreen
from napari_sam.napari_plugin.settings import read_settings
from napari_sam.napari_plugin.sources import LayerSource
from napari_sam.prompts import BoxPrompt, Prompt

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image as ImageLayer


@dataclass(frozen=True, slots=True, eq=False)
class _Labelling:
    """An image that is open, or being opened."""

    layer: ImageLayer
    choices: Choices
    opener: SessionOpener
    queue: QueuedScreen
    annotator: Annotator


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
    choices
        Of the image that is open, or for the next one.
    screen
        Of the image that is open, None if there is none.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, models: Models | None = None) -> None:
        log.start_logging()
        settings = read_settings()
        self.viewer = viewer
        self.choices = Choices(settings.model, settings.device)
        self.cache = settings.cache()
        self.screen: NapariScreen | None = None
        self._state = AnnotatorState()
        self._models = models or Models()
        self._prefetches = settings.prefetch
        self._has_previews = self._collects_boxes = False
        self._labelling: _Labelling | None = None
        self._mouse: Mouse | None = None
        self._ending: Annotator | None = None
        self._is_closed = False
        self._activity = Activity(self.cancel)
        self._run_activity = Activity(lambda: self.post(CancelRun()))
        self._swap_timer = QTimer()
        self._swap_timer.setSingleShot(True)
        self._swap_timer.setInterval(0)
        self._swap_timer.timeout.connect(self._open_swapped)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def state(self) -> AnnotatorState:
        """What there is to show of the image that is open or being opened."""
        return self._state

    @property
    def annotator(self) -> Annotator | None:
        """Of the image that is open or being opened."""
        return None if self._labelling is None else self._labelling.annotator

    @property
    def is_opening(self) -> bool:
        """Whether an image is being opened."""
        return self._labelling is not None and self.screen is None

    @property
    def is_up_to_date(self) -> bool:
        """Whether all that the annotator has passed on is drawn."""
        return self._labelling is None or self._labelling.queue.is_up_to_date

    @property
    def is_closed(self) -> bool:
        """Whether it has ended."""
        return self._is_closed

    @property
    def collects_boxes(self) -> bool:
        """Whether boxes are collected for an object each."""
        return self._collects_boxes

    def open(self, layer: ImageLayer, choices: Choices | None = None) -> None:
        """Begin to label an image layer, with these choices."""
        if self._is_closed:
            return
        choices = choices or replace(
            self.choices, channels=None, contrast=None, labels=None, level=None
        )
        self._leave(wait=False)
        try:
            source = LayerSource.of(layer)
        except Exception as error:  # noqa: BLE001 - whatever a layer is made of
            log.show(error)
            return
        opener = SessionOpener(
            source, choices, self._models, self.cache, after=_ended(self._ending)
        )
        queue = QueuedScreen(self._draw, self._draw_tile, log.show)
        annotator = Annotator(opener, self.cache, queue, prefetches=self._prefetches)
        self._labelling = _Labelling(layer, choices, opener, queue, annotator)
        self.changed()

    def reopen(self, **other: Any) -> None:
        """Open the same layer again, with other `Choices`."""
        if self.screen is None or self._labelling is None:
            self.choices = replace(self.choices, **other)
            self.changed()
            return
        labels = Path(self.screen.opened.session.labels.path)
        choices = replace(self.choices, labels=labels)
        self.open(self._labelling.layer, replace(choices, **other))

    def leave(self) -> None:
        """Close the image that is open, or the one that is being opened."""
        self._leave(wait=True)

    def close(self) -> None:
        """End all work and let go of everything; afterwards it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._swap_timer.stop()
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.leave()
        _ended(self._ending)()
        self.changed.disconnect()

    def post(self, command: Command) -> None:
        """Pass on what the user does to the annotator, if an image is open."""
        if self.screen is not None and self._labelling is not None:
            self._labelling.annotator.post(command)

    def cancel(self) -> None:
        """Give up what takes time: opening, an answer, a batch, an undo; not a run."""
        if self.is_opening:
            self.leave()
        else:
            self.post(Cancel())

    def add(self, prompt: Prompt, plane: Plane) -> None:
        """Take a prompt of the mouse: for the rectangle, for many objects, or one."""
        rectangle = None if self.screen is None else self.screen.rectangle
        if not isinstance(prompt, BoxPrompt):
            self.post(AddPrompts((prompt,), plane))
        elif rectangle is not None and rectangle.is_drawing:
            rectangle.take(prompt.box)
        elif self._collects_boxes:
            self.post(CollectBox(prompt, plane))
        else:
            self.post(AddPrompts((prompt,), plane))

    def set_previews(self, is_on: bool) -> None:
        """Show what a click would give, or do not; also for images opened later."""
        self._has_previews = is_on
        self.post(SetPreviews(is_on))

    def set_box_collecting(self, is_on: bool) -> None:
        """Collect boxes for an object each; also for images opened later."""
        self._collects_boxes = is_on
        self.post(SetBoxCollecting(is_on))
        self.changed()

    def set_level(self, level: int | None) -> None:
        """Look at no level finer than this; None: as the object needs it."""
        self.choices = replace(self.choices, level=level)
        self.post(SetLevel(level))

    def start_run(self, where: Where, object_size: float | None) -> None:
        """Segment everything in a part of the image.

        Raises
        ------
        SessionError
            The viewer shows no such part.
        """
        screen = self.screen
        if screen is None:
            return
        rectangle = screen.rectangle.rectangle if where is Where.RECTANGLE else None
        if where is not Where.STACK and screen.view.plane is None:
            raise SessionError(
                "Segmenting a plane needs one on show: leave the 3D view, and move the "
                "sliders onto the image; or choose all planes."
            )
        screen.send_view()
        self.post(StartRun(where, rectangle, object_size))

    def _draw(self, state: AnnotatorState) -> None:
        labelling = self._labelling
        if labelling is None:
            return
        self._state = state
        if self.screen is not None:
            self.screen.draw(state)
        elif state.is_open:
            self._begin(labelling, state)
        elif not state.job.text:  # cancelled, or it cannot be opened
            self.leave()
        self._draw_activities()
        self.changed()

    def _draw_tile(self, tile: Tile | None) -> None:
        if self.screen is not None:
            self.screen.draw_tile(tile)

    def _draw_activities(self) -> None:
        # Last of all: napari's progress bars run the event loop.
        state, labelling = self._state, self._labelling
        self._activity.draw(state.job)
        run = JobState()
        if state.run.is_running and labelling is not None:
            text = f"Segmenting everything in {labelling.layer.name}"
            run = JobState(text, state.run.done, state.run.count)
        self._run_activity.draw(run)

    def _begin(self, labelling: _Labelling, state: AnnotatorState) -> None:
        """The image is open."""
        opened = labelling.opener.opened
        if opened is None:
            raise SessionError("An image needs to be opened before it is drawn.")
        self.choices = labelling.choices
        view = ImageView(self.viewer, Placement(labelling.layer, opened.axes))
        screen = self.screen = NapariScreen(view, opened, self.post)
        labelling.layer.events.data.connect(self._on_swapped)
        self._mouse = Mouse(
            view,
            screen.prompts.points,
            self.add,
            screen.move_mouse,
            lambda step: self.post(ChooseNext(step)),
        )
        if self.choices.level is not None:
            self.post(SetLevel(self.choices.level))
        self.post(SetPreviews(self._has_previews))
        self.post(SetBoxCollecting(self._collects_boxes))
        screen.begin(state)

    def _leave(self, *, wait: bool) -> None:
        """Close the image; what is being opened is never waited for.

        Where it is not waited for, the next one is opened as soon as it has ended.
        """
        labelling, self._labelling = self._labelling, None
        screen, self.screen = self.screen, None
        self._state = AnnotatorState()
        if labelling is None:
            return
        labelling.annotator.close(wait=wait and screen is not None)
        self._ending = labelling.annotator
        labelling.queue.close()
        if self._mouse is not None:
            self._mouse.close()
            self._mouse = None
        if screen is not None:
            labelling.layer.events.data.disconnect(self._on_swapped)
            screen.close()
        self._draw_activities()
        self.changed()

    def _on_removed(self, event: Any) -> None:
        if self._labelling is not None and event.value is self._labelling.layer:
            self.leave()
        self.changed()

    def _on_swapped(self, event: Any = None) -> None:
        """Somebody gave the layer other pixels: it is another image now."""
        # Not within napari's own handling of the event, which draws layers.
        self._swap_timer.start()

    def _open_swapped(self) -> None:
        if self._labelling is not None:
            self.open(self._labelling.layer)


def _ended(annotator: Annotator | None) -> Callable[[], None]:
    """Waits for an annotator that is closed."""

    def wait() -> None:
        if annotator is not None:
            annotator.close()

    return wait
