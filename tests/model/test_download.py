"""Downloads from a local server that is slow, rude, forgetful or wrong."""

import errno
import hashlib
import json
import logging
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import xxhash

from napari_sam.errors import CheckpointError, DownloadError
from napari_sam.model import download
from napari_sam.model.download import RetryPolicy, fetch, file_digests, progress_bar
from napari_sam.model.registry import Checksum, ModelRow

CONTENT = bytes(range(256)) * 1200  # a few of the pieces that are received at once
OTHER = CONTENT[::-1]
HASTY = RetryPolicy(attempts=3, backoff_s=0.0, timeout_s=5.0)


@dataclass
class Site:
    """What the server does; `cuts` and `statuses` are used up, one a request."""

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)  # bytes sent before hanging up
    statuses: list[int] = field(default_factory=list)
    knows_ranges: bool = True
    etag: str = '"one"'
    claims_extra: int = 0  # added to the true Content-Length of a whole answer
    piece: int = 1 << 20
    asked: list[str | None] = field(default_factory=list)  # the Range headers
    sent: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answer as the server's `site` says."""

    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        wanted = self.headers.get("Range")
        site.asked.append(wanted)
        if site.statuses and (status := site.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        if self.headers.get("If-Range", site.etag) != site.etag:
            wanted = None
        start = 0
        if wanted and site.knows_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.answer(site, start)

    def answer(self, site: Site, start: int) -> None:
        size = len(site.content)
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if site.etag:
            self.send_header("ETag", site.etag)
        extra = 0 if start else site.claims_extra
        self.send_header("Content-Length", str(size - start + extra))
        self.end_headers()
        body = site.content[start:]
        if site.cuts:
            body = body[: site.cuts.pop(0)]
        for at in range(0, len(body), site.piece):
            self.wfile.write(body[at : at + site.piece])
        site.sent += len(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.site = Site()  # type: ignore[attr-defined]
    server.site.url = (  # type: ignore[attr-defined]
        f"http://127.0.0.1:{server.server_port}/weights.pth"
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.site  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def row(site: Site) -> ModelRow:
    """A model that the site has, with every checksum."""
    return ModelRow(
        name="toy",
        family="test",
        licence="CC0-1.0",
        file_name="toy.pth",
        url=site.url,  # type: ignore[attr-defined]
        page="nowhere",
        checksums=(
            Checksum("sha256", hashlib.sha256(CONTENT).hexdigest()),
            Checksum("xxh128", xxhash.xxh3_128(CONTENT).hexdigest()),
        ),
        size_bytes=len(CONTENT),
    )


def quiet(_done: int, _total: int | None) -> None:
    """No progress bar."""


def get(row: ModelRow, folder: Path) -> Path:
    return fetch(row, folder, quiet, HASTY).path


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"toy.pth.lock"}


def leave_part(folder: Path, row: ModelRow, content: bytes, version: str) -> None:
    (folder / "toy.pth.part").write_bytes(content)
    source = {"url": row.url, "version": version}
    (folder / "toy.pth.part.json").write_text(json.dumps(source))


def test_a_slow_server_is_waited_for_and_progress_rises_to_the_size(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.piece = 7001
    seen: list[tuple[int, int | None]] = []
    weights = fetch(
        row, tmp_path, lambda done, total: seen.append((done, total)), HASTY
    )
    assert weights.path.read_bytes() == CONTENT
    assert weights.fingerprint == xxhash.xxh3_128(CONTENT).hexdigest()
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path) == {"toy.pth"}


def test_weights_that_are_there_are_not_asked_for_again(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    first = get(row, tmp_path)
    assert get(row, tmp_path) == first
    assert len(site.asked) == 1


def test_the_cache_folder_is_made_when_there_is_none(
    row: ModelRow, tmp_path: Path
) -> None:
    assert get(row, tmp_path / "a" / "b").is_file()


def test_a_cut_download_goes_on_where_it_was_cut(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.cuts = [150_000, 100_000]
    assert get(row, tmp_path).read_bytes() == CONTENT
    first, second, third = site.asked
    assert first is None
    assert second is not None
    assert third is not None
    # What is lost with each cut is at most what is received at once.
    assert site.sent - len(CONTENT) <= 2 * download.RECEIVE_BYTES


def test_a_server_that_ignores_ranges_sends_all_of_it_again(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.knows_ranges = False
    site.cuts = [150_000]
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.sent == 150_000 + len(CONTENT)


def test_many_cuts_are_survived_as_long_as_each_brings_something(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.cuts = [66_000] * (HASTY.attempts + 1)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert len(site.asked) > HASTY.attempts


def test_a_server_that_always_cuts_at_one_place_is_given_up(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.knows_ranges = False
    site.cuts = [150_000] * 100
    with pytest.raises(DownloadError, match="the connection was cut"):
        get(row, tmp_path)
    assert len(site.asked) == 1 + HASTY.attempts
    assert names(tmp_path) == {"toy.pth.part", "toy.pth.part.json"}


def test_the_next_start_of_the_program_goes_on_too(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, CONTENT[:1000], site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked == ["bytes=1000-"]


def test_a_part_from_another_place_is_not_gone_on_with(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    elsewhere = replace(row, url="https://example.org/weights.pth")
    leave_part(tmp_path, elsewhere, OTHER[:1000], site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None]


def test_a_part_that_nothing_is_known_of_is_not_gone_on_with(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    (tmp_path / "toy.pth.part").write_bytes(OTHER[:1000])
    (tmp_path / "toy.pth.part.json").write_text("{")
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked == [None]


def test_a_file_that_changed_on_the_server_is_sent_whole(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, OTHER[:1000], '"zero"')
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.sent == len(CONTENT)


def test_a_resumed_file_that_does_not_match_is_fetched_once_from_the_start(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, OTHER[:1000], site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked == ["bytes=1000-", None]


def test_a_part_longer_than_the_file_is_started_over(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, CONTENT + b"more", site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_part_that_was_whole_is_taken_as_it_is(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, CONTENT, site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.sent == 0


def test_a_wrong_file_is_not_kept_and_both_checksums_are_named(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.content = OTHER
    expected, computed = (hashlib.sha256(c).hexdigest() for c in (CONTENT, OTHER))
    with pytest.raises(
        DownloadError, match=f"expected sha256:{expected}, computed {computed}"
    ):
        get(row, tmp_path)
    assert names(tmp_path) == set()
    assert site.asked == [None]


def test_a_web_page_in_place_of_the_file_is_told_by_its_size_too(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.content = b"<html>log in first</html>"
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes, got 25"):
        get(row, tmp_path)
    assert names(tmp_path) == set()


def test_a_content_length_that_is_too_short_never_makes_a_whole_file(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.claims_extra = -1000
    with pytest.raises(DownloadError, match="is not 'toy'"):
        get(row, tmp_path)
    assert names(tmp_path) == set()


def test_a_content_length_that_is_too_long_is_a_cut_connection(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.claims_extra = 1000
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 2


def test_a_content_length_that_is_always_too_long_is_given_up(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.claims_extra, site.knows_ranges = 1000, False
    with pytest.raises(DownloadError, match="the connection was cut"):
        get(row, tmp_path)
    assert "toy.pth" not in names(tmp_path)


def test_a_file_that_is_not_on_the_server_is_asked_for_once(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.statuses = [404] * 9
    with pytest.raises(DownloadError, match="404") as caught:
        get(row, tmp_path)
    assert str(row.url) in str(caught.value)
    assert len(site.asked) == 1
    assert names(tmp_path) == set()


def test_a_server_in_trouble_is_asked_again(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.statuses = [500, 503]
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 3


def test_a_server_that_stays_in_trouble_is_given_up(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.statuses = [500] * 9
    with pytest.raises(DownloadError, match="answered 500"):
        get(row, tmp_path)
    assert len(site.asked) == HASTY.attempts


def test_a_server_that_is_not_there_says_how_to_do_without(
    row: ModelRow, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free_port = taken.getsockname()[1]
    gone = replace(row, url=f"http://127.0.0.1:{free_port}/weights.pth")
    with pytest.raises(DownloadError, match="refused") as caught:
        get(gone, tmp_path)
    assert str(tmp_path / "toy.pth") in str(caught.value)


def test_no_network_at_all_says_how_to_do_without(
    row: ModelRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    far = replace(row, url="https://example.org/weights.pth")
    with pytest.raises(DownloadError, match=r"Failed to resolve 'example\.org'"):
        get(far, tmp_path)


def test_a_url_that_makes_no_sense_is_a_download_error(
    row: ModelRow, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="could not be downloaded"):
        get(replace(row, url="gopher://weights"), tmp_path)


def test_too_little_room_is_said_before_anything_is_written(
    site: Site, row: ModelRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DownloadError, match=f"needs {len(CONTENT)} more bytes"):
        get(row, tmp_path)
    assert names(tmp_path) == set()


def test_a_disk_that_fills_up_leaves_a_part_to_go_on_with(
    row: ModelRow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DownloadError, match="No space left"):
            get(row, tmp_path)
    assert names(tmp_path) == {"toy.pth.part", "toy.pth.part.json"}
    assert get(row, tmp_path).read_bytes() == CONTENT


def test_a_cache_that_cannot_be_written_says_how_to_move_it(
    row: ModelRow, tmp_path: Path
) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(DownloadError, match="set NAPARI_SAM_CACHE"):
        get(row, tmp_path / "taken" / "models")


def test_an_interrupted_download_leaves_no_file_that_looks_whole(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    def interrupt(done: int, _total: int | None) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(row, tmp_path, interrupt, HASTY)
    assert "toy.pth" not in names(tmp_path)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked[1] is not None


def test_two_at_once_download_once(site: Site, row: ModelRow, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: get(row, tmp_path), range(2)))
    assert paths == [tmp_path / "toy.pth"] * 2
    assert len(site.asked) == 1


def test_the_second_of_two_waits_for_the_first(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def hold(_done: int, _total: int | None) -> None:
        inside.set()
        go_on.wait(timeout=30)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, row, tmp_path, hold, HASTY)
        assert inside.wait(timeout=30)
        second = pool.submit(get, row, tmp_path)
        go_on.set()
        assert second.result(timeout=30) == first.result(timeout=30).path
    assert len(site.asked) == 1


def test_a_damaged_file_in_the_cache_is_refused_and_not_deleted(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    path = get(row, tmp_path)
    path.write_bytes(OTHER)
    with pytest.raises(DownloadError, match="Delete it and it is downloaded again"):
        get(row, tmp_path)
    assert path.read_bytes() == OTHER
    assert len(site.asked) == 1


def test_a_file_put_there_by_hand_is_used_without_asking_anyone(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    (tmp_path / "toy.pth").write_bytes(CONTENT)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.asked == []


def test_without_a_published_checksum_the_computed_one_is_reported(
    row: ModelRow, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        get(replace(row, checksums=()), tmp_path)
    assert xxhash.xxh3_128(CONTENT).hexdigest() in caplog.text


def test_without_a_published_checksum_the_size_still_counts(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.content = OTHER[1:]
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes"):
        get(replace(row, checksums=()), tmp_path)


def test_without_a_published_checksum_an_old_part_is_not_trusted(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, OTHER[:1000], site.etag)
    assert get(replace(row, checksums=()), tmp_path).read_bytes() == CONTENT
    assert site.asked == [None]


def test_embedded_weights_that_are_missing_are_not_downloaded(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="Install the package again"):
        get(replace(row, url=None), tmp_path)
    assert site.asked == []


def test_a_file_is_hashed_as_the_hash_functions_are_published(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert file_digests(tmp_path / "empty", ["sha256", "xxh128"]) == {
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "xxh128": "99aa06d3014798d86001c324468d497f",
    }


def test_the_progress_bar_is_silent_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress_bar("toy", None) as report:
        report(1, 2)
        report(2, 2)
    assert "toy" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("failures", "wait_s"), [(0, 1), (1, 1), (3, 4), (9, 30)])
def test_the_wait_doubles_up_to_half_a_minute(failures: int, wait_s: float) -> None:
    assert RetryPolicy().wait_s(failures) == wait_s
