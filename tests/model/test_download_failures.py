"""What keeps weights from coming is said, with a way out."""

import errno
import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from weights_site import CONTENT, HASTY, Site, get, names

from napari_sam.errors import DownloadError
from napari_sam.model.registry import ModelRow


def test_a_file_that_is_not_on_the_server_is_requested_once(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.statuses = [404] * 9
    with pytest.raises(DownloadError, match="404") as caught:
        get(row, tmp_path)
    assert str(row.url) in str(caught.value)
    assert len(site.ranges) == 1
    assert names(tmp_path) == set()


def test_a_server_in_trouble_is_requested_again(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.statuses = [500, 503]
    assert get(row, tmp_path).read_bytes() == CONTENT
    assert len(site.ranges) == 3


def test_a_server_that_stays_in_trouble_is_given_up(
    site: Site, row: ModelRow, tmp_path: Path
) -> None:
    site.statuses = [500] * 9
    with pytest.raises(DownloadError, match="answered 500"):
        get(row, tmp_path)
    assert len(site.ranges) == HASTY.attempts


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
