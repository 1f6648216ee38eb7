"""Labels in an object store: a local S3 server, spoken to as the real one."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import zarr
from run_scene import (
    SHAPE,
    Regions,
    array_bytes,
    labels_of,
    scene,
    segment,
    write_image,
)

from napari_sam.automatic import remote_labels as object_store
from napari_sam.automatic.run import RunProgress
from napari_sam.errors import Cancelled, ImageError, LabelError, LabelWriteError
from napari_sam.geometry import Box
from napari_sam.images import open_image

s3fs = pytest.importorskip("s3fs", reason="needs s3fs, of the extra s3")
moto_server = pytest.importorskip("moto.server", reason="needs moto, a local S3 server")

from s3_scene import (  # noqa: E402 - needs s3fs
    BUCKET,
    bucket_bytes,
    counting_puts,
    moments,
    segment_until_dead,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("no_flushing", "credentials"),
]
URL = f"s3://{BUCKET}/slide.labels.ome.zarr"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def credentials(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty bucket, and what a user's environment says of it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setattr(object_store, "FILES_AT_ONCE", 4)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir(BUCKET)
    yield
    files.invalidate_cache()
    files.rm(BUCKET, recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_image(tmp_path / "image.zarr", scene())


@pytest.fixture
def wanted(image: Path, tmp_path: Path) -> dict[str, str]:
    """The files of a run on the local disk."""
    segment(image, tmp_path / "local.ome.zarr")
    return array_bytes(tmp_path / "local.ome.zarr")


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of files that are put."""
    names: list[str] = []
    monkeypatch.setattr(s3fs.S3FileSystem, "_put_file", counting_puts(names))
    return names


def test_labels_in_a_bucket_are_those_of_a_local_run(
    image: Path, wanted: dict[str, str], staging: Path, tmp_path: Path
) -> None:
    report = segment(image, URL, staging=staging)
    assert report.labels == URL
    assert report.is_complete
    assert bucket_bytes(URL) == wanted
    read = open_image(URL)
    pixels = read.read((), 0, Box.of_shape(SHAPE))[0]
    np.testing.assert_array_equal(pixels, labels_of(tmp_path / "local.ome.zarr"))
    group = zarr.open_group(URL, mode="r")
    assert "image-label" in group.attrs["ome"]
    table = f"{URL}.napari-sam/labels.everything/objects.csv"
    assert s3fs.S3FileSystem().cat_file(table) == report.objects_file.read_bytes()
    assert not list(staging.rglob("zarr.json"))  # no second copy is kept


def test_an_image_in_the_same_bucket_is_read_from_there(
    image: Path, wanted: dict[str, str], staging: Path
) -> None:
    s3fs.S3FileSystem().put(str(image), f"{BUCKET}/image.zarr", recursive=True)
    remote = open_image(f"s3://{BUCKET}/image.zarr", contrast_limits=(0, 255))
    segment(remote, URL, staging=staging)
    assert bucket_bytes(URL) == wanted


def test_a_finished_run_has_nothing_to_do(
    image: Path, staging: Path, puts: list[str]
) -> None:
    first, model = segment(image, URL, staging=staging), Regions()
    puts.clear()
    assert segment(image, URL, model, staging=staging) == first
    assert (model.encodes, puts) == (0, [])


def test_a_reader_sees_old_labels_or_none_or_new_ones_whole(
    image: Path, wanted: dict[str, str], staging: Path
) -> None:
    segment(image, URL, staging=staging, region=Box(0, 0, 100, 100))
    seen = []

    def check(progress: RunProgress) -> None:
        if progress.stage != "upload":
            open_image(URL)
        elif progress.done < progress.count:
            with pytest.raises(ImageError):
                open_image(URL)
            seen.append(progress.done)
        else:
            assert bucket_bytes(URL) == wanted

    segment(image, URL, staging=staging, overwrite=True, on_progress=check)
    assert len(seen) > 3


