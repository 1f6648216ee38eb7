"""A run beside a session's labels: found, put in without harm, gone on with."""

import csv
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import zarr
from merge_scene import (
    ASKED,
    SIZE,
    WHOLE,
    Stopping,
    found_in,
    labels_in,
    merge,
    nothing,
    session_on,
)
from run_scene import SHAPE, Regions, assert_same_objects, opened, scene, truth
from run_scene import write_image as stored

from napari_sam.annotator import run_merge, undo
from napari_sam.annotator.run_merge import (
    RegionRequest,
    all_planes,
    find_objects,
    forget_run,
    run_location,
    unfinished_run,
)
from napari_sam.annotator.undo import UndoRun
from napari_sam.errors import Cancelled, LabelError
from napari_sam.geometry import Box
from napari_sam.labels import Edit, LabelStore
from napari_sam.session import Session


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with session_on(stored(tmp_path / "image.zarr", scene()), tmp_path) as opened_one:
        yield opened_one


def test_all_that_was_found_goes_in_and_the_run_is_forgotten(session: Session) -> None:
    merging = merge(session)
    assert_same_objects(labels_in(session), truth())
    assert merging.count == truth().max()
    forget_run(session)
    assert unfinished_run(session) is None
    assert not run_location(session).path.exists()
    assert not run_location(session).folder.exists()


def test_each_object_keeps_the_score_that_it_was_found_with(session: Session) -> None:
    merging = merge(session)
    with merging.report.objects_file.open() as file:
        found = {(row["y0"], row["x0"]): row["score"] for row in csv.DictReader(file)}
    summaries = session.objects
    assert len(summaries) == len(found)
    for summary in summaries:
        score = found[str(summary.box.y0), str(summary.box.x0)]
        assert summary.score == pytest.approx(float(score))
    scores = {record.record["score"] for record in session.labels.records()}
    assert scores == {summary.score for summary in summaries}


def test_objects_that_are_there_stay_and_get_no_rim(session: Session) -> None:
    wanted = truth()
    inner = np.where(wanted == 1, 1, 0).astype(np.uint32)
    rows = np.flatnonzero(inner.any(axis=1))
    inner[rows[-2:]] = 0  # a rim is left over
    session.paint(inner, WHOLE)
    session.paint(np.full((3, 3), 2, np.uint32), Box(0, 0, 3, 3))
    merging = merge(session)
    labels = labels_in(session)
    np.testing.assert_array_equal(labels == 1, inner == 1)
    assert (labels[:3, :3] == 2).all()
    assert merging.count == wanted.max() - 1


def test_a_found_object_keeps_what_is_free_of_it(session: Session) -> None:
    wanted = truth()
    rows = np.flatnonzero((wanted == 1).any(axis=1))
    corner = np.where(wanted == 1, 9, 0).astype(np.uint32)
    corner[rows[4] :] = 0
    session.paint(corner, WHOLE)
    merge(session)
    of_first = labels_in(session)[wanted == 1]
    assert (of_first == 9).sum() == (corner == 9).sum()
    assert len(set(of_first.tolist())) == 2
    assert 0 not in of_first


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_merge, "BLOCK", 128)


@pytest.mark.usefixtures("small_blocks")
def test_all_blocks_of_a_run_are_one_step_for_undo(session: Session) -> None:
    session.paint(np.full((3, 3), 7, np.uint32), Box(0, 0, 3, 3))
    before = labels_in(session)
    merging = merge(session)
    assert len(merging.blocks) == 6
    after = labels_in(session)
    told: list[Edit] = []
    session.labels_changed.connect(told.append)
    session.undo()
    np.testing.assert_array_equal(labels_in(session), before)
    assert len(told) == 6
    session.redo()
    np.testing.assert_array_equal(labels_in(session), after)
    assert len(told) == 12
    session.undo()
    session.undo()
    assert not labels_in(session).any()
    assert not session.can_undo


@pytest.mark.usefixtures("small_blocks")
def test_what_the_user_did_between_two_blocks_is_a_step_of_its_own(
    session: Session,
) -> None:
    with closing(found_in(session)) as merging:
        for block in merging.blocks[:3]:
            merging.write(session, block)
        half = labels_in(session)
        session.paint(np.full((3, 3), 99, np.uint32), Box(0, 0, 3, 3))
        for block in merging.blocks[3:]:
            merging.write(session, block)
    session.undo()
    assert labels_in(session)[0, 0] == 99
    session.undo()
    np.testing.assert_array_equal(labels_in(session), half)
    session.undo()
    assert not labels_in(session).any()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("undone", [1, 3])
