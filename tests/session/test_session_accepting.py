"""Accepted candidates become labels, with ids, rules and records."""

from pathlib import Path

import pytest
from session_scene import CLICK, OTHER, on_disk, shown

from napari_sam.errors import LabelError
from napari_sam.labels import OverlapRule, PixelsPendingError, pyramid
from napari_sam.prompts import Click
from napari_sam.session import Session


def test_ids_count_up_and_can_be_given(session: Session) -> None:
    ids = []
    for label_id, prompt in ((None, CLICK), (7, OTHER), (None, Click(48, 16))):
        session.add(prompt)
        ids.append(session.accept(label_id))
    assert ids == [1, 7, 8]


def test_older_objects_are_kept_unless_the_rule_says_otherwise(
    session: Session,
) -> None:
    session.add(CLICK)
    session.accept()
    session.add(Click(16, 20))
    session.accept()
    assert session.labels.label_at((0,), 16, 16) == 1
    session.add(Click(16, 16))
    assert session.accept(rule=OverlapRule.OVERWRITE) == 3
    assert session.labels.label_at((0,), 16, 16) == 3


def test_what_cannot_be_written_stays_a_candidate(session: Session) -> None:
    session.add(CLICK)
    session.accept()
    session.add(CLICK)
    before = shown(session)
    with pytest.raises(LabelError, match="Nothing is left to write"):
        session.accept()
    assert session.prompts == (CLICK,)
    assert shown(session) == before


def test_a_record_says_how_an_object_came_about(session: Session) -> None:
    session.add(CLICK)
    session.add(Click(30, 30, positive=False))
    session.accept()
    (record,) = session.labels.records()
    assert record.plane == (0,)
    assert record.record["model"] == "squares"
    assert record.record["candidate"] == 0
    assert record.record["score"] == pytest.approx(0.9)
    assert record.record["prompts"] == {"points": [[16, 16, 1], [30, 30, 0]]}


def test_an_object_whose_pixels_are_late_is_accepted_all_the_same(
    session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.add(CLICK)
    mask = session.candidates[0].mask

    def fail(*_: object) -> None:
        raise OSError(28, "No space left")

    with monkeypatch.context() as patch:
        patch.setattr(pyramid.LabelPyramid, "apply", fail)
        with pytest.raises(PixelsPendingError):
            session.accept()
    assert session.prompts == ()
    assert session.candidates == ()
    session.add(OTHER)
    session.accept()
    assert (on_disk(folder) == 1).sum() == mask.sum()
    for _ in range(4):
        session.undo()
    assert not session.can_undo
    assert not on_disk(folder).any()
