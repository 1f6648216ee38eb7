"""An annotator on a stack of squares, and a screen that remembers what it was shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.annotator.annotator import Annotator
from napari_sam.annotator.jobs import JobWatch
from napari_sam.annotator.state import AnnotatorState
from napari_sam.automatic.plan import Tile
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.labels import Edit, LabelStore
from napari_sam.masks import bounding_box
from napari_sam.model.window_model import WindowMask
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt
from napari_sam.session import Session

MOST_S = 60
"""To wait for anything; a machine may be slow, and have other things to do."""

SHAPE = (300, 400)
PLANES = 4
SQUARES = (
    Box(40, 40, 100, 100),
    Box(40, 200, 100, 260),
    Box(160, 60, 220, 120),
    Box(180, 240, 240, 300),
)


def stack() -> NDArray[np.uint8]:
    """Squares, each of a gray of its own, in every plane."""
    planes = np.full((PLANES, *SHAPE), 20, dtype=np.uint8)
    for index, box in enumerate(SQUARES):
        planes[:, *box.slices] = 80 + 40 * index
    return planes


class SquaresModel:
    """Answers with the square that is pointed at; a lone click may mean three things.

    A second, a third candidate is that square made larger by 4 and 8 pixels; negative
    clicks take away the side of the square that they are on. It waits at its gates.
    """

    window_size = 512
    fingerprint = "squares"

    def __init__(self) -> None:
        self.is_broken = False
        self.encodes = self.predictions = 0
        self.may_encode, self.may_predict = Event(), Event()
        self.may_encode.set()
        self.may_predict.set()

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.int32]:
        self.encodes += 1
        assert self.may_encode.wait(MOST_S)
        gray = pixels_hwc[..., 0]
        islands = np.zeros(gray.shape, dtype=np.int32)
        for value in np.unique(gray):
            found, _ = ndimage.label(gray == value)
            islands[found > 0] = found[found > 0] + islands.max()
        return islands

    def predict(
        self, embedding: NDArray[np.int32], prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        self.predictions += 1
        assert self.may_predict.wait(MOST_S)
        if self.is_broken:
            raise RuntimeError("no memory left on the device")
        mask = np.zeros(embedding.shape, dtype=bool)
        for prompt in prompts:
            if isinstance(prompt, MaskPrompt):
                mask[prompt.box.slices] |= prompt.mask
            elif isinstance(prompt, BoxPrompt):
                y, x = prompt.box.center
                mask |= embedding == embedding[int(y), int(x)]
            elif prompt.positive:
                mask |= embedding == embedding[prompt.pixel]
        for prompt in prompts:
            if isinstance(prompt, Click) and not prompt.positive:
                mask[:, prompt.pixel[1] :] = False
        is_lone = len(prompts) == 1 and isinstance(prompts[0], Click)
        sizes = (0, 4, 8) if is_lone and mask.any() else (0,)
        return [
            WindowMask(grown(mask, size), 0.9 - 0.01 * size, None) for size in sizes
        ]


def grown(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """A square made larger on all sides."""
    box = bounding_box(mask)
    if size == 0 or box is None:
        return mask
    larger = mask.copy()
    larger[box.grow(size).clip(Box.of_shape(mask.shape)).slices] = True
    return larger


class RecordingScreen:
    """A `Screen` that remembers."""

    def __init__(self) -> None:
        self.states: list[AnnotatorState] = []
        self.edits: list[Edit] = []
        self.tiles: list[Tile | None] = []
        self.errors: list[BaseException] = []

    def show(self, state: AnnotatorState) -> None:
        self.states.append(state)

    def change_labels(self, edit: Edit) -> None:
        self.edits.append(edit)

    def show_tile(self, tile: Tile | None) -> None:
        self.tiles.append(tile)

    def report(self, error: BaseException) -> None:
        self.errors.append(error)


class Scene:
    """An annotator, and all that is around it."""

    def __init__(
        self, labels: Path, image: Any = None, axes: str | None = None, **options: Any
    ) -> None:
        self.labels = labels
        self.image = open_image(stack() if image is None else image, axes=axes)
        self.model = SquaresModel()
        self.cache = EmbeddingCache()
        self.screen = RecordingScreen()
        self.annotator = Annotator(self.open, self.cache, self.screen, **options)

    def open(self, watch: JobWatch) -> Session:
        watch()
        predictor = ImagePredictor(self.model, self.image, cache=self.cache)
        return Session(self.image, self.labels, self.model, predictor=predictor)

    def post(self, *commands: Any) -> AnnotatorState:
        """Post these, wait for what comes of them, and return the state."""
        for command in commands:
            self.annotator.post(command)
        assert self.annotator.wait(MOST_S)
        return self.annotator.state

    def again(self) -> Scene:
        """Close it, and open the same once more."""
        self.annotator.close()
        return Scene(self.labels)

    def on_disk(self) -> NDArray[np.integer]:
        """All planes of the labels, read as another program does."""
        with LabelStore.open(self.labels, mode="r") as store:
            whole = Box.of_shape(SHAPE)
            return np.stack([store.read((z,), whole) for z in range(PLANES)])


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    tick, end = Event(), monotonic() + MOST_S
    while not is_so():
        if monotonic() > end:
            raise TimeoutError(f"It did not happen in {MOST_S} s.")
        tick.wait(0.01)
