"""A download that is cut goes on where it was cut, and never looks whole before."""

from dataclasses import replace
from pathlib import Path

import pytest
from weights_site import CONTENT, HASTY, OTHER, Site, get, leave_part, names

from napari_sam.errors import DownloadError
from napari_sam.model import download
from napari_sam.model.download import fetch
from napari_sam.model.registry import ModelRow


def test_a_cut_download_goes_on_where_it_was_cut(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.cuts = [150_000, 100_000]
    assert get(row, tmp_path).read_bytes() == CONTENT
    first, second, third = site.ranges
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
    assert len(site.ranges) > HASTY.attempts


def test_a_server_that_always_cuts_at_one_place_is_given_up(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.knows_ranges = False
    site.cuts = [150_000] * 100
    with pytest.raises(DownloadError, match="the connection was cut"):
        get(row, tmp_path)
    assert len(site.ranges) == 1 + HASTY.attempts
    assert names(tmp_path) == {"toy.pth.part", "toy.pth.part.json"}


def test_the_next_start_of_the_program_goes_on_too(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, CONTENT[:1000], site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.ranges == ["bytes=1000-"]


def test_a_part_from_another_place_is_not_gone_on_with(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    elsewhere = replace(row, url="https://example.org/weights.pth")
    leave_part(tmp_path, elsewhere, OTHER[:1000], site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.ranges == [None]


def test_a_part_that_nothing_is_known_of_is_not_gone_on_with(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    (tmp_path / "toy.pth.part").write_bytes(OTHER[:1000])
    (tmp_path / "toy.pth.part.json").write_text("{")
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.ranges == [None]


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
    assert site.ranges == ["bytes=1000-", None]


def test_a_part_longer_than_the_file_is_started_over(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, CONTENT + b"more", site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_part_that_was_whole_is_taken_as_it_is(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    leave_part(tmp_path, row, CONTENT, site.etag)
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert site.sent == 0


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
    assert len(site.ranges) == 2


def test_a_content_length_that_is_always_too_long_is_given_up(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.claims_extra, site.knows_ranges = 1000, False
    with pytest.raises(DownloadError, match="the connection was cut"):
        get(row, tmp_path)
    assert "toy.pth" not in names(tmp_path)


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
    assert site.ranges[1] is not None
