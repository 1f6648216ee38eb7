"""What labels cost to write, who may write them, and what does not fit into them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zarr
from label_scenes import GEOMETRY, add, full, plane_of
from zarr.storage import LocalStore

from napari_sam.errors import LabelError, LabelsLockedError, LabelWriteError, MaskError
from napari_sam.geometry import Box
from napari_sam.labels import (
    LabelGeometry,
    LabelOptions,
    LabelStore,
)

pytestmark = pytest.mark.usefixtures("no_flushing")


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
        assert not list(path.rglob("c/*"))
        box = Box(99_990, 99_990, 100_000, 100_000)
        store.add(full(box), box)
        assert store.label_at((), 99_999, 99_999) == 1
        assert store.levels[0].shards == (2048, 2048)
    assert shapes[0] == (100_000, 100_000)
    assert shapes[-1] == (391, 391)
    assert len(shapes) == 9


def test_a_checkpoint_comes_every_so_many_edits(
    store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam.labels.writer.CHECKPOINT_EVERY", 2)
    for x in range(0, 100, 20):
        add(store, Box(0, x, 3, x + 3))
    kinds = Counter(entry.kind for entry in store.journal.entries())
    assert kinds == {"volume": 1, "add": 5, "checkpoint": 2}


def test_an_object_larger_than_a_patch_is_cut_up(
    store: LabelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam.labels.edit_plans.PATCH_SIDE", 32)
    box = Box(10, 10, 130, 140)
    edit = store.add(full(box), box, (2,))
    patches = store.journal.read(edit.sequence).data["patches"]
    assert len(patches) == 25
    assert (edit.box, edit.pixels) == (box, box.area)
    assert np.count_nonzero(plane_of(store, 2)) == box.area
    store.undo(edit)
    assert not plane_of(store, 2).any()


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
    ids, counts = np.unique(plane_of(store), return_counts=True)
    assert ids.tolist() == list(range(16))
    assert set(counts[1:].tolist()) == {25}


def test_the_arrays_for_viewers_cannot_be_painted(store: LabelStore) -> None:
    with pytest.raises(ValueError, match="read-only"):
        store.levels[0][0, 0, 0] = 5


# What does not fit


@pytest.mark.parametrize("bad", [(), (0, 0), (3,), (-1,), (0.5,), ("a",)])
def test_a_plane_that_does_not_exist_is_refused(
    store: LabelStore, bad: tuple[Any, ...]
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