def test_an_undo_that_a_crash_cut_short_is_gone_on_with(
    tmp_path: Path, undone: int
) -> None:
    image = stored(tmp_path / "image.zarr", scene())
    with session_on(image, tmp_path) as session:
        merge(session)
        whole = labels_in(session)
        entries = list(session.labels.journal.entries())
    blocks = [entry.sequence for entry in entries if entry.kind == "paint"]
    with LabelStore.open(tmp_path / "cells.ome.zarr") as store:
        for edit in reversed(blocks[-undone:]):
            store.undo(edit)
    with session_on(image, tmp_path) as session:
        assert labels_in(session).any()
        session.undo()
        assert not labels_in(session).any()
        session.redo()
        np.testing.assert_array_equal(labels_in(session), whole)


@pytest.mark.usefixtures("small_blocks")
def test_an_undo_that_fails_half_way_shows_what_is_undone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(session)
    undo, calls = session.labels.undo, count()

    def undo_twice(edit: Edit | int) -> Edit:
        if next(calls) == 2:
            raise LabelError("a later edit is in the way")
        return undo(edit)

    told: list[Edit] = []
    session.labels_changed.connect(told.append)
    with monkeypatch.context() as patch:
        patch.setattr(session.labels, "undo", undo_twice)
        with pytest.raises(LabelError, match="in the way"):
            session.undo()
    assert len(told) == 2
    assert labels_in(session).any()
    session.undo()
    assert not labels_in(session).any()
    assert len(told) == 6


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A while is over at once: one edit at a time."""
    monkeypatch.setattr(undo, "CHUNK_S", -1.0)


@pytest.mark.usefixtures("small_blocks", "hasty")
def test_the_undo_of_a_run_can_be_left_and_gone_on_with(session: Session) -> None:
    merge(session)
    whole = labels_in(session)
    told: list[Edit] = []
    session.labels_changed.connect(told.append)
    given_up = Event()
    run = UndoRun(session, is_undo=True, is_given_up=given_up.is_set)
    assert run.go_on()
    assert run.go_on()
    given_up.set()
    assert not run.go_on()
    assert len(told) == 2
    assert labels_in(session).any()
    rest = UndoRun(session, is_undo=True, is_given_up=Event().is_set)
    assert [rest.go_on() for _ in range(4)] == [True, True, True, False]
    assert not labels_in(session).any()
    again = UndoRun(session, is_undo=False, is_given_up=Event().is_set)
    while again.go_on():
        pass
    np.testing.assert_array_equal(labels_in(session), whole)
    assert len(told) == 12


@pytest.mark.usefixtures("small_blocks", "hasty")
def test_the_first_chunk_of_an_undo_is_done_though_it_was_given_up(
    session: Session,
) -> None:
    merge(session)
    told: list[Edit] = []
    session.labels_changed.connect(told.append)
    given_up = Event()
    given_up.set()
    run = UndoRun(session, is_undo=True, is_given_up=given_up.is_set)
    assert not run.go_on()
    assert not run.go_on()
    assert len(told) == 1


@pytest.mark.usefixtures("small_blocks", "hasty")
def test_an_undo_ends_where_something_else_is_done_in_between(session: Session) -> None:
    merge(session)
    run = UndoRun(session, is_undo=True, is_given_up=Event().is_set)
    assert run.go_on()
    session.paint(np.full((3, 3), 99, np.uint32), Box(0, 0, 3, 3))
    assert not run.go_on()
    assert labels_in(session)[0, 0] == 99


def test_where_there_is_no_step_nothing_is_undone(session: Session) -> None:
    for is_undo in (True, False):
        run = UndoRun(session, is_undo=is_undo, is_given_up=Event().is_set)
        assert not run.go_on()


def test_a_cancelled_run_goes_on_where_it_was(tmp_path: Path) -> None:
    model = Regions()
    session = session_on(stored(tmp_path / "image.zarr", scene()), tmp_path, model)
    whole = Regions()
    with session_on(tmp_path / "image.zarr", tmp_path / "other", whole) as other:
        merge(other)
    with pytest.raises(Cancelled):
        find_objects(session, ASKED, nothing, Stopping(20))
    left = unfinished_run(session)
    assert left is not None
    assert 0 < left.tiles_done < left.tile_count
    assert left.request == ASKED
    session.close()
    before = model.encodes
    with session_on(tmp_path / "image.zarr", tmp_path, model) as again:
        left = unfinished_run(again)
        assert left is not None
        assert left.fits_image
        assert left.fits_model
        merge(again, left.request)
        assert_same_objects(labels_in(again), truth())
    assert model.encodes - before < whole.encodes


def test_what_is_found_but_not_put_in_is_not_found_again(tmp_path: Path) -> None:
    model = Regions()
    image = stored(tmp_path / "image.zarr", scene())
    with session_on(image, tmp_path, model) as session:
        find_objects(session, ASKED, nothing, nothing)
        encodes = model.encodes
        left = unfinished_run(session)
        assert left is not None
        assert left.tiles_done == left.tile_count
        merge(session)
        assert model.encodes == encodes
        assert_same_objects(labels_in(session), truth())


def test_a_merge_that_was_cut_short_goes_on_with_the_same_ids(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_merge, "BLOCK", 64)
    merging = found_in(session)
    for block in merging.blocks[: len(merging.blocks) // 2]:
        merging.write(session, block)
    merging.close()
    session.paint(np.full((2, 2), session.labels.next_id, np.uint32), Box(0, 0, 2, 2))
    again = merge(session)
    labels = labels_in(session)
    assert again.count == truth().max()
    labels[:2, :2] = 0
    assert_same_objects(labels, truth())


def test_ids_whose_pixels_a_kill_prevented_are_given_anew(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    merging = found_in(session)
    with monkeypatch.context() as patch:
        patch.setattr(Session, "paint", killed)
        with pytest.raises(KeyboardInterrupt):
            merging.write(session, merging.blocks[0])
    merging.close()
    session.paint(np.full((2, 2), 1, np.uint32), Box(0, 0, 2, 2))
    merge(session)
    labels = labels_in(session)
    assert (labels == 1).sum() == 4
    labels[:2, :2] = 0
    assert_same_objects(labels, truth())


def test_a_part_of_some_planes_leaves_the_others_alone(tmp_path: Path) -> None:
    planes = np.stack([scene(seed=seed) for seed in range(3)])
    image = stored(tmp_path / "image.zarr", planes)
    with session_on(image, tmp_path) as session:
        assert all_planes(session) == ((0,), (1,), (2,))
        part = Box(0, 0, SHAPE[0], 170)
        merge(session, RegionRequest(((0,), (2,)), part, SIZE))
        for z in (0, 2):
            labels = labels_in(session, (z,))
            assert not labels[:, 170:].any()
            np.testing.assert_array_equal(
                labels[:, :170] > 0, truth(seed=z)[:, :170] > 0
            )
        assert not labels_in(session, (1,)).any()
        first, last = labels_in(session, (0,)), labels_in(session, (2,))
        assert not set(np.unique(first)[1:]) & set(np.unique(last)[1:])


def test_a_run_of_another_model_is_known_for_one(tmp_path: Path) -> None:
    image = stored(tmp_path / "image.zarr", scene())
    with session_on(image, tmp_path) as session, pytest.raises(Cancelled):
        find_objects(session, ASKED, nothing, Stopping(20))
    with session_on(image, tmp_path, Regions(fingerprint="other")) as session:
        left = unfinished_run(session)
        assert left is not None
        assert left.fits_image
        assert not left.fits_model
        merge(session)
        assert_same_objects(labels_in(session), truth())


def test_windows_that_failed_are_tried_again(tmp_path: Path) -> None:
    model = Regions(failing={3})
    image = stored(tmp_path / "image.zarr", scene())
    with session_on(image, tmp_path, model) as session:
        merging = merge(session)
        (failure,) = merging.report.failures
        assert failure.reason == "the device is gone"
        left = unfinished_run(session)
        assert left is not None
        assert left.failures == (failure,)
        merge(session, left.request)
        np.testing.assert_array_equal(labels_in(session) > 0, truth() > 0)


def test_labels_inside_an_image_keep_their_journal_when_a_run_is_forgotten(
    tmp_path: Path,
) -> None:
    group = zarr.create_group(tmp_path / "image.ome.zarr", zarr_format=3)
    group.create_array("0", data=scene())
    dataset = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0]}],
    }
    axes = [{"name": name, "type": "space"} for name in "yx"]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": axes, "datasets": [dataset]}],
    }
    image = tmp_path / "image.ome.zarr"
    place = image / "labels" / "cells"
    with Session(opened(image), place, Regions()) as session:
        merge(session)
        forget_run(session)
        assert list((image / "labels").iterdir()) != []
        assert sorted(p.name for p in (image / "labels").iterdir() if p.is_dir()) == [
            "cells"
        ]
    with Session(opened(image), place, Regions()) as session:
        assert len(session.objects) == truth().max()
        session.undo()
        assert session.objects == ()
