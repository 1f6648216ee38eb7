"""Weights on this machine: fetched once, verified, kept in a folder.

    <file>.part  --checksums match-->  <file>        one rename, so that a file
    <file>.part.json  where it is from                under its own name is whole

A cut connection leaves the `.part`, and the next try requests the rest of it. A file
that is already there is hashed again at each start: xxh128 reads gigabytes in a
second, the bytes are about to be read anyway, and the digest is the fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import requests
import xxhash
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from napari_sam.errors import CheckpointError, DownloadError
from napari_sam.model.registry import CACHE_VARIABLE, ModelRow, weights_path

FINGERPRINT_ALGORITHM = "xxh128"
READ_BYTES = 1 << 20
RECEIVE_BYTES = 1 << 16  # at most this much is lost when a connection is cut
LONGEST_WAIT_S = 30.0

HTTP_OK, HTTP_PARTIAL, HTTP_RANGE_NOT_SATISFIABLE = 200, 206, 416
HTTP_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be, if known."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait for a server, and when to give up.

    Parameters
    ----------
    attempts
        Tries in a row that bring no further byte before giving up.
    backoff_s
        Wait after the first of them, in seconds; doubles each time.
    timeout_s
        How long a server may be silent, in seconds.
    """

    attempts: int = 4
    backoff_s: float = 1.0
    timeout_s: float = 30.0

    def wait_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row, in seconds."""
        return float(min(self.backoff_s * 2 ** max(failures - 1, 0), LONGEST_WAIT_S))


@dataclass(frozen=True, slots=True)
class LocalWeights:
    """A file of weights that is what its registry row says, and its xxh3_128."""

    path: Path
    fingerprint: str


def fetch(
    row: ModelRow,
    folder: Path | None = None,
    progress: Progress | None = None,
    policy: RetryPolicy | None = None,
) -> LocalWeights:
    """Return the row's weights, downloaded if they are not there yet, verified.

    Parameters
    ----------
    row
        What to fetch.
    folder
        Where to keep it; None: `registry.cache_folder()`.
    progress
        Called while bytes come in; None: a bar on the terminal, if there is one.
    policy
        How long to wait for a server, and how often to try again.

    Raises
    ------
    DownloadError
        It could not be fetched whole, or is not what was published.
    CheckpointError
        It should have come with the package and did not.
    """
    path = weights_path(row, folder)
    if row.is_embedded:
        return _embedded(row, path)
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with _only_one(path):
                # Another process may have fetched it while this one waited.
                if not path.is_file():
                    _download(row, path, progress, policy or RetryPolicy())
        return _verified(row, path)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{row.name!r} needs to be kept in {path.parent}, and that failed: "
            f"{error}. Make room or make it writable, or set {CACHE_VARIABLE} to "
            "another folder."
        ) from error


def file_digests(path: Path, algorithms: Iterable[str]) -> dict[str, str]:
    """Read a file once for all `algorithms` ("sha256", "xxh128"): name -> hex."""
    makers: dict[str, Callable[[], _Hash]] = {
        "sha256": hashlib.sha256,
        "xxh128": xxhash.xxh3_128,
    }
    hashes = {name: makers[name]() for name in set(algorithms)}
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            for state in hashes.values():
                state.update(block)
    return {name: state.hexdigest() for name, state in hashes.items()}


@contextmanager
def progress_bar(label: str, progress: Progress | None) -> Iterator[Progress]:
    """`progress` itself, or else a bar on stderr where that is a terminal."""
    if progress is not None:
        yield progress
        return
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    shown = console.is_terminal or console.is_jupyter
    with Bars(*columns, console=console, disable=not shown) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class _TryAgain(Exception):
    """The server's answer leaves hope for the next request."""


def _embedded(row: ModelRow, path: Path) -> LocalWeights:
    if not path.is_file():
        raise CheckpointError(
            f"The weights of {row.name!r} should have come with napari-sam at {path} "
            "and are not there. Install the package again, or name another model."
        )
    digests = file_digests(path, [FINGERPRINT_ALGORITHM])
    return LocalWeights(path, digests[FINGERPRINT_ALGORITHM])


def _verified(row: ModelRow, path: Path) -> LocalWeights:
    """Hold a file under its own name against the row; it is never deleted."""
    known = {checksum.algorithm for checksum in row.checksums}
    # The slow sha256 was checked at download; it is computed again only if
    # nothing faster is published.
    if FINGERPRINT_ALGORITHM in known:
        known = {FINGERPRINT_ALGORITHM}
    digests = file_digests(path, known | {FINGERPRINT_ALGORITHM})
    fingerprint = digests[FINGERPRINT_ALGORITHM]
    mismatch = row.mismatch(digests)
    if mismatch:
        raise DownloadError(
            f"{path} is not the published file of {row.name!r}: {mismatch}. Delete it "
            "and it is downloaded again, or load it by its path if it is your own."
        )
    if not row.checksums:
        logger.warning(
            "No checksum is published for %s; the file here has %s:%s.",
            row.name,
            FINGERPRINT_ALGORITHM,
            fingerprint,
        )
    return LocalWeights(path, fingerprint)


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the file's lock, so that two processes never write one `.part`."""
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Waiting for another process that is fetching %s.", path.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(
    row: ModelRow, path: Path, progress: Progress | None, policy: RetryPolicy
) -> None:
    """Bring the row's file to `path`, which appears only once it is whole."""
    part = path.with_name(f"{path.name}.part")
    if not row.checksums:
        # Nothing would reveal a file that is put together from two versions.
        _discard(part)
    with progress_bar(f"Downloading {row.name}", progress) as report:
        resumed = _transfer(row, part, report, policy)
        problem = _part_problem(row, part)
        if problem and resumed:
            logger.info("What was resumed is not whole (%s); starting over.", problem)
            _discard(part)
            _transfer(row, part, report, policy)
            problem = _part_problem(row, part)
    if problem:
        _discard(part)
        raise DownloadError(
            f"{row.url} sent a file that is not {row.name!r}: {problem}. Nothing was "
            "kept. Try again later or from another network: a proxy may have "
            "answered in the server's place."
        )
    os.replace(part, path)
    _source(part).unlink(missing_ok=True)


