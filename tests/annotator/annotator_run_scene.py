"""An annotator on discs, with a model that waits, for runs and their undo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from annotator_scene import MOST_S, RecordingScreen, wait_for
from run_scene import Regions, opened

from napari_sam.annotator.annotator import Annotator
from napari_sam.annotator.commands import StartRun, Where
from napari_sam.annotator.state import AnnotatorState
from napari_sam.geometry import Box
from napari_sam.labels import LabelStore
from napari_sam.model.window_model import WindowMask
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import Click, Prompt
from napari_sam.session import Session

SHAPE, SIZE = (100, 1300), 18
PLANE = StartRun(Where.PLANE, object_size=SIZE)
SOME = 30
"""Windows after which a run has found some of its tiles."""

ALL = 54


class WaitingRegions(Regions):
    """Encodes only so many windows until it is let go; knows prompts too."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self.is_free = Event()
        self.is_free.set()
        self.allowed, self.is_waiting = 0, False

    def allow(self, encodes: int) -> None:
        self.allowed = self.encodes + encodes
        self.is_free.clear()

    def encode(self, pixels_hwc: Any) -> Any:
        if self.encodes >= self.allowed:
            self.is_waiting = True
            assert self.is_free.wait(MOST_S)
        return super().encode(pixels_hwc)

    def predict(self, embedding: Any, prompts: Sequence[Prompt]) -> list[WindowMask]:
        _, islands = embedding
        (click,) = prompts
        assert isinstance(click, Click)
        return [WindowMask(islands == islands[click.pixel], 0.9, None)]


class RunScene:
    """An annotator on discs, and what a run does to it."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.labels, self.image = folder / "cells.ome.zarr", opened(image)
        self.model, self.screen = WaitingRegions(), RecordingScreen()
        self.annotator = Annotator(self.open, EmbeddingCache(), self.screen)
        self.annotator.wait(MOST_S)

    def open(self, watch: Any) -> Session:
        predictor = ImagePredictor(self.model, self.image)
        return Session(self.image, self.labels, self.model, predictor=predictor)

    @property
    def state(self) -> AnnotatorState:
        return self.annotator.state

    def post(self, *commands: Any) -> AnnotatorState:
        for command in commands:
            self.annotator.post(command)
        assert self.annotator.wait(MOST_S)
        return self.state

    def finish(self) -> str:
        """Wait for the end of the run, and return what is said of it."""
        wait_for(lambda: not self.state.run.is_running)
        self.until_checked()
        return self.state.run.text

    def until_checked(self) -> None:
        """Until it is known whether there is a run to go on with."""
        jobs = self.annotator._actions._run._jobs
        wait_for(lambda: self.annotator.call(lambda _: jobs.is_idle))

    def run(self, command: Any = PLANE) -> str:
        self.post(command)
        return self.finish()

    def begin(self) -> None:
        """Start a run that stays where it has found some tiles."""
        self.model.allow(SOME)
        self.annotator.post(PLANE)
        wait_for(lambda: self.model.is_waiting and any(self.screen.tiles))

    def in_labels(self, plane: tuple[int, ...] = ()) -> np.ndarray:
        with LabelStore.open(self.labels, mode="r") as store:
            return np.asarray(store.read(plane, Box.of_shape(SHAPE)))

    def close(self) -> None:
        self.model.is_free.set()
        self.annotator.close()
