"""Objects go into a label volume whole, cheaply, and by the rule that was chosen."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from napari_sam.errors import LabelError, LabelsLockedError, LabelWriteError, MaskError
from napari_sam.geometry import Box
from napari_sam.tiling.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
    OverlapRule,
)

GEOMETRY = LabelGeometry.of_shape("zyx", (3, 200, 150))
SMALL = LabelOptions(chunk_size=32, shard_size=64, coarsest_size=32)


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time: only a power cut could tell."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def store(path: Path) -> Iterator[LabelStore]:
    with LabelStore.open(path, GEOMETRY, options=SMALL) as store:
        yield store


def full(box: Box) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.ones(box.shape, dtype=bool)


def add(store: LabelStore, box: Box, plane: int = 0, **options: Any) -> int:
    return store.add(full(box), box, (plane,), **options).label_id


def plane(store: LabelStore, index: int = 0) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return store.read((index,), Box.of_shape(GEOMETRY.shape))


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each block was set or deleted, by its key."""
    count: Counter[str] = Counter()

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        async def write(self: LocalStore, key: str, *rest: Any, **options: Any) -> Any:
            count[key] += 1
            return await real(self, key, *rest, **options)

        return write

    monkeypatch.setattr(LocalStore, "set", counted(LocalStore.set))
    monkeypatch.setattr(LocalStore, "delete", counted(LocalStore.delete))
    return count


# Rules


def test_by_default_older_labels_keep_their_pixels(store: LabelStore) -> None:
    assert add(store, Box(0, 0, 20, 20)) == 1
    assert add(store, Box(10, 10, 30, 30)) == 2
    assert store.label_at((0,), 15, 15) == 1
    assert store.label_at((0,), 29.9, 29.9) == 2


