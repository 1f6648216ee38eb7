"""The dock's cache of embeddings, which says when it holds more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam.predictor import EmbeddingCache, WindowKey


class SignallingCache(EmbeddingCache):
    """An `EmbeddingCache` with a signal.

    Attributes
    ----------
    added
        Emits, in whatever thread, after a window was encoded or read from disk.
    """

    added = Signal()

    def fetch(
        self,
        key: WindowKey,
        read: Callable[[], NDArray[np.uint8]],
        encode: Callable[[NDArray[np.uint8]], Any],
    ) -> Any:
        """As `EmbeddingCache.fetch`."""
        is_new = self.peek(key) is None
        embedding = super().fetch(key, read, encode)
        if is_new:
            self.added()
        return embedding
