"""Embeddings are expensive: they are kept in memory and, if wanted, on disk.

Memory is keyed by where a window lies, so that a hit needs no pixels at all. Disk is
keyed by what the window shows (a hash of its pixels and of the weights): whatever
happens to the image, its intensity range or its channels, a file can not be stale.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.model.window_model import Embedding
from napari_sam.predictor.embedding_files import EmbeddingFiles, content_key

MEMORY_BYTES = 512 * 2**20
DISK_BYTES = 8 * 2**30


@dataclass(frozen=True, slots=True)
class WindowKey:
    """Where an embedding's window lies, and which weights made it."""

    image: str  # fingerprint
    plane: tuple[int, ...]
    level: int
    window: Box  # in pixels of the level
    model: str  # fingerprint


class EmbeddingCache:
    """The embeddings used last, within bounds; threads may share it.

    Parameters
    ----------
    memory_bytes
        Most bytes of embeddings held in memory.
    folder
        Where to keep embeddings on disk too, for later runs and other processes; None
        for memory only. Only `Embedding` values are kept there.
    disk_bytes
        Most bytes of files in `folder`.
    """

    def __init__(
        self,
        memory_bytes: int = MEMORY_BYTES,
        folder: Path | str | None = None,
        disk_bytes: int = DISK_BYTES,
    ) -> None:
        if memory_bytes < 0 or disk_bytes < 0:
            raise PredictorError(
                "An embedding cache needs memory_bytes >= 0 and disk_bytes >= 0, got "
                f"{memory_bytes} and {disk_bytes}."
            )
        self._memory_bytes = memory_bytes
        self._files = None if folder is None else EmbeddingFiles(folder, disk_bytes)
        self._lock = threading.Lock()
        self._held: OrderedDict[WindowKey, tuple[Any, int]] = OrderedDict()
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def nbytes(self) -> int:
        """Bytes of the embeddings held in memory."""
        return self._held_bytes

    def fetch(
        self,
        key: WindowKey,
        read: Callable[[], NDArray[np.uint8]],
        encode: Callable[[NDArray[np.uint8]], Any],
    ) -> Any:
        """The embedding of a window, made only where it is not kept yet.

        Parameters
        ----------
        key
            Which window of what.
        read
            Gives the window's pixels, uint8 (height, width, 3); not called where the
            embedding is in memory.
        encode
            Makes an embedding of pixels; not called where it is on disk either.

        Returns
        -------
        Any
            As `encode` gave it, now or before.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
        pixels_hwc = read()
        embedding = self._from_disk_or(encode, pixels_hwc, key.model)
        self._hold(key, embedding)
        return embedding

    def peek(self, key: WindowKey) -> Any | None:
        """The embedding of a window if it is in memory; nothing is read or made."""
        with self._lock:
            return self._held[key][0] if key in self._held else None

    def windows(
        self, image: str, plane: tuple[int, ...], level: int, model: str
    ) -> list[Box]:
        """The windows of one level of one plane whose embeddings are in memory."""
        with self._lock:
            return [
                key.window
                for key in self._held
                if (key.image, key.plane, key.level, key.model)
                == (image, plane, level, model)
            ]

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        with self._lock:
            self._held.clear()
            self._held_bytes = 0

    def _from_disk_or(
        self,
        encode: Callable[[NDArray[np.uint8]], Any],
        pixels_hwc: NDArray[np.uint8],
        model: str,
    ) -> Any:
        if self._files is None:
            return encode(pixels_hwc)
        name = content_key(pixels_hwc, model)
        features_chw = self._files.load(name)
        height, width = pixels_hwc.shape[:2]
        if features_chw is not None:
            return Embedding(features_chw, (height, width))
        embedding = encode(pixels_hwc)
        # The file holds features only: the window's shape is known from its pixels.
        if isinstance(embedding, Embedding) and (
            embedding.window_shape == (height, width)
        ):
            self._files.store(name, embedding.features_chw)
        return embedding

    def _hold(self, key: WindowKey, embedding: Any) -> None:
        size = size_of(embedding)
        if size > self._memory_bytes:
            return
        with self._lock:
            _, replaced = self._held.pop(key, (None, 0))
            self._held[key] = embedding, size
            self._held_bytes += size - replaced
            while self._held_bytes > self._memory_bytes:
                _, (_, dropped) = self._held.popitem(last=False)
                self._held_bytes -= dropped


def size_of(value: Any) -> int:
    """Bytes that an embedding holds: its own `nbytes`, or those of its parts."""
    nbytes = getattr(value, "nbytes", None)
    if isinstance(nbytes, int | np.integer):
        return int(nbytes)
    if isinstance(value, dict):
        return getsizeof(value) + sum(size_of(part) for part in value.values())
    if isinstance(value, list | tuple):
        return getsizeof(value) + sum(size_of(part) for part in value)
    # Any other object counts for its attributes, one deep: enough for a dataclass.
    attributes = getattr(value, "__dict__", {}).values()
    return getsizeof(value) + sum(
        int(getattr(part, "nbytes", 0)) for part in attributes
    )
