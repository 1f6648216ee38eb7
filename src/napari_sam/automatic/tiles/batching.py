"""As many windows, and clicks, at once as the device has room for.

A device that is out of memory gets half as much, and never more again. The results are
the same for any amount; only a single window, or click, for which there is no room
fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.window.map_windows import instance_model
from napari_sam.automatic.window.options import AutomaticMode, AutomaticOptions
from napari_sam.automatic.window.segment import objects_in
from napari_sam.automatic.window.window_labels import WindowObjects
from napari_sam.errors import Cancelled, SamError
from napari_sam.model.window_model import BatchEncodingModel, WindowModel

Pixels = NDArray[np.uint8]
T = TypeVar("T")

WINDOWS_AT_ONCE = 4
"""For a model that does not state how many."""

FAILURES = (SamError, OSError, RuntimeError, MemoryError, ValueError, ArithmeticError)
"""What a window may fail with."""


class AdaptiveBatchModel:
    """A model that is given as much at once as there is room for, in one run.

    Parameters
    ----------
    model
        A `BatchEncodingModel` is given several windows; any other one at a time.
    options
        What is searched in each.
    at_once
        Windows; None: as many as suit the model.
    """

    def __init__(
        self,
        model: WindowModel,
        options: AutomaticOptions,
        at_once: int | None = None,
    ) -> None:
        self._model, self._options = model, options
        self._maps = options.mode_for(model) is AutomaticMode.INSTANCES
        self.windows_at_once = 1
        if isinstance(model, BatchEncodingModel):
            usual = getattr(model, "windows_at_once", WINDOWS_AT_ONCE)
            self.windows_at_once = max(at_once or int(usual), 1)

    def encode(self, windows: Sequence[Pixels]) -> list[Any]:
        """Embeddings; for a window that has none, the error that is the reason."""
        found: list[Any] = []
        while len(found) < len(windows):
            some = windows[len(found) : len(found) + self.windows_at_once]
            embeddings = self._encoded(some)
            if embeddings is None:
                self.windows_at_once = (len(some) + 1) // 2
            else:
                found += embeddings
        return found

    def objects(self, embedding: Any, pixels_hwc: Pixels) -> WindowObjects:
        """The objects of a window that is embedded."""
        while True:
            query = self._options.query_for(self._model)
            found = _unless_full(
                lambda: objects_in(self._model, embedding, pixels_hwc, self._options),
                is_last=query.clicks_at_once == 1,
            )
            if found is not None:
                return found
            fewer = replace(query, clicks_at_once=(query.clicks_at_once + 1) // 2)
            self._options = replace(self._options, query=fewer)

    def _encoded(self, windows: Sequence[Pixels]) -> list[Any] | None:
        """Their embeddings, or errors; None where there is no room for so many."""
        model = self._model
        if len(windows) > 1 and isinstance(model, BatchEncodingModel):
            try:
                found = _unless_full(lambda: self._embed(windows), is_last=False)
            except Cancelled:
                raise
            except FAILURES:
                # One of them may be to blame: the others need not fail with it.
                return [self._alone(window) for window in windows]
            return None if found is None else list(found)
        return [self._alone(window) for window in windows]

    def _embed(self, windows: Sequence[Pixels]) -> Sequence[Any]:
        """Embeddings, or maps where objects are taken out of those."""
        model = self._model
        if self._maps:
            return [maps for _, maps in instance_model(model).encode_maps([*windows])]
        if len(windows) > 1 and isinstance(model, BatchEncodingModel):
            return model.encode_many(windows)
        return [model.encode(window) for window in windows]

    def _alone(self, window: Pixels) -> Any:
        try:
            return self._embed([window])[0]
        except Cancelled:
            raise
        except FAILURES as error:
            # Without the frames, which may hold what fills the device.
            return error.with_traceback(None)


def _unless_full(compute: Callable[[], T], *, is_last: bool) -> T | None:
    """What is computed, None if there is no room for it; the last attempt may fail."""
    try:
        return compute()
    except Exception as error:
        if is_last or not is_out_of_memory(error):
            raise
    # Outside of the block: an exception holds on to the frames that it came through,
    # and those to what fills the device.
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device has no room, which is different from not being there."""
    torch = sys.modules.get("torch")  # a model without it does not raise its errors
    full = () if torch is None else (torch.OutOfMemoryError,)
    return isinstance(error, (MemoryError, *full))