def _part_problem(row: ModelRow, part: Path) -> str:
    """Why a finished download is not what was published, or an empty string."""
    digests = file_digests(part, {checksum.algorithm for checksum in row.checksums})
    mismatch = row.mismatch(digests)
    size = part.stat().st_size
    if row.size_bytes in {None, size} or (row.checksums and not mismatch):
        return mismatch
    return f"expected {row.size_bytes} bytes, got {size}; {mismatch}".rstrip("; ")


def _transfer(row: ModelRow, part: Path, report: Progress, policy: RetryPolicy) -> bool:
    """Fill `part` from the row's url; whether it was put together in several goes."""
    most, failures, goes = _size(part), 0, 0
    began_whole = most == 0
    while True:
        try:
            goes += 1
            _request(row.url or "", part, report, policy.timeout_s)
            return goes > 1 or not began_whole
        except (requests.RequestException, _TryAgain) as error:
            size = _size(part)
            failures = 0 if size > most else failures + 1
            most = max(most, size)
            if failures >= policy.attempts or not _is_passing(error):
                raise DownloadError(
                    f"{row.url} could not be downloaded: {_reason(error)}. Check the "
                    "network and try again; what has come in is kept. Without a "
                    f"network, put the file at {part.with_name(row.file_name)} by "
                    "hand, or give a path to weights instead of a name."
                ) from error
            logger.info("Trying %s again: %s.", row.url, _reason(error))
            time.sleep(policy.wait_s(failures))


def _is_passing(error: Exception) -> bool:
    """Whether the next request may go better."""
    if isinstance(error, requests.exceptions.SSLError):
        return False
    return isinstance(
        error,
        _TryAgain
        | requests.ConnectionError
        | requests.Timeout
        | requests.exceptions.ChunkedEncodingError,
    )


def _reason(error: Exception) -> str:
    """The innermost sentence of what `requests` wraps several times."""
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    inner = error.args[0] if error.args else error
    text = str(getattr(inner, "reason", inner))
    return text.rpartition(">: ")[2] or type(error).__name__


def _request(url: str, part: Path, report: Progress, timeout_s: float) -> None:
    """Send one request, for the rest of `part` if there is some, and save the answer.

    Raises `_TryAgain` or a `requests.RequestException` where it stops short.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "napari-sam"}
    headers |= _resume_headers(url, part)
    with requests.get(url, headers=headers, stream=True, timeout=timeout_s) as answer:
        start = _start_of_answer(answer, part)
        if start is None:
            return
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        _check_room(part, (total or start) - start)
        if start == 0:
            _remember_source(url, part, answer)
        done = start
        report(done, total)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for block in answer.iter_content(RECEIVE_BYTES):
                file.write(block)
                done += len(block)
                report(done, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and done < total:
        raise _TryAgain(f"the connection was cut after {done} of {total} bytes")


def _start_of_answer(answer: requests.Response, part: Path) -> int | None:
    """Byte of the file that the answer's body begins with; None: `part` is whole."""
    size, status = _size(part), answer.status_code
    content_range = answer.headers.get("Content-Range", "")
    if status == HTTP_OK:
        return 0
    if status == HTTP_PARTIAL and content_range.startswith(f"bytes {size}-"):
        return size
    if status == HTTP_RANGE_NOT_SATISFIABLE and content_range == f"bytes */{size}":
        return None
    if status in {HTTP_PARTIAL, HTTP_RANGE_NOT_SATISFIABLE}:
        _discard(part)
        raise _TryAgain(f"the server has no rest of a file with {size} bytes")
    if status in HTTP_TRY_AGAIN:
        raise _TryAgain(f"the server answered {status} {answer.reason}")
    raise requests.HTTPError(f"the server answered {status} {answer.reason}")


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise DownloadError(
            f"The download needs {needed} more bytes in {part.parent}, where {free} "
            f"are free. Make room, or set {CACHE_VARIABLE} to another folder."
        )


def _resume_headers(url: str, part: Path) -> dict[str, str]:
    """Ask for what `part` lacks, if it came from `url`."""
    size = _size(part)
    try:
        source = json.loads(_source(part).read_text("utf-8"))
        same, version = source["url"] == url, str(source["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    if not size or not same:
        return {}
    # With If-Range a server whose file has changed sends all of the new one.
    return {"Range": f"bytes={size}-"} | ({"If-Range": version} if version else {})


def _remember_source(url: str, part: Path, answer: requests.Response) -> None:
    version = answer.headers.get("ETag", "")
    if not version or version.startswith("W/"):
        version = answer.headers.get("Last-Modified", "")
    _source(part).write_text(json.dumps({"url": url, "version": version}), "utf-8")


def _source(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _source(part).unlink(missing_ok=True)
