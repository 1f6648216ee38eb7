"""When something goes wrong, nothing is lost and nothing is left half-written."""

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from label_failures import (
    BOX,
    GEOMETRY,
    MASK,
    SMALL,
    assert_object_whole,
    failing_after,
    full_disk,
    levels,
    read_only,
)
from label_scenes import listing
from zarr.storage import LocalStore

from napari_sam.errors import LabelError, LabelWriteError
from napari_sam.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
    PixelsPendingError,
)

# Full disk


def test_no_room_for_the_journal_means_nothing_happened(
    store: LabelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(LabelWriteError, match="nothing was changed") as raised:
            store.add(MASK, BOX)
    assert not isinstance(raised.value, PixelsPendingError)
    assert listing(tmp_path) == before
    assert store.add(MASK, BOX).label_id == 1
    assert_object_whole(store)


@pytest.mark.parametrize("count", [0, 1, 8, 13])
def test_an_object_that_ran_out_of_room_is_completed_by_the_next_edit(
    store: LabelStore, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", failing_after(count))
        with pytest.raises(PixelsPendingError, match="safe in the journal") as raised:
            store.add(MASK, BOX)
        assert store.is_applied(raised.value.edit)
        lines = len(store.journal)
        with pytest.raises(LabelWriteError, match="still cannot be written"):
            store.undo(raised.value.edit)
        assert len(store.journal) == lines
    store.undo(raised.value.edit)
    assert not any(level.any() for level in levels(store))
    store.redo(raised.value.edit)
    assert_object_whole(store)


def test_an_object_that_ran_out_of_room_is_completed_by_reopening(
    store: LabelStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", failing_after(2))
        with pytest.raises(PixelsPendingError):
            store.add(MASK, BOX)
        store.close()
        with pytest.raises(LabelWriteError, match="safe in the journal"):
            LabelStore.open(path)
        with LabelStore.open(path, mode="r") as reader:
            assert len(reader.records()) == 1
    with LabelStore.open(path) as again:
        assert_object_whole(again)
        assert again.next_id == 2


def test_a_flush_that_fails_on_closing_is_made_up_for_on_opening(
    store: LabelStore,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.add(MASK, BOX)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "fsync", full_disk)
        store.close()
    assert "goes through the journal" in caplog.text
    with LabelStore.open(path) as again:
        assert_object_whole(again)
        assert [entry.kind for entry in again.journal.entries()][-1] == "checkpoint"


@pytest.mark.parametrize("full", ["set", "fsync", "rename"])
def test_no_room_for_a_new_volume_leaves_no_trace(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full: str
) -> None:
    with monkeypatch.context() as patch:
        if full == "set":
            patch.setattr(LocalStore, "set", failing_after(2))
        elif full == "fsync":
            patch.setattr(os, "fsync", full_disk)
        else:
            patch.setattr(Path, "rename", full_disk)
        with pytest.raises(LabelWriteError, match="No space left"):
            LabelStore.open(path, GEOMETRY, options=SMALL)
    assert list(tmp_path.iterdir()) == []
    LabelStore.open(path, GEOMETRY, options=SMALL).close()


# Places that cannot be written, or must not be


def test_a_read_only_folder_is_named(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", read_only)
        with pytest.raises(LabelWriteError, match="Allow writing there"):
            LabelStore.open(path, GEOMETRY)
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(LabelWriteError, match="need a folder"):
        LabelStore.open(tmp_path / "file" / "labels.zarr", GEOMETRY)
    assert (tmp_path / "file").read_text() == "mine"


def make_file(path: Path) -> None:
    path.write_text("mine")


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")


def make_array(path: Path) -> None:
    zarr.create_array(LocalStore(path), shape=(100, 100), dtype="u4")


def make_group(path: Path) -> None:
    zarr.create_group(LocalStore(path))


def make_image(path: Path) -> None:
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group = zarr.create_group(LocalStore(path), attributes={"ome": ome})
    group.create_array("0", data=np.ones((100, 100), dtype=np.uint8))


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("make", "found"),
    [
        (make_file, "a file"),
        (make_folder, "a folder with other files"),
        (make_array, "a zarr array"),
        (make_group, "a zarr group without"),
        (make_image, "an OME-Zarr image, not a label volume"),
    ],
)
def test_what_is_no_label_volume_is_left_alone(
    path: Path,
    tmp_path: Path,
    make: Callable[[Path], None],
    found: str,
    overwrite: bool,
) -> None:
    make(path)
    before = listing(tmp_path)
    with pytest.raises(LabelError, match=found):
        LabelStore.open(path, GEOMETRY, options=LabelOptions(overwrite=overwrite))
    assert listing(tmp_path) == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("inner", ["", "labels", "0/labels/a", "masks/a", "labels/a/b"])
def test_labels_go_only_where_an_image_has_them(path: Path, inner: str) -> None:
    make_image(path)
    before = listing(path)
    with pytest.raises(LabelError, match=r"needs? a"):
        LabelStore.open(path / inner, GEOMETRY)
    assert listing(path) == before


@pytest.mark.parametrize(
    "spelling", ["{0}", "{0}/", "{0}/0", "file://{0}", "{0}/../{1}"]
)
def test_labels_never_replace_their_own_image(store: LabelStore, spelling: str) -> None:
    store.close()
    source = spelling.format(store.path, store.path.name)
    geometry = LabelGeometry(
        "yx", (), (100, 100), (1.0, 1.0), (None, None), (0.0, 0.0), source
    )
    with pytest.raises(LabelError, match="would overwrite their own image"):
        LabelStore.open(store.path, geometry, options=LabelOptions(overwrite=True))


def test_an_empty_folder_is_a_free_place(path: Path) -> None:
    path.mkdir()
    LabelStore.open(path, GEOMETRY).close()


def test_labels_cannot_go_to_a_url() -> None:
    with pytest.raises(LabelError, match="local disk"):
        LabelStore.open("s3://bucket/labels.zarr", GEOMETRY)


def test_labels_of_another_image_are_refused_and_kept(
    store: LabelStore, path: Path, tmp_path: Path
) -> None:
    store.add(MASK, BOX)
    store.close()
    before = listing(tmp_path)
    for other in (
        LabelGeometry.of_shape("yx", (100, 101)),
        LabelGeometry.of_shape("zyx", (1, 100, 100)),
    ):
        with pytest.raises(LabelError, match="the image needs"):
            LabelStore.open(path, other)
        with pytest.raises(LabelError, match="the image needs"):
            LabelStore.open(path, other, mode="r")
    assert listing(tmp_path) == before


def test_reading_labels_that_are_not_there_makes_none(
    path: Path, tmp_path: Path
) -> None:
    with pytest.raises(LabelError, match="There are no labels"):
        LabelStore.open(path, mode="r")
    with pytest.raises(LabelError, match="Give the geometry"):
        LabelStore.open(path)
    assert list(tmp_path.iterdir()) == []
