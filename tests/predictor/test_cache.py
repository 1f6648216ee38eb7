"""Embeddings are made once, kept within bounds, and never mistaken for others."""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.model.window_model import Embedding
from napari_sam.predictor import embedding_files
from napari_sam.predictor.cache import EmbeddingCache, WindowKey, size_of

Pixels = NDArray[np.uint8]


def key(column: int = 0, model: str = "m", image: str = "i") -> WindowKey:
    return WindowKey(image, (), 0, Box(0, column, 8, column + 8), model)


def pixels(value: int = 0) -> Pixels:
    return np.full((8, 8, 3), value, dtype=np.uint8)


class Counted:
    """Reads and encodes, and counts how often it had to."""

    def __init__(self, make: Callable[[Pixels], Any]) -> None:
        self.reads = self.encodes = 0
        self._make = make

    def fetch(self, cache: EmbeddingCache, where: WindowKey, value: int = 0) -> Any:
        return cache.fetch(where, lambda: self._read(value), self._encode)

    def _read(self, value: int) -> Pixels:
        self.reads += 1
        return pixels(value)

    def _encode(self, pixels_hwc: Pixels) -> Any:
        self.encodes += 1
        return self._make(pixels_hwc)


def features(pixels_hwc: Pixels) -> Embedding:
    """An embedding of 512 bytes, with values that float16 cannot all hold exactly."""
    values = pixels_hwc.mean() / 3 + np.arange(256, dtype=np.float32) / 7
    return Embedding(values.astype(np.float16).reshape(4, 8, 8), (8, 8))


@pytest.fixture
def counted() -> Counted:
    return Counted(features)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_window_in_memory_is_neither_read_nor_encoded_again(counted: Counted) -> None:
    cache = EmbeddingCache()
    first = counted.fetch(cache, key())
    assert counted.fetch(cache, key()) is first
    assert (counted.reads, counted.encodes) == (1, 1)


@pytest.mark.parametrize(
    "other", [key(8), key(model="other"), key(image="other")], ids=str
)
def test_another_window_image_or_model_is_encoded_anew(
    counted: Counted, other: WindowKey
) -> None:
    cache = EmbeddingCache()
    counted.fetch(cache, key())
    counted.fetch(cache, other)
    assert counted.encodes == 2


def test_memory_drops_what_was_used_longest_ago(counted: Counted) -> None:
    cache = EmbeddingCache(memory_bytes=1024)
    for column in (0, 8):
        counted.fetch(cache, key(column))
    counted.fetch(cache, key(0))
    counted.fetch(cache, key(16))
    assert cache.nbytes <= 1024
    assert set(cache.windows("i", (), 0, "m")) == {key(0).window, key(16).window}


def test_an_embedding_larger_than_the_bound_is_used_but_not_held(
    counted: Counted,
) -> None:
    cache = EmbeddingCache(memory_bytes=10)
    assert counted.fetch(cache, key()).features_chw.shape == (4, 8, 8)
    assert (len(cache), cache.nbytes) == (0, 0)


def test_windows_are_listed_by_level_and_plane(counted: Counted) -> None:
    cache = EmbeddingCache()
    counted.fetch(cache, key())
    assert cache.windows("i", (), 0, "m") == [key().window]
    assert cache.windows("i", (), 1, "m") == []
    assert cache.windows("i", (3,), 0, "m") == []


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(PredictorError, match="memory_bytes >= 0"):
        EmbeddingCache(memory_bytes=-1)


def test_the_size_of_any_embedding_counts_its_arrays() -> None:
    array = np.zeros(1000)
    assert size_of(array) == 8000
    assert size_of({"a": [array, array]}) >= 16000


def test_a_new_process_finds_embeddings_on_disk_bit_for_bit(
    counted: Counted, tmp_path: Path
) -> None:
    made = counted.fetch(EmbeddingCache(folder=tmp_path), key())
    found = counted.fetch(EmbeddingCache(folder=tmp_path), key())
    assert counted.encodes == 1
    assert found.window_shape == made.window_shape
    np.testing.assert_array_equal(found.features_chw, made.features_chw)


