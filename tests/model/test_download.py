"""Downloads from a local server that is slow, rude, forgetful or wrong."""

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash
from weights_site import CONTENT, HASTY, OTHER, Site, get, leave_part, names

from napari_sam.errors import CheckpointError, DownloadError
from napari_sam.model.download import RetryPolicy, fetch, file_digests, progress_bar
from napari_sam.model.registry import ModelRow


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


def test_weights_that_are_there_are_not_requested_again(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    first = get(row, tmp_path)
    assert get(row, tmp_path) == first
    assert len(site.ranges) == 1


def test_the_cache_folder_is_made_when_there_is_none(
    row: ModelRow, tmp_path: Path
) -> None:
    assert get(row, tmp_path / "a" / "b").is_file()


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
    assert site.ranges == [None]


def test_a_web_page_in_place_of_the_file_is_known_by_its_size_too(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.content = b"<html>log in first</html>"
    with pytest.raises(DownloadError, match=f"expected {len(CONTENT)} bytes, got 25"):
        get(row, tmp_path)
    assert names(tmp_path) == set()


def test_two_at_once_download_once(site: Site, row: ModelRow, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: get(row, tmp_path), range(2)))
    assert paths == [tmp_path / "toy.pth"] * 2
    assert len(site.ranges) == 1


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
    assert len(site.ranges) == 1


def test_a_damaged_file_in_the_cache_is_refused_and_not_deleted(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    path = get(row, tmp_path)
    path.write_bytes(OTHER)
    with pytest.raises(DownloadError, match="Delete it and it is downloaded again"):
        get(row, tmp_path)
    assert path.read_bytes() == OTHER
    assert len(site.ranges) == 1


def test_a_file_put_there_by_hand_is_used_without_asking_anyone(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    (tmp_path / "toy.pth").write_bytes(CONTENT)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.ranges == []


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
    assert site.ranges == [None]


def test_embedded_weights_that_are_missing_are_not_downloaded(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="Install the package again"):
        get(replace(row, url=None), tmp_path)
    assert site.ranges == []


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
