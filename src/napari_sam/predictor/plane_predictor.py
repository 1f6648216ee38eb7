"""What the model predicts in windows of one plane, within a budget of windows."""

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
from napari_sam.predictor.windows import PlaneLevel, Window, at_level
from napari_sam.prompts import BoxPrompt, Click, Prompt, in_window


class PlaneImage(Protocol):
    """What an image has to have: planes, levels, and windows of pixels."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of level 0 of every plane, in pixels."""

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Sizes of the axes before y, x."""

    @property
    def levels(self) -> Sequence[PlaneLevel]:
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
    """One of the masks that the model predicts in a window."""

    window: Window
    mask_hw: Mask  # over the window, never empty
    score: float  # 0..1
    logits_hw: NDArray[np.float32] | None


class PlanePredictor:
    """Predicts in windows of one plane, and counts them.

    Parameters
    ----------
    model, image, cache
        What predicts, in what, and where embeddings are kept.
    plane
        Indices of the axes before y, x.
    budget
        How many windows may be used, and what is called before each. Each size of
        windows has this budget to itself.
    """

    def __init__(
        self,
        model: WindowModel,
        image: PlaneImage,
        cache: EmbeddingCache,
        plane: tuple[int, ...],
        budget: WindowBudget,
    ) -> None:
        self._model = model
        self._image = image
        self._cache = cache
        self._plane = plane
        self._budget = budget
        # The windows used so far, with how many encodes each of them took.
        self._encodes: dict[Window, int] = {}

    @property
    def levels(self) -> Sequence[PlaneLevel]:
        """The image's levels, finest first."""
        return self._image.levels

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the plane at level 0, in pixels."""
        return self._image.shape

    def windows_left(self, size: int) -> int:
        """How many more windows of this size may be used."""
        return self._budget.windows - len(self._used(size))

    def is_used(self, window: Window) -> bool:
        """Whether this window was predicted in before, so that it is free now."""
        return window in self._encodes

    def may_predict(self, window: Window) -> bool:
        """Whether predicting in this window stays within the budget."""
        if self._budget.only_encoded and self._cache.peek(self._key(window)) is None:
            return False
        return self.is_used(window) or self.windows_left(window.size) > 0

    def encoded(self, level: int, size: int) -> list[Box]:
        """The windows of a level and of a size whose embeddings are in memory."""
        height, width = self.levels[level].shape
        shape = (min(size, height), min(size, width))
        windows = self._cache.windows(
            self._image.fingerprint, self._plane, level, self._model.fingerprint
        )
        return [window for window in windows if window.shape == shape]

    def predict(
        self, window: Window, prompts: Sequence[Prompt]
    ) -> list[WindowCandidate]:
        """All masks that the model predicts for prompts in the window's own pixels.

        Returns
        -------
        Best score first; empty masks are left out.
        """
        self._report(window)
        self._encodes.setdefault(window, 0)
        embedding = self._embedding(window)
        if embedding is None:
            return []
        masks = self._model.predict(embedding, list(prompts))
        candidates = [_window_candidate(window, mask) for mask in masks]
        return sorted(
            (candidate for candidate in candidates if candidate.mask_hw.any()),
            key=lambda candidate: -candidate.score,
        )

    def prompts_in(
        self, prompts: Sequence[Prompt], level: int, box: Box
    ) -> list[Prompt]:
        """The prompts of level 0 that fall into a box of a level, in its own pixels.

        A box prompt that is cut says nothing about the object's end: it is left out
        where a positive click says where the object is.
        """
        inside = [
            (prompt, here)
            for prompt in prompts
            if (here := self._one_in(prompt, level, box)) is not None
        ]
        clicked = any(isinstance(here, Click) and here.positive for _, here in inside)
        return [
            here
            for prompt, here in inside
            if not (
                clicked
                and isinstance(prompt, BoxPrompt)
                and not box.contains(at_level(prompt.box, self.levels[level]))
            )
        ]

    def _used(self, size: int) -> list[int]:
        """The encodes that each used window of a size took."""
        return [n for window, n in self._encodes.items() if window.size == size]

    def _report(self, window: Window) -> None:
        if self._budget.watch is not None:
            used = self._used(window.size)
            self._budget.watch(
                WindowProgress(
                    window.level, window.box, len(used), sum(used), self._budget.windows
                )
            )

    def _key(self, window: Window) -> WindowKey:
        return WindowKey(
            self._image.fingerprint,
            tuple(self._plane),
            window.level,
            window.box,
            self._model.fingerprint,
        )

    def _embedding(self, window: Window) -> Any | None:
        """A window's embedding; None where it may not be made and is not there."""
        key = self._key(window)
        if self._budget.only_encoded:
            return self._cache.peek(key)

        def encode(pixels_hwc: NDArray[np.uint8]) -> Any:
            embedding = self._model.encode(pixels_hwc)
            self._encodes[window] += 1
            return embedding

        return self._cache.fetch(
            key,
            read=lambda: self._image.read_rgb(self._plane, window.level, window.box),
            encode=encode,
        )

    def _one_in(self, prompt: Prompt, level: int, box: Box) -> Prompt | None:
        (fy, fx), shape = self.levels[level].factors, self.levels[level].shape
        if isinstance(prompt, Click):
            # The last pixels of level 0 may lie beyond the level's last one.
            row, column = prompt.pixel
            y = row if floor(row / fy) < shape[0] else (shape[0] - 0.5) * fy
            x = column if floor(column / fx) < shape[1] else (shape[1] - 0.5) * fx
            prompt = Click(y, x, prompt.positive)
        return in_window(prompt, box, (fy, fx))


def _window_candidate(window: Window, predicted: Any) -> WindowCandidate:
    shape = window.box.shape
    mask_hw = np.asarray(predicted.mask_hw).astype(bool)
    if mask_hw.shape != shape:
        raise PredictorError(
            f"The model was shown a window of {shape} pixels and predicted a mask of "
            f"{mask_hw.shape}. Its masks need the window's own shape."
        )
    score = float(predicted.score)
    logits = getattr(predicted, "logits_hw", None)
    logits_hw = None if logits is None else np.asarray(logits, dtype=np.float32)
    if logits_hw is not None and logits_hw.shape != shape:
        logits_hw = None
    return WindowCandidate(
        window, mask_hw, score if isfinite(score) else 0.0, logits_hw
    )
