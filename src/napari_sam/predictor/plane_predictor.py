"""Ask the model what it sees in a window, within a budget of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.masks import Mask
from napari_sam.model.window_model import WindowModel
from napari_sam.predictor.cache import EmbeddingCache, WindowKey
from napari_sam.predictor.progress import WindowBudget, WindowProgress
from napari_sam.predictor.windows import Level, at_level
from napari_sam.prompts import BoxPrompt, Click, Prompt, in_window


class PlaneImage(Protocol):
    """What is asked of an image: planes, levels, and windows of pixels."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of level 0 of every plane, in pixels."""

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Sizes of the axes before y, x."""

    @property
    def levels(self) -> Sequence[Level]:
        """The pyramid, finest level first."""

    @property
    def fingerprint(self) -> str:
        """Names the image's content; part of every cache key."""

    def check_plane(self, plane: tuple[int, ...]) -> Any:
        """Raise an error for a plane that does not exist."""

    def read_rgb(
        self, plane: tuple[int, ...], level: int, box: Box
    ) -> NDArray[np.uint8]:
        """Pixels (height, width, 3) of a box of a level."""


@dataclass(frozen=True, slots=True, eq=False)
class WindowCandidate:
    """One answer of the model about one window."""

    level: int
    window: Box  # in pixels of the level
    mask_hw: Mask  # over the window, never empty
    score: float  # 0..1
    logits_hw: NDArray[np.float32] | None


class PlanePredictor:
    """Shows the model windows of one plane and hands back what it answers.

    Parameters
    ----------
    model, image, cache
        Who answers, about what, and where embeddings are kept.
    plane
        Indices of the axes before y, x.
    budget
        What may be looked at, and who is told.
    size
        Side of a window, in pixels.
    """

    def __init__(
        self,
        model: WindowModel,
        image: PlaneImage,
        cache: EmbeddingCache,
        plane: tuple[int, ...],
        budget: WindowBudget,
        *,
        size: int,
    ) -> None:
        self._model = model
        self._image = image
        self._cache = cache
        self._plane = plane
        self._budget = budget
        self.size = size
        self._looked: set[tuple[int, Box]] = set()
        self._encodes = 0

    @property
    def levels(self) -> Sequence[Level]:
        """The image's levels, finest first."""
        return self._image.levels

    @property
    def plane_shape(self) -> tuple[int, int]:
        """(height, width) of the plane at level 0, in pixels."""
        return self._image.shape

    @property
    def windows_left(self) -> int:
        """How many windows not looked at before may still be looked at."""
        return self._budget.windows - len(self._looked)

    def has_looked(self, level: int, window: Box) -> bool:
        """Whether this window was looked at before."""
        return (level, window) in self._looked

    def may_look(self, level: int, window: Box) -> bool:
        """Whether looking at this window stays within the budget."""
        if (
            self._budget.only_encoded
            and self._cache.peek(self._key(level, window)) is None
        ):
            return False
        return self.has_looked(level, window) or self.windows_left > 0

    def encoded(self, level: int) -> list[Box]:
        """The windows of a level and of this size whose embeddings are in memory."""
        height, width = self.levels[level].shape
        shape = (min(self.size, height), min(self.size, width))
        windows = self._cache.windows(
            self._image.fingerprint, self._plane, level, self._model.fingerprint
        )
        return [window for window in windows if window.shape == shape]

    def ask(
        self, level: int, window: Box, prompts: Sequence[Prompt]
    ) -> list[WindowCandidate]:
        """Every mask that the model gives for prompts in the window's own pixels.

        Returns
        -------
        Best score first; empty masks are left out.
        """
        self._tell(level, window)
        self._looked.add((level, window))
        embedding = self._embedding(level, window)
        if embedding is None:
            return []
        answers = self._model.predict(embedding, list(prompts))
        sightings = [_sighting(level, window, answer) for answer in answers]
        return sorted(
            (sighting for sighting in sightings if sighting.mask_hw.any()),
            key=lambda sighting: -sighting.score,
        )

    def in_window(
        self, prompts: Sequence[Prompt], level: int, window: Box
    ) -> list[Prompt]:
        """The prompts of level 0 that fall into a window, in the window's own pixels.

        A box that the window cuts says nothing about the object's end: it is left out
        where a positive click says where the object is.
        """
        inside = [
            (prompt, here)
            for prompt in prompts
            if (here := self._one_in_window(prompt, level, window)) is not None
        ]
        clicked = any(isinstance(here, Click) and here.positive for _, here in inside)
        return [
            here
            for prompt, here in inside
            if not (
                clicked
                and isinstance(prompt, BoxPrompt)
                and not window.contains(at_level(prompt.box, self.levels[level]))
            )
        ]

    def _tell(self, level: int, window: Box) -> None:
        if self._budget.watch is not None:
            windows, most = len(self._looked), self._budget.windows
            self._budget.watch(
                WindowProgress(level, window, windows, self._encodes, most)
            )

    def _key(self, level: int, window: Box) -> WindowKey:
        return WindowKey(
            self._image.fingerprint,
            tuple(self._plane),
            level,
            window,
            self._model.fingerprint,
        )

    def _embedding(self, level: int, window: Box) -> Any | None:
        """A window's embedding; None where it may not be made and is not there."""
        key = self._key(level, window)
        if self._budget.only_encoded:
            return self._cache.peek(key)
        return self._cache.fetch(
            key,
            read=lambda: self._image.read_rgb(self._plane, level, window),
            encode=self._encode,
        )

    def _encode(self, pixels_hwc: NDArray[np.uint8]) -> Any:
        embedding = self._model.encode(pixels_hwc)
        self._encodes += 1
        return embedding

    def _one_in_window(self, prompt: Prompt, level: int, window: Box) -> Prompt | None:
        (fy, fx), shape = self.levels[level].factors, self.levels[level].shape
        if isinstance(prompt, Click):
            # The last pixels of level 0 may lie beyond the level's last one.
            row, column = prompt.pixel
            y = row if floor(row / fy) < shape[0] else (shape[0] - 0.5) * fy
            x = column if floor(column / fx) < shape[1] else (shape[1] - 0.5) * fx
            prompt = Click(y, x, prompt.positive)
        return in_window(prompt, window, (fy, fx))


def _sighting(level: int, window: Box, answer: Any) -> WindowCandidate:
    mask_hw = np.asarray(answer.mask_hw).astype(bool)
    if mask_hw.shape != window.shape:
        raise PredictorError(
            f"The model was shown a window of {window.shape} pixels and answered with "
            f"a mask of {mask_hw.shape}. Its masks need the window's own shape."
        )
    score = float(answer.score)
    logits = getattr(answer, "logits_hw", None)
    logits_hw = None if logits is None else np.asarray(logits, dtype=np.float32)
    if logits_hw is not None and logits_hw.shape != window.shape:
        logits_hw = None
    return WindowCandidate(
        level, window, mask_hw, score if isfinite(score) else 0.0, logits_hw
    )
