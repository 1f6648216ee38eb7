"""An append-only file of what happened to a label volume, one JSON object a line.

    {"sequence":7,"kind":"add","time":"...","data":{...},"blake2b":"0f3a..."}

Every line carries its number and a checksum, so that a line cut short by a crash
or a full disk differs from damage. The first is dropped, and cut off before the
next append: nobody relies on its having been written. Damage with whole lines
behind it is refused, because lines that were promised to be safe are gone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

from napari_sam.atomic_files import sync_folder
from napari_sam.errors import LabelError, LabelWriteError

logger = logging.getLogger("napari_sam")

EDIT_KINDS = frozenset({"add", "erase", "replace", "paint"})

CHECKSUM = b',"blake2b":"%b"}\n'
CHECKSUM_LENGTH = len(CHECKSUM % bytes(16))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal."""

    sequence: int  # 1 is the first line
    kind: str
    time: str  # ISO 8601, UTC
    data: Mapping[str, Any]  # plain JSON

    @property
    def is_edit(self) -> bool:
        """Whether it changed pixels by itself, as undoing an edit does not."""
        return self.kind in EDIT_KINDS


class Journal:
    """The lines of one file; use `open_journal` to make one.

    Appending is safe from several threads. The lines stay on disk; only where each
    begins is kept in memory.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self._starts: list[int] = []
        self._end = 0
        self._torn = False
        self._lock = Lock()
        self._file: BinaryIO | None = None
        self._scan(strict=writable)
        if writable:
            self._file = open_for_appending(path)
            self._torn = path.stat().st_size > self._end

    def __len__(self) -> int:
        """Number of whole lines."""
        return len(self._starts)

    def append(
        self, kind: str, data: Mapping[str, Any], *, durable: bool = False
    ) -> Entry:
        """Write one more line.

        Parameters
        ----------
        kind
            What happened.
        data
            Plain JSON: strings, finite numbers, bools, None, lists and mappings.
        durable
            Whether to wait until the line, and all before it, survive a power cut.

        Raises
        ------
        LabelError
            `data` is not plain JSON.
        LabelWriteError
            The line could not be written; the journal is as it was before.
        """
        with self._lock:
            time = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = Entry(len(self._starts) + 1, kind, time, data)
            line = encoded_line(entry)
            self._write(line, durable=durable)
            self._starts.append(self._end)
            self._end += len(line)
        return entry

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """Read the lines, in order, from the one behind number `after` on."""
        if after >= len(self._starts):
            return
        end = self._end
        with self.path.open("rb") as file:
            file.seek(self._starts[after])
            while file.tell() < end:
                yield decoded_line(file.readline())

    def read(self, sequence: int) -> Entry:
        """Read the line with this number; a LabelError if there is none."""
        if not 1 <= sequence <= len(self._starts):
            raise LabelError(
                f"The journal {self.path} has entries 1 to {len(self._starts)}, "
                f"entry {sequence} was requested."
            )
        with self.path.open("rb") as file:
            file.seek(self._starts[sequence - 1])
            return decoded_line(file.readline())

    def close(self) -> None:
        """Let go of the file; what was read stays readable."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _scan(self, *, strict: bool) -> None:
        """Find the whole lines; refuse damage among them, or stop there."""
        if not self.path.exists():
            return
        bad: int | None = None
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if bad is None and is_whole(line, number):
                    self._starts.append(self._end)
                    self._end += len(line)
                elif bad is None:
                    bad = number
                elif is_whole(line):
                    break
            else:
                return
        message = (
            f"Line {bad} of the journal {self.path} is damaged, though whole lines "
            "follow it. The labels themselves are not touched. Put a good copy of the "
            "journal back there, or move the journal away to go on with the labels "
            "as they are, without their history."
        )
        if strict:
            raise LabelError(message)
        logger.warning(message)

    def _write(self, line: bytes, *, durable: bool) -> None:
        if self._file is None:
            raise LabelWriteError(
                f"The journal {self.path} is open for reading only, or closed."
            )
        try:
            if self._torn:
                self._file.truncate(self._end)
                self._torn = False
            self._file.seek(self._end)
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            if durable:
                os.fsync(self._file.fileno())
        except BaseException as error:  # also when interrupted: no half of a line stays
            self._cut()
            if not isinstance(error, OSError):
                raise
            raise LabelWriteError(
                error.errno,
                f"The journal {self.path} could not be written ({error}), so nothing "
                "was changed. Make room or allow writing there, and try again",
            ) from error

    def _cut(self) -> None:
        """Take back a line that failed; if even that fails, before the next one."""
        self._torn = True
        if self._file is not None:
            try:
                self._file.truncate(self._end)
            except OSError:
                return
            self._torn = False


def open_for_appending(path: Path) -> BinaryIO:
    """Open a file, made if there is none, in a way that survives a power cut."""
    is_new = not path.exists()
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
        try:
            if is_new:
                os.fsync(file.fileno())
                sync_folder(path.parent)
        except OSError:
            file.close()
            path.unlink()
            raise
    except OSError as error:
        raise LabelWriteError(
            error.errno,
            f"The journal {path} needs a folder that can be written ({error})",
        ) from error
    return file


def encoded_line(entry: Entry) -> bytes:
    """The bytes of one line, checksum and line feed included."""
    fields = {
        "sequence": entry.sequence,
        "kind": entry.kind,
        "time": entry.time,
        "data": entry.data,
    }
    try:
        text = json.dumps(fields, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise LabelError(
            "A journal entry needs plain JSON (strings, finite numbers, bools, None, "
            f"lists, mappings), got data of kind {entry.kind!r} where {error}."
        ) from error
    body = text[:-1].encode()
    return body + checksum(body)


def checksum(body: bytes) -> bytes:
    """The end of a line that begins with `body`."""
    digest = blake2b(body, digest_size=8).hexdigest()
    return CHECKSUM % digest.encode()


def is_whole(line: bytes, number: int | None = None) -> bool:
    """Whether a line has its checksum and, if one is expected, its number."""
    body, tail = line[:-CHECKSUM_LENGTH], line[-CHECKSUM_LENGTH:]
    if tail != checksum(body):
        return False
    return number is None or body.startswith(b'{"sequence":%d,' % number)


def decoded_line(line: bytes) -> Entry:
    """The entry that `encoded_line` wrote."""
    fields = json.loads(line)
    return Entry(fields["sequence"], fields["kind"], fields["time"], fields["data"])