def test_a_broken_upload_goes_on_where_it_was(
    image: Path, wanted: dict[str, str], staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    with monkeypatch.context() as patch:
        broken = counting_puts(names, failing_from=9)
        patch.setattr(s3fs.S3FileSystem, "_put_file", broken)
        with pytest.raises(LabelWriteError, match="Nothing is lost"):
            segment(image, URL, staging=staging)
    rest: list[str] = []
    monkeypatch.setattr(s3fs.S3FileSystem, "_put_file", counting_puts(rest))
    model = Regions()
    assert segment(image, URL, model, staging=staging).is_complete
    assert model.encodes == 0
    assert len(set(names[:8]) & set(rest)) == 0  # whole batches are not put twice
    assert bucket_bytes(URL) == wanted


def test_a_cancelled_upload_goes_on(
    image: Path, wanted: dict[str, str], staging: Path
) -> None:
    def stop(progress: RunProgress) -> None:
        if progress.stage == "upload" and progress.done > 5:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        segment(image, URL, staging=staging, on_progress=stop)
    segment(image, URL, staging=staging)
    assert bucket_bytes(URL) == wanted


def test_a_killed_upload_goes_on(
    image: Path, wanted: dict[str, str], staging: Path
) -> None:
    files = len(wanted) + 2  # and the table, and the root's metadata
    for puts in moments(files):
        work = (image, URL, staging, puts)
        process = get_context("spawn").Process(target=segment_until_dead, args=work)
        process.start()
        process.join()
        assert process.exitcode == 1
        with pytest.raises(ImageError):
            open_image(URL)
    model = Regions()
    segment(image, URL, model, staging=staging)
    assert model.encodes == 0
    assert bucket_bytes(URL) == wanted


def test_windows_that_failed_are_tried_again_and_put_there(
    image: Path, wanted: dict[str, str], staging: Path
) -> None:
    report = segment(image, URL, Regions(failing={3}), staging=staging)
    assert len(report.failures) == 1
    assert bucket_bytes(URL) != wanted
    model = Regions()
    assert segment(image, URL, model, staging=staging).is_complete
    assert 0 < model.encodes < report.windows
    assert bucket_bytes(URL) == wanted


def test_labels_of_others_are_replaced_only_if_it_is_asked_for(
    image: Path, wanted: dict[str, str], staging: Path, tmp_path: Path
) -> None:
    segment(image, URL, staging=tmp_path / "another machine", region=Box(0, 0, 90, 90))
    s3fs.S3FileSystem().pipe_file(f"{URL}/0/c/77/77", b"of a larger volume")
    model = Regions()
    with pytest.raises(LabelError, match="overwrite"):
        segment(image, URL, model, staging=staging)
    assert model.encodes == 0
    segment(image, URL, staging=staging, overwrite=True)
    assert bucket_bytes(URL) == wanted


@pytest.mark.parametrize("name", ["notes.txt", "deeper/notes.txt"])
def test_other_files_are_never_replaced(image: Path, staging: Path, name: str) -> None:
    s3fs.S3FileSystem().pipe_file(f"{URL}/{name}", b"mine")
    with pytest.raises(LabelError, match="other files"):
        segment(image, URL, staging=staging, overwrite=True)
    assert s3fs.S3FileSystem().cat_file(f"{URL}/{name}") == b"mine"


def test_an_image_is_never_replaced(image: Path, staging: Path) -> None:
    s3fs.S3FileSystem().put(str(image), f"{BUCKET}/image.zarr", recursive=True)
    place = f"s3://{BUCKET}/image.zarr"
    with pytest.raises(LabelError, match="their own image"):
        segment(open_image(place), place, staging=staging, overwrite=True)
    with pytest.raises(LabelError, match="no label volume"):
        segment(image, place, staging=staging, overwrite=True)
    with pytest.raises(LabelError, match="inside of the zarr store"):
        segment(image, f"{place}/labels/cells", staging=staging)


def test_a_bucket_that_is_not_there_is_told_before_any_work(
    image: Path, staging: Path
) -> None:
    model = Regions()
    with pytest.raises(LabelWriteError, match="a bucket that exists"):
        segment(image, "s3://nobodys/labels.ome.zarr", model, staging=staging)
    assert model.encodes == 0


def test_a_run_on_an_array_goes_on_with_an_equal_one(
    image: Path, staging: Path
) -> None:
    pixels, model = np.asarray(zarr.open_array(image, mode="r")), Regions()
    first = segment(open_image(pixels), URL, staging=staging)
    again = segment(open_image(pixels.copy()), URL, model, staging=staging)
    assert (again, model.encodes) == (first, 0)
