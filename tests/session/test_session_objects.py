"""What is done to accepted objects: edited, merged, painted, listed, many at once."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from session_scene import (
    CLICK,
    OTHER,
    SQUARES,
    SquaresModel,
    events,
    on_disk,
    pixels,
    shown,
)

from napari_sam.errors import LabelError, MaskError, SessionError
from napari_sam.geometry import Box
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt
from napari_sam.session import Session

BOXES = [[BoxPrompt.from_box(box)] for box in SQUARES.values()]


def accepted(session: Session, *clicks: Click) -> list[int]:
    ids = []
    for click in clicks:
        session.add(click)
        ids.append(session.accept())
    return ids


def where(folder: Path, label_id: int) -> NDArray[np.bool_]:
    return on_disk(folder)[0] == label_id


def full(session: Session) -> NDArray[np.bool_]:
    """The chosen candidate over the whole plane."""
    candidate, mask = session.candidate, np.zeros((64, 64), dtype=bool)
    assert candidate is not None
    mask[candidate.box.slices] = candidate.mask
    return mask


def test_an_edited_object_begins_as_it_is_and_asks_no_model(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    accepted(session, CLICK)
    answers = len(model.asked)
    candidate = session.edit(1)
    assert len(model.asked) == answers
    np.testing.assert_array_equal(full(session), where(folder, 1))
    assert session.target == 1
    assert isinstance(session.prompts[0], MaskPrompt)
    assert candidate.complete


def test_an_object_larger_than_a_window_is_edited_through_windows(
    tmp_path: Path, model: SquaresModel
) -> None:
    box = Box(0, 0, 200, 200)
    image = np.zeros((200, 200), dtype=np.uint8)
    with Session(image, tmp_path / "labels.zarr", model) as session:
        session.paint(np.full(box.shape, 3), box)
        assert session.edit(3).box == box
        session.add(Click(100, 100))
        assert session.candidates
    assert model.shapes
    assert all(max(shape) <= model.window_size for shape in model.shapes)


def test_accepting_an_edit_replaces_exactly_that_object(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    accepted(session, CLICK, OTHER)
    before = on_disk(folder)
    session.edit(1)
    session.add(Click(16, 44))
    assert any(isinstance(p, MaskPrompt) for p in model.asked[-1])
    wanted = full(session)
    assert (wanted & (before[0] == 2)).any()
    assert (~wanted & (before[0] == 1)).any()
    assert session.accept() == 1
    np.testing.assert_array_equal(where(folder, 1), wanted)
    np.testing.assert_array_equal(where(folder, 2), (before[0] == 2) & ~wanted)
    assert (session.target, session.prompts) == (None, ())
    session.undo()
    np.testing.assert_array_equal(on_disk(folder), before)
    assert session.target == 1
    session.redo()
    np.testing.assert_array_equal(where(folder, 1), wanted)


def test_an_edit_survives_reopening(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    accepted(session, CLICK)
    session.edit(1)
    session.add(Click(20, 20))
    before = shown(session)
    session.close()
    with Session(pixels(), folder, model) as again:
        assert again.target == 1
        assert shown(again) == before
        assert again.accept() == 1
        (found,) = again.objects
        again.undo()
        for _ in range(4):
            again.undo()
        assert not again.can_undo
    assert found.label_id == 1
    assert not on_disk(folder).any()


def test_an_edit_leaves_one_record_which_is_the_new_one(session: Session) -> None:
    accepted(session, CLICK)
    session.edit(1)
    session.add(Click(20, 20))
    session.accept()
    (record,) = session.labels.records()
    assert record.record["prompts"]["points"] == [[20, 20, 1]]
    assert record.pixels == session.labels.area(1)
    session.undo()
    (record,) = session.labels.records()
    assert record.record["prompts"]["points"] == [[16, 16, 1]]


def test_an_edit_without_a_change_has_nothing_to_write(session: Session) -> None:
    accepted(session, CLICK)
    session.edit(1)
    with pytest.raises(LabelError, match="exactly these pixels"):
        session.accept()
    assert session.target == 1


def test_the_prompts_of_an_edit_belong_to_its_object(session: Session) -> None:
    accepted(session, CLICK, OTHER)
    session.edit(1)
    with pytest.raises(SessionError, match="change object 1, got label_id=2"):
        session.accept(2)
    session.discard()
    assert session.target is None
    session.undo()
    session.remove(0)
    assert (session.target, session.candidates) == (None, ())


def test_an_edit_needs_pixels_in_the_plane(session: Session) -> None:
    accepted(session, CLICK)
    with pytest.raises(SessionError, match="no pixels of object 7"):
        session.edit(7)
    session.set_plane((1,))
    with pytest.raises(SessionError, match=r"object 1 in plane \(1,\)"):
        session.edit(1)
    assert session.target is None


def test_an_object_from_before_the_journal_is_edited_by_its_box(
    tmp_path: Path, model: SquaresModel
) -> None:
    folder = tmp_path / "old.zarr"
    geometry = LabelGeometry.of_shape("zyx", (2, 64, 64))
    with LabelStore.open(folder, geometry) as store:
        store.add(np.ones((4, 4), dtype=bool), Box(2, 2, 6, 6), (0,), label_id=9)
        journal = store.journal.path
    journal.unlink()
    with Session(pixels(), folder, model) as session:
        with pytest.raises(SessionError, match="give its box"):
            session.edit(9)
        assert session.edit(9, Box(0, 0, 20, 20)).box == Box(2, 2, 6, 6)


def test_merging_adds_the_free_pixels_to_an_object(
    session: Session, folder: Path
) -> None:
    accepted(session, CLICK, OTHER)
    before = on_disk(folder)[0]
    session.add(Click(20, 20))
    wanted = full(session)
    assert session.merge_into(2) == 2
    after = on_disk(folder)[0]
    np.testing.assert_array_equal(after == 1, before == 1)
    np.testing.assert_array_equal(after == 2, (before == 2) | (wanted & (before == 0)))
    session.undo()
    np.testing.assert_array_equal(on_disk(folder)[0], before)
    with pytest.raises(SessionError, match="no object 7"):
        session.merge_into(7)
    assert session.prompts == (Click(20, 20),)


def test_painting_is_one_step_whatever_is_painted(
    session: Session, folder: Path
) -> None:
    accepted(session, CLICK, OTHER)
    session.add(Click(48, 16))
    before, box = on_disk(folder)[0], Box(10, 10, 30, 50)
    painted = before[box.slices].copy()
    painted[:4] = 0
    painted[4:8, :20] = 2
    painted[8:10] = 7
    heard = events(session)
    edit = session.paint(painted, box)
    assert edit is not None
    assert (edit.kind, edit.label_id, heard) == ("paint", 0, ["labels"])
    after = on_disk(folder)[0]
    np.testing.assert_array_equal(after[box.slices], painted)
    after[box.slices] = before[box.slices]
    np.testing.assert_array_equal(after, before)
    assert session.prompts == (Click(48, 16),)
    assert session.labels.next_id == 8
    session.undo()
    np.testing.assert_array_equal(on_disk(folder)[0], before)
    session.redo()
    np.testing.assert_array_equal(on_disk(folder)[0][box.slices], painted)


def test_painting_what_is_there_is_no_step(session: Session) -> None:
    assert session.paint(np.zeros((3, 3), dtype=int), Box(0, 0, 3, 3)) is None
    assert not session.can_undo


@pytest.mark.parametrize(
    ("labels_hw", "box", "error"),
    [
        (np.zeros((2, 2)), Box(0, 0, 2, 2), MaskError),
        (np.zeros((2, 3), dtype=int), Box(0, 0, 2, 2), MaskError),
        (np.full((2, 2), -1), Box(0, 0, 2, 2), LabelError),
        (np.full((2, 2), 2**32), Box(0, 0, 2, 2), LabelError),
        (np.ones((2, 2), dtype=int), Box(63, 0, 65, 2), LabelError),
        ([[1, 1], [1, 1]], Box(0, 0, 2, 2), MaskError),
    ],
)
def test_paint_that_cannot_be_changes_nothing(
    session: Session,
    folder: Path,
    labels_hw: NDArray[np.integer],
    box: Box,
    error: type,
) -> None:
    with pytest.raises(error):
        session.paint(labels_hw, box)
    assert not session.can_undo
    assert not on_disk(folder).any()


def test_a_painted_object_is_listed_edited_and_deleted(
    session: Session, folder: Path
) -> None:
    box = Box(50, 40, 54, 48)
    session.paint(np.full(box.shape, 5), box, (1,))
    (found,) = session.objects
    assert (found.label_id, found.planes, found.box) == (5, ((1,),), box)
    assert (found.area, found.score) == (32, None)
    session.set_plane((1,))
    assert session.edit(5).box == box
    session.discard()
    session.delete(5)
    assert session.objects == ()
    assert not on_disk(folder).any()


def test_records_add_up_the_parts_of_an_object(session: Session) -> None:
    accepted(session, CLICK, OTHER)
    session.set_plane((1,))
    session.add(CLICK)
    session.accept(1)
    first, second = session.objects
    assert (first.label_id, first.planes) == (1, ((0,), (1,)))
    assert first.area == session.labels.area(1)
    assert first.score == pytest.approx(0.9)
    assert (second.label_id, second.planes) == (2, ((0,),))


def test_records_follow_what_is_taken_back_and_erased(
    session: Session, folder: Path
) -> None:
    accepted(session, CLICK, OTHER)
    session.delete(1)
    assert [found.label_id for found in session.objects] == [2]
    session.undo()
    assert [found.label_id for found in session.objects] == [1, 2]
    session.paint(np.zeros((64, 32), dtype=np.uint8), Box(0, 0, 64, 32))
    assert [found.label_id for found in session.objects] == [2]
    (found,) = session.objects
    assert found.area == int(where(folder, 2).sum())
