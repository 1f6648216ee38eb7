"""A line that was promised to be safe is there; one that was not is gone whole."""

import errno
import json
import os
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from napari_sam.errors import LabelError, LabelWriteError
from napari_sam.labels import journal as journal_module
from napari_sam.labels.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of three lines."""
    path = tmp_path / "labels.journal.jsonl"
    journal = Journal(path, writable=True)
    for number in (10, 20, 30):
        journal.append("note", {"number": number})
    journal.close()
    return path


def numbers(journal: Journal, after: int = 0) -> list[int]:
    return [entry.data["number"] for entry in journal.entries(after)]


def test_lines_come_back_in_order(path: Path) -> None:
    journal = Journal(path, writable=False)
    assert numbers(journal) == [10, 20, 30]
    assert numbers(journal, after=2) == [30]
    assert numbers(journal, after=3) == []
    assert journal.read(2).data == {"number": 20}


def test_every_line_is_a_json_object_with_number_kind_and_time(path: Path) -> None:
    first = json.loads(path.read_text().splitlines()[0])
    assert first["sequence"] == 1
    assert first["kind"] == "note"
    assert first["time"].endswith("+00:00")


def test_a_line_that_does_not_exist_says_which_do(path: Path) -> None:
    with pytest.raises(LabelError, match="entries 1 to 3"):
        Journal(path, writable=False).read(4)


@pytest.mark.parametrize("keep", [1, 5, -30, -2, -1])
def test_a_line_cut_short_is_dropped_and_written_over(path: Path, keep: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:keep])
    journal = Journal(path, writable=True)
    assert numbers(journal) == [10, 20]
    journal.append("n", {"number": 4})
    journal.close()
    assert numbers(Journal(path, writable=False)) == [10, 20, 4]
    assert path.read_bytes().endswith(b"}\n")


def test_zeros_at_the_end_as_after_a_power_cut_are_dropped(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(5000))
    journal = Journal(path, writable=True)
    assert numbers(journal) == [10, 20, 30]
    journal.close()


def test_damage_before_whole_lines_names_the_line_and_the_remedy(path: Path) -> None:
    before = path.read_bytes()
    path.write_bytes(before.replace(b":20}", b":21}"))
    with pytest.raises(LabelError, match=r"Line 2 .* move the journal away"):
        Journal(path, writable=True)
    assert path.read_bytes() == before.replace(b":20}", b":21}")


def test_a_missing_line_is_damage(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2] + lines[2])
    with pytest.raises(LabelError, match="Line 2"):
        Journal(path, writable=True)


def test_a_reader_gets_what_is_before_the_damage(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b":20}", b":21}"))
    assert numbers(Journal(path, writable=False)) == [10]


def test_a_reader_cannot_append(path: Path) -> None:
    with pytest.raises(LabelWriteError, match="reading only"):
        Journal(path, writable=False).append("note", {})


def test_what_is_no_json_is_refused_and_leaves_no_line(path: Path) -> None:
    journal = Journal(path, writable=True)
    for bad in ({"x": float("nan")}, {"x": object()}):
        with pytest.raises(LabelError, match="plain JSON"):
            journal.append("note", bad)
    assert len(journal) == 3
    journal.close()


@pytest.mark.parametrize("failing", ["fsync", "write"])
def test_a_full_disk_leaves_the_journal_as_it_was_and_usable(
    path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    journal, before = Journal(path, writable=True), path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    class FullFile:
        """Takes ten bytes, then none."""

        def __init__(self, file: Any) -> None:
            self.file, self.taken = file, 0

        def write(self, data: memoryview) -> int:
            if self.taken:
                full()
            self.taken = 10
            return int(self.file.write(data[:10]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    real = journal._file
    with monkeypatch.context() as patch:
        if failing == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(journal, "_file", FullFile(real))
        with pytest.raises(LabelWriteError, match="No space left") as raised:
            journal.append("note", {"number": 40}, durable=True)
    assert raised.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    journal.append("note", {"number": 50}, durable=True)
    assert numbers(journal) == [10, 20, 30, 50]
    journal.close()


def test_an_interrupt_leaves_no_part_of_a_line(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, before = Journal(path, writable=True), path.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            journal.append("note", {"number": 40}, durable=True)
    assert path.read_bytes() == before
    journal.close()


def test_only_durable_lines_wait_for_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, flushes = Journal(path, writable=True), []
    monkeypatch.setattr(os, "fsync", flushes.append)
    journal.append("note", {})
    assert len(flushes) == 0
    journal.append("note", {}, durable=True)
    assert len(flushes) == 1
    journal.close()


def test_a_new_journal_is_flushed_with_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []
    monkeypatch.setattr(journal_module, "sync_folder", folders.append)
    Journal(tmp_path / "new.jsonl", writable=True).close()
    assert folders == [tmp_path]


def test_threads_can_append_at_once(path: Path) -> None:
    journal = Journal(path, writable=True)

    def append_many() -> None:
        for number in range(50):
            journal.append("note", {"number": number})

    threads = [Thread(target=append_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert len(Journal(path, writable=False)) == 203
