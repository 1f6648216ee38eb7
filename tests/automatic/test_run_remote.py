"""Images that come over HTTP, and labels that go to an object store when finished."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import numpy as np
import pytest
from run_scene import (
    SHAPE,
    SMALL,
    Regions,
    array_bytes,
    labels_of,
    scene,
    segment,
    write_image,
)

from napari_sam.errors import LabelError
from napari_sam.evaluation.compare import compare_labels
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.labels import LabelStore


class Ranges(SimpleHTTPRequestHandler):
    """Serves parts of files, as object stores do: shards are read in parts."""

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if wanted is None or not path.is_file():
            super().do_GET()
            return
        content = path.read_bytes()
        first, last = wanted.groups()
        start = int(first) if first else max(len(content) - int(last), 0)
        stop = int(last) + 1 if first and last else len(content)
        part = content[start:stop]
        self.send_response(206)
        whole = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        self.send_header("Content-Range", whole)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A server that has the test's folder, as a bucket that anybody may read."""
    handler = partial(Ranges, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def memory() -> Iterator[str]:
    """A folder of fsspec's object store in memory."""
    url = "memory://bucket"
    yield url
    fsspec.filesystem("memory").rm("/bucket", recursive=True)


pytestmark = pytest.mark.usefixtures("no_flushing")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """The finished labels of the scene."""
    path = tmp_path / "labels.ome.zarr"
    segment(write_image(tmp_path / "image.zarr", scene()), path)
    return path


def assert_levels_are(read: Image, labels: Path) -> None:
    """Every stored level of labels that are read as an image."""
    whole = labels_of(labels)
    assert read.shape == SHAPE
    stored = [level for level in read.levels if level.stored]
    assert len(stored) == 4
    for number in range(len(stored)):
        step = 2**number
        pixels = read.read((), number, Box.of_shape(read.levels[number].shape))
        np.testing.assert_array_equal(pixels[0], whole[::step, ::step])


def test_an_image_that_comes_over_http_gets_the_same_labels(
    labels: Path, site: str, tmp_path: Path
) -> None:
    image = open_image(f"{site}/image.zarr", contrast_limits=(0, 255))
    remote = tmp_path / "remote.ome.zarr"
    report = segment(image, remote)
    assert report.is_complete
    assert array_bytes(remote) == array_bytes(labels)


def test_labels_are_read_over_http_level_by_level(labels: Path, site: str) -> None:
    assert_levels_are(open_image(f"{site}/labels.ome.zarr"), labels)


def test_labels_that_are_copied_to_an_object_store_are_read_there(
    labels: Path, memory: str
) -> None:
    fsspec.filesystem("memory").put(str(labels), "/bucket/labels.ome.zarr", True)
    read = open_image(f"{memory}/labels.ome.zarr")
    assert_levels_are(read, labels)
    pixels = read.read((), 0, Box.of_shape(SHAPE))[0]
    assert compare_labels(pixels, labels_of(labels)).thresholds[-1].false_positives == 0


def test_an_image_in_an_object_store_gets_the_same_labels(
    labels: Path, memory: str, tmp_path: Path
) -> None:
    image = str(tmp_path / "image.zarr")
    fsspec.filesystem("memory").put(image, "/bucket/image.zarr", True)
    other = tmp_path / "other.ome.zarr"
    segment(open_image(f"{memory}/image.zarr", contrast_limits=(0, 255)), other)
    assert array_bytes(other) == array_bytes(labels)


def test_labels_go_to_any_store_that_fsspec_can_write_to(
    labels: Path, memory: str, tmp_path: Path
) -> None:
    url = f"{memory}/new.ome.zarr"
    report = segment(tmp_path / "image.zarr", url, staging=tmp_path / "staging")
    assert report.labels == url
    files = fsspec.filesystem("memory")
    files.get("/bucket/new.ome.zarr", str(tmp_path / "copy.ome.zarr"), recursive=True)
    assert array_bytes(tmp_path / "copy.ome.zarr") == array_bytes(labels)


def test_the_old_ome_zarr_version_goes_there_too_and_is_known_again(
    memory: str, tmp_path: Path
) -> None:
    image, url = write_image(tmp_path / "image.zarr", scene()), f"{memory}/old.zarr"
    options = {
        "staging": tmp_path / "staging",
        "label_options": replace(SMALL, version="0.4"),
    }
    first, model = segment(image, url, **options), Regions()
    assert_levels_are(open_image(url), write_locally(image, tmp_path))
    assert segment(image, url, model, **options) == first
    assert model.encodes == 0


def write_locally(image: Path, folder: Path) -> Path:
    segment(image, folder / "local.ome.zarr")
    return folder / "local.ome.zarr"


def test_labels_that_are_edited_need_a_local_disk_and_it_says_what_to_do() -> None:
    with pytest.raises(LabelError, match="Copy the store there, and back"):
        LabelStore.open("memory://bucket/new.ome.zarr")


def test_a_url_of_no_known_kind_is_told(labels: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="a library that can write there"):
        segment(tmp_path / "image.zarr", "nowhere://bucket/new.ome.zarr")
