"""Labels are replaced only when asked, and come back from their journal."""

import logging
import shutil
from pathlib import Path

import pytest
from label_failures import (
    BOX,
    GEOMETRY,
    MASK,
    SMALL,
    assert_object_whole,
    failing_after,
    full_disk,
    levels,
)
from label_scenes import listing
from zarr.storage import LocalStore

from napari_sam.errors import LabelError, LabelWriteError
from napari_sam.geometry import Box
from napari_sam.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
    PixelsPendingError,
)

# Starting anew, and going on after a loss


def test_overwriting_starts_anew_only_when_asked(store: LabelStore, path: Path) -> None:
    store.add(MASK, BOX)
    store.close()
    with LabelStore.open(path, GEOMETRY) as again:
        assert_object_whole(again)
    options = LabelOptions(overwrite=True, coarsest_size=32)
    with LabelStore.open(path, GEOMETRY, options=options) as new:
        assert not any(level.any() for level in levels(new))
        assert (new.next_id, new.records()) == (1, [])


@pytest.mark.parametrize("moment", [0, 2, 9])
def test_overwriting_that_fails_keeps_what_was_there(
    store: LabelStore, path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    store.add(MASK, BOX)
    store.close()
    before = listing(path)
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", failing_after(moment))
        patch.setattr("napari_sam.labels.volume.sync_tree", full_disk)
        with pytest.raises(LabelWriteError):
            LabelStore.open(path, GEOMETRY, options=LabelOptions(overwrite=True))
    assert listing(path) == before
    with LabelStore.open(path) as again:
        assert_object_whole(again)
        assert len(again.records()) == 1


def test_a_volume_that_is_gone_is_written_anew_from_its_journal(
    store: LabelStore, path: Path
) -> None:
    edit = store.add(MASK, BOX, record={"score": 0.5})
    store.close()
    shutil.rmtree(path)
    with pytest.raises(LabelError, match=r"restore=True.*overwrite=True"):
        LabelStore.open(path, GEOMETRY)
    options = LabelOptions(None, False, True, 16, 32, 32)
    with LabelStore.open(path, GEOMETRY, options=options) as again:
        assert_object_whole(again)
        assert again.records()[0].record == {"score": 0.5}
        again.undo(edit)
    other = LabelGeometry.of_shape("yx", (50, 50))
    with pytest.raises(LabelError, match="the image needs"):
        LabelStore.open(path, other, options=options)


def test_a_damaged_block_is_named_and_can_be_restored(
    store: LabelStore, path: Path
) -> None:
    store.add(MASK, BOX)
    store.close()
    (path / "0" / "c" / "1" / "1").write_bytes(b"damaged")
    with LabelStore.open(path) as again:
        with pytest.raises(LabelError, match=r"are damaged .*restore=True"):
            again.label_at((), 40, 40)
        with pytest.raises(LabelError, match="restore=True"):
            again.erase(1)
        assert again.label_at((), 25, 25) == 1
    options = LabelOptions(None, False, True, 16, 32, 32)
    with LabelStore.open(path, options=options) as again:
        assert_object_whole(again)
    assert [p.name for p in path.parent.iterdir() if "drafts" in p.name] == []


def test_a_restoration_that_fails_keeps_what_was_there(
    store: LabelStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(MASK, BOX)
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr("napari_sam.labels.volume.sync_tree", full_disk)
        with pytest.raises(LabelWriteError):
            LabelStore.open(path, options=LabelOptions(restore=True))
    with LabelStore.open(path) as again:
        assert_object_whole(again)


def test_a_restoration_that_is_cut_off_goes_on_next_time(
    store: LabelStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(MASK, BOX)
    store.close()
    with monkeypatch.context() as patch:
        # The volume's metadata fit: a group, three levels; and one block.
        patch.setattr(LocalStore, "set", failing_after(5))
        with pytest.raises(LabelWriteError, match="safe in the journal"):
            LabelStore.open(path, options=LabelOptions(None, False, True, 16, 32, 32))
    with LabelStore.open(path) as again:
        assert_object_whole(again)


def test_nothing_can_be_restored_without_a_journal(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="journal that holds them from the start"):
        LabelStore.open(path, GEOMETRY, options=LabelOptions(restore=True))
    assert list(tmp_path.iterdir()) == []


def test_labels_that_lost_their_journal_go_on_without_history(
    store: LabelStore, path: Path
) -> None:
    store.add(MASK, BOX)
    store.close()
    shutil.rmtree(path.with_name(f"{path.name}.napari-sam"))
    with LabelStore.open(path) as again:
        assert_object_whole(again)
        assert (again.next_id, again.records()) == (2, [])


def test_a_journal_of_other_labels_is_kept_but_not_applied(
    store: LabelStore, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(MASK, BOX)
    store.close()
    shutil.rmtree(path)
    with LabelStore.open(tmp_path / "other.zarr", GEOMETRY, options=SMALL) as other:
        other.add(MASK[:5, :5], Box(0, 0, 5, 5), label_id=9)
    shutil.copytree(tmp_path / "other.zarr", path)
    with LabelStore.open(path, mode="r") as reader:
        assert reader.records() == []
    with caplog.at_level(logging.WARNING), LabelStore.open(path) as again:
        assert (again.label_at((), 50, 50), again.label_at((), 2, 2)) == (0, 9)
        assert again.next_id == 10
    assert "about other labels" in caplog.text
    kept = list(path.with_name(f"{path.name}.napari-sam").glob("*.jsonl"))
    assert len(kept) == 2


def test_files_that_a_killed_writer_left_half_written_are_removed(
    store: LabelStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "set", failing_after(3))
        with pytest.raises(PixelsPendingError):
            store.add(MASK, BOX)
        store.close()
    leftover = path / "0" / "c" / "0" / "1.0123abcd.partial"
    leftover.write_bytes(b"half")
    LabelStore.open(path).close()
    assert not leftover.exists()
