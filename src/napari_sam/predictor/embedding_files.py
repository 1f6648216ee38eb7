"""Embeddings in a folder: one file each, bounded, shared by processes.

A file is an uncompressed float16 .npy with a checksum behind it, named by what it was
made of. It is written under another name and moved there, so no reader meets half of
one. What can not be read is a miss; what can not be written is not kept.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

CHECKSUM_BYTES = 16
SUFFIX = ".embedding.npy"
TEMPORARY_SUFFIX = ".embedding.tmp"
ABANDONED_S = 3600
"""Age at which a temporary file belongs to a process that died."""

STORES_BETWEEN_COUNTS = 64
"""How often to count the folder anew: other processes write to it too."""


def content_key(pixels_hwc: NDArray[np.uint8], model: str) -> str:
    """Name of the embedding that these weights make of these pixels."""
    digest = xxhash.xxh3_128()
    digest.update(f"{model}|{pixels_hwc.shape}|{pixels_hwc.dtype}|".encode())
    digest.update(np.ascontiguousarray(pixels_hwc).data)
    return digest.hexdigest()


class EmbeddingFiles:
    """Feature arrays in a folder, those used longest ago removed first.

    Parameters
    ----------
    folder
        Made on the first write.
    limit_bytes
        Most bytes of all files together.
    """

    def __init__(self, folder: Path | str, limit_bytes: int) -> None:
        self._folder = Path(folder)
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._total = 0
        self._stores = 0
        self._warned = False

    def load(self, name: str) -> NDArray[np.float16] | None:
        """The features (c, h, w) kept under a name, None where there are none."""
        path = self._path(name)
        try:
            features_chw = _decoded(path.read_bytes())
        except OSError:
            return None
        if features_chw is None:
            logger.info("Ignoring the damaged embedding %s.", path)
            return None
        try:
            # Not every file system keeps access times; this one is ours.
            os.utime(path)
        except OSError:
            logger.debug("Could not mark %s as used.", path)
        return features_chw

    def store(self, name: str, features_chw: NDArray[np.float16]) -> None:
        """Keep features under a name, unless the disk or the limit says no."""
        content = _encoded(features_chw)
        if len(content) > self._limit:
            return
        try:
            self._write(self._path(name), content)
            self._make_room(len(content))
        except OSError as error:
            self._warn_once(error)

    def _path(self, name: str) -> Path:
        return self._folder / (name + SUFFIX)

    def _write(self, path: Path, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=TEMPORARY_SUFFIX, dir=self._folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._total += added
            due = self._stores % STORES_BETWEEN_COUNTS == 0
            self._stores += 1
            if due or self._total > self._limit:
                self._total = self._trim()

    def _trim(self) -> int:
        """Remove what was used longest ago down to the limit; return what is left."""
        files = sorted(self._embeddings())
        total = sum(size for _, _, size in files)
        for _, path, size in files:
            if total <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total

    def _embeddings(self) -> list[tuple[int, Path, int]]:
        """(time of last use, path, bytes) of each file; abandoned ones are removed."""
        found = []
        for path in self._folder.iterdir():
            try:
                facts = path.stat()
                if path.name.endswith(SUFFIX):
                    found.append((facts.st_mtime_ns, path, facts.st_size))
                elif path.name.endswith(TEMPORARY_SUFFIX) and (
                    time.time() - facts.st_mtime > ABANDONED_S
                ):
                    path.unlink()
            except FileNotFoundError:
                # Another process removed it after it was listed.
                continue
        return found

    def _warn_once(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(
                "Embeddings are not kept in %s: %s. Work goes on without; free some "
                "space or choose another folder to keep them.",
                self._folder,
                error,
            )


def _encoded(features_chw: NDArray[np.float16]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, features_chw.astype(np.float16, copy=False), allow_pickle=False)
    content = buffer.getvalue()
    return content + xxhash.xxh3_128_digest(content)


def _decoded(content: bytes) -> NDArray[np.float16] | None:
    array, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    if xxhash.xxh3_128_digest(array) != checksum:
        return None
    try:
        features: NDArray[np.float16] = np.load(io.BytesIO(array), allow_pickle=False)
    except (ValueError, EOFError):
        return None
    return features if features.dtype == np.float16 and features.ndim == 3 else None
