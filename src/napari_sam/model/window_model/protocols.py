"""What a model of windows can do: encode a window, answer prompts on it.

Only `WindowModel` is needed; the other protocols are faster ways for models that have
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_sam.model.window_model.point_masks import PointMasks, PointQuery
from napari_sam.prompts import Click, Prompt


@dataclass(frozen=True, slots=True)
class Embedding:
    """What the image encoder made of one window.

    float16 everywhere, so that an answer does not depend on whether the embedding
    came from the encoder, from memory or from disk.
    """

    features_chw: NDArray[np.float16]
    window_shape: tuple[int, int]  # (height, width) of the window, in pixels

    @property
    def nbytes(self) -> int:
        """Size in memory, in bytes."""
        return int(self.features_chw.nbytes)


@dataclass(frozen=True, slots=True)
class WindowMask:
    """One mask for a set of prompts, over the window that was encoded."""

    mask_hw: NDArray[np.bool_]  # the window's (height, width)
    score: float  # 0..1, the predicted IoU
    logits_hw: NDArray[np.float32] | None  # > 0 is inside; the window's (h, w)


class WindowModel(Protocol):
    """A promptable segmentation model that sees one square window at a time."""

    @property
    def window_size(self) -> int:
        """Side of the square window, in pixels; windows at borders may be smaller."""

    @property
    def fingerprint(self) -> str:
        """Names the weights; part of every cache key."""

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> Any:
        """Embed an RGB window, at most `window_size` on a side.

        The result is passed back to `predict` as it is. It may be an `Embedding`,
        which can be kept on disk, or any other value, which is kept in memory.
        """

    def predict(
        self, embedding: Any, prompts: Sequence[Prompt]
    ) -> Sequence[WindowMask]:
        """Masks for prompts in the window's own pixels, (y, x), best score first."""


@runtime_checkable
class BatchEncodingModel(Protocol):
    """A window model that embeds several windows in one go.

    It may also have `windows_at_once`: how many it is best given, on the device on
    which it is. The embeddings do not depend on that.
    """

    def encode_many(self, windows: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        """What `encode` gives for each of the windows, in their order.

        A device without room for all raises `torch.OutOfMemoryError`, or MemoryError,
        and is given fewer.
        """


@runtime_checkable
class ManyPointModel(Protocol):
    """A window model that answers many clicks at once, each about its own object."""

    @property
    def point_query(self) -> PointQuery:
        """Which masks of a grid of clicks are worth having from these weights."""

    def predict_many(
        self, embedding: Any, clicks: list[Click], query: PointQuery
    ) -> PointMasks:
        """Every mask that a single click may mean and that the query wants."""