def test_with_overwrite_the_new_object_takes_them(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    edit = store.add(
        full(Box(10, 10, 30, 30)),
        Box(10, 10, 30, 30),
        (0,),
        rule=OverlapRule.OVERWRITE,
    )
    assert store.label_at((0,), 15, 15) == 2
    assert edit.pixels == 400


def test_with_merge_it_joins_the_object_it_overlaps_most(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    add(store, Box(0, 40, 20, 60))
    joined = add(store, Box(5, 15, 10, 50), rule=OverlapRule.MERGE)
    assert joined == 2
    assert store.label_at((0,), 7, 30) == 2
    assert store.label_at((0,), 7, 16) == 1  # the other one keeps its own


def test_with_merge_an_object_that_meets_none_is_new(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    assert add(store, Box(50, 50, 60, 60), rule=OverlapRule.MERGE) == 2


@pytest.mark.parametrize("rule", [OverlapRule.KEEP, OverlapRule.MERGE])
def test_an_object_with_nothing_left_to_write_is_refused(
    store: LabelStore, rule: OverlapRule
) -> None:
    add(store, Box(0, 0, 20, 20))
    lines = len(store.journal)
    with pytest.raises(LabelError, match="Nothing is left to write"):
        add(store, Box(5, 5, 10, 10), rule=rule)
    assert (len(store.journal), store.next_id) == (lines, 2)


def test_rules_can_be_given_by_name(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    assert add(store, Box(0, 0, 10, 10), rule="overwrite") == 2


# Ids and records


def test_an_id_is_never_given_twice(store: LabelStore, path: Path) -> None:
    first = store.add(full(Box(0, 0, 9, 9)), Box(0, 0, 9, 9), (0,))
    store.undo(first)
    assert add(store, Box(0, 0, 9, 9)) == 2
    store.erase(2)
    store.close()
    with LabelStore.open(path) as again:
        assert again.next_id == 3


def test_one_object_can_go_on_in_another_plane_under_its_id(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    assert add(store, Box(0, 0, 20, 20), plane=1, label_id=1) == 1
    assert [record.plane for record in store.records()] == [(0,), (1,)]
    assert store.erase(1).planes == ((0,), (1,))
    assert not plane(store, 0).any()
    assert not plane(store, 1).any()


def test_erasing_can_be_limited_to_a_plane(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    add(store, Box(0, 0, 20, 20), plane=1, label_id=1)
    store.erase(1, (0,))
    assert not plane(store, 0).any()
    assert plane(store, 1).any()
    assert [record.plane for record in store.records()] == [(1,)]


def test_erasing_a_part_keeps_the_record(store: LabelStore) -> None:
    add(store, Box(0, 0, 20, 20))
    edit = store.erase(1, (0,), Box(0, 0, 10, 200 - 50))
    assert edit.pixels == 200
    assert len(store.records()) == 1


def test_erasing_what_is_not_there_is_refused(store: LabelStore) -> None:
    with pytest.raises(LabelError, match="Label 7 has no pixels"):
        store.erase(7)


def test_a_record_comes_back_after_reopening(store: LabelStore, path: Path) -> None:
    said = {"points": [[1.5, 2.0, 1]], "model": "abc", "score": 0.9}
    box = Box(3, 4, 13, 24)
    add(store, box, record=said)
    store.close()
    with LabelStore.open(path) as again:
        (record,) = again.records()
    assert record.record == said
    assert (record.label_id, record.plane, record.box) == (1, (0,), box)
    assert (record.pixels, record.rule) == (200, OverlapRule.KEEP)


def test_objects_that_are_gone_have_no_record(store: LabelStore) -> None:
    undone = store.add(full(Box(0, 0, 9, 9)), Box(0, 0, 9, 9), (0,))
    store.undo(undone)
    add(store, Box(20, 20, 30, 30))
    store.erase(2)
    add(store, Box(40, 40, 50, 50))
    add(store, Box(39, 39, 51, 51), rule=OverlapRule.OVERWRITE)
    assert [record.label_id for record in store.records()] == [4]


@pytest.mark.parametrize("bad", [0, -1, 2**32])
def test_an_id_that_uint32_cannot_hold_is_refused(store: LabelStore, bad: int) -> None:
    with pytest.raises(LabelError, match="1 to 4294967295"):
        add(store, Box(0, 0, 9, 9), label_id=bad)


def test_when_ids_run_out_it_says_so(store: LabelStore) -> None:
    add(store, Box(0, 0, 9, 9), label_id=2**32 - 1)
    with pytest.raises(LabelError, match="if all are used"):
        add(store, Box(20, 20, 29, 29))


# Undo and redo


def test_undo_and_redo_are_exact_over_several_edits(store: LabelStore) -> None:
    boxes = [Box(0, 0, 70, 70), Box(30, 30, 100, 100), Box(60, 10, 90, 120)]
    states, edits = [plane(store)], []
    for box in boxes:
        edits.append(store.add(full(box), box, (0,), rule=OverlapRule.OVERWRITE))
        states.append(plane(store))
    for edit, state in zip(edits[::-1], states[-2::-1], strict=True):
        store.undo(edit)
        assert not store.is_applied(edit)
        np.testing.assert_array_equal(plane(store), state)
    for edit, state in zip(edits, states[1:], strict=True):
        store.redo(edit.sequence)
        np.testing.assert_array_equal(plane(store), state)


def test_undo_out_of_order_never_harms_a_later_object(store: LabelStore) -> None:
    first = store.add(full(Box(0, 0, 20, 20)), Box(0, 0, 20, 20), (0,))
    add(store, Box(10, 10, 30, 30), rule=OverlapRule.OVERWRITE)
    before = plane(store)
    with pytest.raises(LabelError, match="Undo the later edits first"):
        store.undo(first)
    np.testing.assert_array_equal(plane(store), before)


def test_undoing_twice_is_refused(store: LabelStore) -> None:
    edit = store.add(full(Box(0, 0, 20, 20)), Box(0, 0, 20, 20), (0,))
    store.undo(edit)
    with pytest.raises(LabelError, match="undone already"):
        store.undo(edit)
    with pytest.raises(LabelError, match="no edit"):
        store.undo(1)


def test_undo_reaches_back_beyond_reopening(store: LabelStore, path: Path) -> None:
    edit = store.add(full(Box(0, 0, 20, 20)), Box(0, 0, 20, 20), (0,))
    store.close()
    with LabelStore.open(path) as again:
        again.undo(edit)
        assert not plane(again).any()
        again.redo(edit)
        assert plane(again).any()


def test_notes_keep_their_place_among_the_edits(store: LabelStore, path: Path) -> None:
    store.note("prompts", {"points": [[1, 2, 1]]})
    add(store, Box(0, 0, 20, 20))
    store.note("prompts", {"points": []})
    store.close()
    with LabelStore.open(path) as again:
        kinds = [entry.kind for entry in again.journal.entries()]
    assert kinds == ["volume", "prompts", "add", "prompts", "checkpoint"]


def test_a_note_cannot_pass_for_an_edit(store: LabelStore) -> None:
    with pytest.raises(LabelError, match="writes entries of kind 'add' itself"):
        store.note("add", {})


# Costs


def test_an_object_touches_the_blocks_of_its_box_at_each_level_once(
    store: LabelStore, blocks: Counter[str]
) -> None:
    add(store, Box(60, 70, 68, 80), plane=1)
    assert blocks == {
        "0/c/1/0/1": 1,
        "0/c/1/1/1": 1,
        "1/c/1/0/0": 1,
        "2/c/1/0/0": 1,
        "3/c/1/0/0": 1,
    }


def test_blocks_in_its_box_that_do_not_change_are_not_written(
    store: LabelStore, blocks: Counter[str]
) -> None:
    box = Box(1, 1, 128, 128)
    mask = np.zeros(box.shape, dtype=bool)
    mask[0, 0] = mask[-1, -1] = True  # corners of a square of four blocks
    store.add(mask, box, (0,))
    assert blocks == {"0/c/0/0/0": 1, "0/c/0/1/1": 1}


def test_an_object_that_a_level_does_not_sample_leaves_it_alone(
    store: LabelStore, blocks: Counter[str]
) -> None:
    add(store, Box(1, 1, 2, 2))
    assert blocks == {"0/c/0/0/0": 1}


def test_without_shards_it_touches_chunks(path: Path, blocks: Counter[str]) -> None:
    options = LabelOptions("0.4", chunk_size=16, shard_size=64, coarsest_size=100)
    with LabelStore.open(path, GEOMETRY, options=options) as store:
        blocks.clear()
        add(store, Box(14, 20, 18, 22))
    assert blocks == {"0/0/0/1": 1, "0/0/1/1": 1, "1/0/0/0": 1}


def test_reopening_after_a_clean_close_reads_and_writes_no_block(
    store: LabelStore, path: Path, blocks: Counter[str]
) -> None:
    add(store, Box(0, 0, 20, 20))
    store.close()
    blocks.clear()
    with LabelStore.open(path) as again:
        assert len(again.journal) == 3
    assert not blocks


def test_a_huge_volume_costs_its_metadata_only(path: Path) -> None:
    geometry = LabelGeometry.of_shape("yx", (100_000, 100_000))
    with LabelStore.open(path, geometry) as store:
        shapes = [level.shape for level in store.levels]
        assert not [file for file in path.rglob("c/*")]
        box = Box(99_990, 99_990, 100_000, 100_000)
        store.add(full(box), box)
        assert store.label_at((), 99_999, 99_999) == 1
        assert [level.shards for level in store.levels][0] == (2048, 2048)
    assert shapes[0] == (100_000, 100_000)
    assert shapes[-1] == (391, 391)
    assert len(shapes) == 9


def test_a_checkpoint_comes_every_so_many_edits(
    store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam.tiling.label_writer.CHECKPOINT_EVERY", 2)
    for x in range(0, 100, 20):
        add(store, Box(0, x, 3, x + 3))
    kinds = Counter(entry.kind for entry in store.journal.entries())
    assert kinds == {"volume": 1, "add": 5, "checkpoint": 2}


def test_an_object_larger_than_a_patch_is_cut_up(
    store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam.tiling.label_rules.PATCH_SIDE", 32)
    box = Box(10, 10, 130, 140)
    edit = store.add(full(box), box, (2,))
    patches = store.journal.read(edit.sequence).data["patches"]
    assert len(patches) == 25
    assert (edit.box, edit.pixels) == (box, box.area)
    assert np.count_nonzero(plane(store, 2)) == box.area
    store.undo(edit)
    assert not plane(store, 2).any()


# One writer, many readers


def test_a_second_writer_is_told_and_a_reader_is_not(
    store: LabelStore, path: Path
) -> None:
    add(store, Box(0, 0, 20, 20))
    with pytest.raises(LabelsLockedError, match="being written by another"):
        LabelStore.open(path, GEOMETRY)
    with LabelStore.open(path, GEOMETRY, mode="r") as reader:
        assert reader.label_at((0,), 5, 5) == 1
        assert [record.label_id for record in reader.records()] == [1]
        with pytest.raises(LabelWriteError, match="open for reading only"):
            add(reader, Box(0, 0, 9, 9))
    assert add(store, Box(50, 50, 60, 60)) == 2


def test_a_reader_writes_nothing(store: LabelStore, path: Path, tmp_path: Path) -> None:
    def found() -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}

    add(store, Box(0, 0, 20, 20))
    before = found()
    LabelStore.open(path, mode="r").close()
    assert found() == before


def test_the_lock_is_free_after_closing_in_another_thread(
    store: LabelStore, path: Path
) -> None:
    thread = Thread(target=store.close)
    thread.start()
    thread.join()
    LabelStore.open(path).close()


def test_closed_labels_say_so(store: LabelStore) -> None:
    store.close()
    store.close()
    with pytest.raises(LabelWriteError, match="are closed"):
        add(store, Box(0, 0, 9, 9))


def test_threads_that_add_at_once_lose_no_object(store: LabelStore) -> None:
    def add_row(y: int) -> None:
        for x in range(0, 50, 10):
            add(store, Box(y, x, y + 5, x + 5))

    threads = [Thread(target=add_row, args=(y,)) for y in range(0, 30, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids, counts = np.unique(plane(store), return_counts=True)
    assert ids.tolist() == list(range(16))
    assert set(counts[1:].tolist()) == {25}


def test_the_arrays_for_viewers_cannot_be_painted(store: LabelStore) -> None:
    with pytest.raises(ValueError, match="read-only"):
        store.levels[0][0, 0, 0] = 5


# What does not fit


@pytest.mark.parametrize("bad", [(), (0, 0), (3,), (-1,)])
def test_a_plane_that_does_not_exist_is_refused(
    store: LabelStore, bad: tuple[int, ...]
) -> None:
    with pytest.raises(LabelError, match=r"axes 'z' of shape \(3,\)"):
        store.add(full(Box(0, 0, 9, 9)), Box(0, 0, 9, 9), bad)


def test_a_box_outside_of_the_plane_is_refused(store: LabelStore) -> None:
    with pytest.raises(LabelError, match="200 rows and 150 columns"):
        add(store, Box(195, 0, 205, 9))
    with pytest.raises(LabelError, match="reaches out"):
        store.label_at((0,), -1, 0)


def test_a_mask_that_does_not_fit_its_box_is_refused(store: LabelStore) -> None:
    box = Box(0, 0, 9, 9)
    for bad in (np.ones((9, 8), dtype=bool), np.ones((9, 9), dtype=int)):
        with pytest.raises(MaskError, match=r"bool mask of shape \(9, 9\)"):
            store.add(bad, box, (0,))
    with pytest.raises(MaskError, match="has none"):
        store.add(np.zeros((9, 9), dtype=bool), box, (0,))


def test_a_record_that_is_no_json_is_refused_before_anything_is_written(
    store: LabelStore, blocks: Counter[str]
) -> None:
    with pytest.raises(LabelError, match="plain JSON"):
        add(store, Box(0, 0, 9, 9), record={"score": np.float32(1)})
    assert not blocks
    assert store.next_id == 1


def test_levels_are_read_in_their_own_pixels(store: LabelStore) -> None:
    add(store, Box(0, 0, 200, 150))
    assert store.read((0,), Box(0, 0, 25, 19), level=3).all()
    with pytest.raises(LabelError, match="levels 0 to 3"):
        store.read((0,), Box(0, 0, 1, 1), level=4)
    with pytest.raises(LabelError, match="25 rows and 19 columns"):
        store.read((0,), Box(0, 0, 26, 19), level=3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (513, 1), (1030, 3)])
def test_thin_volumes_work(path: Path, shape: tuple[int, int]) -> None:
    box = Box.of_shape(shape)
    with LabelStore.open(path, LabelGeometry.of_shape("yx", shape)) as store:
        store.add(full(box), box)
        assert all(level[:].all() for level in store.levels)


def test_a_geometry_that_no_labels_can_have_is_refused() -> None:
    for axes, shape in (("xy", (5, 5)), ("cyx", (2, 5, 5)), ("yyx", (2, 5, 5))):
        with pytest.raises(LabelError):
            LabelGeometry.of_shape(axes, shape)
    with pytest.raises(LabelError, match="need pixels"):
        LabelGeometry.of_shape("yx", (0, 5))
    with pytest.raises(LabelError, match="pixel sizes above 0"):
        LabelGeometry("yx", (), (5, 5), (0.0, 1.0), (None, None), (0.0, 0.0))


def test_a_geometry_can_be_taken_from_an_image() -> None:
    image = SimpleNamespace(
        stack_axes="tz",
        stack_shape=(4, 3),
        shape=(20, 30),
        pixel_size={"z": 2.0, "y": 0.5, "x": 0.5},
        units={"t": "", "z": "micrometer", "y": "micrometer", "x": "micrometer"},
        translation={"x": 7.0},
        source="a.zarr",
    )
    found = LabelGeometry.of(image)
    assert found == LabelGeometry(
        "tzyx",
        (4, 3),
        (20, 30),
        (1.0, 2.0, 0.5, 0.5),
        (None, "micrometer", "micrometer", "micrometer"),
        (0.0, 0.0, 0.0, 7.0),
        "a.zarr",
    )


def test_nothing_beside_zarr_nodes_and_blocks_lies_in_the_store(
    store: LabelStore, path: Path
) -> None:
    add(store, Box(0, 0, 20, 20))
    assert set(zarr.open_group(path, mode="r")) == {"0", "1", "2", "3"}
    names = {p.name for p in path.rglob("*") if p.is_file() and "c" not in p.parts}
    assert names == {"zarr.json"}
