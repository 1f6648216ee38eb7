"""`SegmentWidget`: a session on an image, as an ipywidgets widget."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import ipywidgets as ipw
import zarr
from IPython.display import display

from napari_sam.annotator import Annotator, commands, propose_labels
from napari_sam.errors import SessionError
from napari_sam.images import Image, open_image
from napari_sam.jupyter_widget.canvas import DEFAULT_HEIGHT, Canvas
from napari_sam.jupyter_widget.controls import Controls
from napari_sam.jupyter_widget.page import Page
from napari_sam.labels import (
    LabelGeometry,
    LabelStore,
    ObjectSummary,
)
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor import Candidate, EmbeddingCache, ImagePredictor
from napari_sam.prompts import Prompt
from napari_sam.session import Session, as_model

# A cell that is run again makes a widget on the labels that the one before still
# holds. The notebook has no way to say that it is gone, so the newest one takes over.
_open: WeakValueDictionary[Path, SegmentWidget] = WeakValueDictionary()


class SegmentWidget(ipw.VBox):  # type: ignore[misc]
    """Segment objects of an image in a notebook, with clicks and boxes.

    What is accepted is on disk at once. All methods may be called from cells while the
    widget is shown; those that need an answer of the model wait for it, and what goes
    wrong is raised there as well as shown.

    Parameters
    ----------
    image
        What `open_image` takes, or an open image.
    labels
        Where the label volume is or will be, or an open one. None: beside the image's
        file; for an array, in the notebook's folder, under a name that follows from
        its pixels, so that the same array finds its labels again.
    model
        A registry name, a path to a checkpoint, or a model.
    axes
        As of `open_image`, such as "cyx" for an array of channels.
    height
        Of the canvas, in pixels of the page.

    Examples
    --------
    >>> import napari_sam as ns
    >>> ns.SegmentWidget(array).show()  # doctest: +SKIP
    """

    _is_open = False  # nor where it could not be made

    def __init__(
        self,
        image: Any,
        labels: str | PathLike[str] | LabelStore | None = None,
        model: str | PathLike[str] | WindowModel = "default",
        *,
        axes: str | None = None,
        height: int = DEFAULT_HEIGHT,
    ) -> None:
        opened = open_image(image, axes=axes)
        loaded = as_model(model)
        cache = EmbeddingCache()
        store = (
            labels if isinstance(labels, LabelStore) else _taken_over(labels, opened)
        )
        self._owned = None if store is labels else store

        def session_of(shown: Image) -> Session:
            predictor = ImagePredictor(loaded, shown, cache=cache)
            return Session(shown, store, loaded, predictor=predictor)

        def reopen(channels: tuple[int, ...]) -> Session:
            return session_of(open_image(image, axes=axes, channels=channels))

        self._store = store
        self._page = Page(opened, store, height, None if image is opened else reopen)
        controls = self._page.controls
        super().__init__([controls.above, self._page.canvas, controls.below])
        self.add_class("nsam-widget")  # where controls.js finds the controls
        self._annotator = Annotator(
            lambda _: session_of(opened),
            cache,
            self._page,
            prefetches=True,
            notice=f"Labels are in {store.path}",
        )
        self._is_open = True
        try:
            self._page.begin(self._annotator)
            self._annotator.call(lambda _: None)
        except BaseException:
            self.release()
            raise
        if self._owned is not None:
            _open[Path(store.path).resolve()] = self

    @property
    def labels(self) -> zarr.Array[Any]:
        """The labels, (stack axes, y, x), read from disk where they are indexed."""
        return self.label_store.levels[0]

    @property
    def label_store(self) -> LabelStore:
        """The label volume: its path, its objects, its journal."""
        return self._store

    @property
    def image(self) -> Image:
        """The image that is segmented, with the channels that are on show."""
        return self._page.tiles.image

    @property
    def canvas(self) -> Canvas:
        """The part of it that is in the browser."""
        return self._page.canvas

    @property
    def controls(self) -> Controls:
        """Buttons and sliders, ordinary ipywidgets each."""
        return self._page.controls

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The prompts of the object at hand; set them to begin anew."""
        return self._annotator.prompts()

    @prompts.setter
    def prompts(self, prompts: Sequence[Prompt]) -> None:
        self._annotator.do(commands.ReplacePrompts(tuple(prompts)))

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The answers to the prompts, best first; waits for them."""
        self.wait()
        return self._annotator.candidates()

    @property
    def plane(self) -> tuple[int, ...]:
        """The plane on show; set it to show another one."""
        return self._annotator.state.plane

    @plane.setter
    def plane(self, plane: tuple[int, ...]) -> None:
        self._annotator.do(commands.GoTo(tuple(int(index) for index in plane)))

    @property
    def objects(self) -> tuple[ObjectSummary, ...]:
        """The objects that are in the labels, by id."""
        return tuple(self.label_store.objects())

    def add(self, *prompts: Prompt) -> tuple[Candidate, ...]:
        """Refine the candidate with more prompts, in the plane on show."""
        self._annotator.do(commands.AddPrompts(prompts, self.plane))
        return self.candidates

    def choose(self, index: int) -> None:
        """Take another of the candidates, counted from 0."""
        self._annotator.do(commands.Choose(index))

    def accept(self, label_id: int | None = None) -> int:
        """Write the candidate into the labels, and return its id.

        Parameters
        ----------
        label_id
            The id to get, such as that of the object in the plane before; None: the
            next free one.
        """
        return self._annotator.accept(label_id)

    def discard(self) -> None:
        """Drop the prompts and the candidate."""
        self._annotator.do(commands.Discard())

    def undo(self) -> None:
        """Take back the last step: a prompt, a choice, a change of the labels."""
        self._annotator.do(commands.Undo())

    def redo(self) -> None:
        """Do again what was undone last."""
        self._annotator.do(commands.Redo())

    def edit(self, label_id: int) -> None:
        """Begin to change an accepted object: its mask becomes the first prompt."""
        self._annotator.do(commands.EditObject(label_id))

    def delete(self, label_id: int) -> None:
        """Turn an accepted object into background."""
        self._annotator.do(commands.Delete((label_id,)))

    def look_at(self, y: float, x: float, zoom: float = 1.0) -> None:
        """Move the view: its middle, and how many pixels of the page a pixel gets."""
        count = self.canvas.focus.get("count", 0) + 1
        wish = {"y": float(y), "x": float(x), "zoom": float(zoom), "count": count}
        self.canvas.focus = wish

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is computed any more; False where it took longer."""
        return self._annotator.wait(timeout_s)

    def show(self) -> SegmentWidget:
        """Display the widget below the cell, and return it."""
        self._ipython_display_()
        return self

    def close(self) -> None:
        """Take the widget away, and let other programs write the labels."""
        self.release()
        super().close()

    def release(self) -> None:
        """Let others write the labels; the widget stays as a picture of itself."""
        if not self._is_open:
            return
        self._is_open = False
        self._annotator.close()
        self._page.close()
        if self._owned is not None:
            self._owned.close()

    def _ipython_display_(self) -> None:
        if not self._is_open:
            raise SessionError(
                "This widget is closed, or a newer one has taken over its labels. "
                "Make a new one: SegmentWidget(image, labels=...)."
            )
        display(self._repr_mimebundle_(), raw=True)
        self._page.still.display()


def _taken_over(labels: str | PathLike[str] | None, image: Image) -> LabelStore:
    """Open labels; an older widget of this kernel that holds them gives them up."""
    path = Path(labels) if labels is not None else _proposed(image)
    older = _open.pop(path.resolve(), None)
    if older is not None:
        older.release()
    return LabelStore.open(path, LabelGeometry.of(image))


def _proposed(image: Image) -> Path:
    """Where a kernel that was restarted finds the labels of the same image again."""
    return propose_labels(image, image.source, folder=Path.cwd()).path