def test_disk_goes_by_what_the_window_shows_not_by_where_it_lies(
    counted: Counted, tmp_path: Path
) -> None:
    counted.fetch(EmbeddingCache(folder=tmp_path), key(), value=1)
    counted.fetch(EmbeddingCache(folder=tmp_path), key(image="copy"), value=1)
    assert counted.encodes == 1
    counted.fetch(EmbeddingCache(folder=tmp_path), key(), value=2)
    assert counted.encodes == 2


def test_other_weights_never_read_these_embeddings(
    counted: Counted, tmp_path: Path
) -> None:
    counted.fetch(EmbeddingCache(folder=tmp_path), key())
    counted.fetch(EmbeddingCache(folder=tmp_path), key(model="other"))
    assert counted.encodes == 2


def test_values_that_are_no_embedding_stay_in_memory(tmp_path: Path) -> None:
    counted = Counted(lambda pixels_hwc: pixels_hwc.copy())
    cache = EmbeddingCache(folder=tmp_path)
    counted.fetch(cache, key())
    counted.fetch(cache, key())
    assert counted.encodes == 1
    assert files_in(tmp_path) == []


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_bit(content: bytes) -> bytes:
    return content[:300] + bytes([content[300] ^ 1]) + content[301:]


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda _: b""])
def test_a_damaged_file_is_ignored_and_written_again(
    counted: Counted, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    counted.fetch(EmbeddingCache(folder=tmp_path), key())
    (file,) = files_in(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    counted.fetch(EmbeddingCache(folder=tmp_path), key())
    assert counted.encodes == 2
    assert file.read_bytes() == whole


def test_disk_drops_what_was_used_longest_ago(counted: Counted, tmp_path: Path) -> None:
    counted.fetch(EmbeddingCache(folder=tmp_path), key(), value=0)
    (oldest,) = files_in(tmp_path)
    size = oldest.stat().st_size
    cache = EmbeddingCache(folder=tmp_path, disk_bytes=2 * size)
    for age, value in ((200, 1), (100, 2)):
        os.utime(oldest, (0, 0))
        counted.fetch(cache, key(8 * value), value=value)
        for file in files_in(tmp_path):
            os.utime(file, (age, age))
    assert len(files_in(tmp_path)) == 2
    assert not oldest.exists()


def test_files_of_others_in_the_folder_are_left_alone(
    counted: Counted, tmp_path: Path
) -> None:
    (tmp_path / "precious.npy").write_bytes(b"x" * 10_000)
    counted.fetch(EmbeddingCache(folder=tmp_path, disk_bytes=2000), key())
    assert (tmp_path / "precious.npy").exists()


def test_what_a_killed_process_left_half_written_is_cleared_away(
    counted: Counted, tmp_path: Path
) -> None:
    left = tmp_path / ("abc" + embedding_files.TEMPORARY_SUFFIX)
    left.write_bytes(b"half")
    os.utime(left, (0, 0))
    counted.fetch(EmbeddingCache(folder=tmp_path), key())
    assert not left.exists()


def test_a_full_disk_costs_a_warning_and_no_answer(
    counted: Counted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(embedding_files.os, "replace", full)
    cache = EmbeddingCache(folder=tmp_path)
    for column in (0, 8):
        counted.fetch(cache, key(column), value=column)
    assert counted.encodes == 2
    assert files_in(tmp_path) == []
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text


def test_threads_share_a_cache_within_its_bounds(counted: Counted) -> None:
    cache = EmbeddingCache(memory_bytes=2048)

    def work() -> None:
        for column in range(0, 200, 8):
            assert counted.fetch(cache, key(column)).window_shape == (8, 8)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.nbytes == 512 * len(cache) <= 2048
