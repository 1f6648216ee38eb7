"""A session begins where the last one ended, even if that was killed."""

import subprocess
import sys
from pathlib import Path

import pytest
from session_scene import CLICK, OTHER, SquaresModel, on_disk, pixels, shown

from napari_sam.errors import LabelError, LabelsLockedError, PromptError, SessionError
from napari_sam.labels import LabelGeometry, LabelStore
from napari_sam.prompts import Click
from napari_sam.session import Session


def test_reopening_goes_on(session: Session, folder: Path, model: SquaresModel) -> None:
    session.set_plane((1,))
    session.add(CLICK)
    session.accept()
    session.add(OTHER)
    session.choose(2)
    session.add(Click(18, 44))
    before = shown(session)
    session.close()
    with Session(pixels(), folder, model) as again:
        assert again.plane == (1,)
        assert again.prompts == (OTHER, Click(18, 44))
        assert shown(again) == before
        assert again.accept() == 2
        for _ in range(6):
            again.undo()
        assert not again.can_undo
        assert again.plane == (0,)
    assert not on_disk(folder).any()


def test_reopening_answers_nothing_until_it_is_asked(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    session.add(CLICK)
    session.close()
    encodes = model.encodes
    with Session(pixels(), folder, model) as again:
        assert again.prompts == (CLICK,)
        assert model.encodes == encodes
        assert len(again.candidates) == 3
        assert model.encodes == encodes + 1


KILLED = """
import os, sys
import numpy as np
sys.path.insert(0, {tests!r})
from session_scene import CLICK, OTHER, SquaresModel, pixels
from napari_sam.session import Session
session = Session(pixels(), {folder!r}, SquaresModel())
session.add(CLICK)
session.accept()
session.add(OTHER)
os._exit(9)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_a_session_to_go_on_with(
    folder: Path, model: SquaresModel
) -> None:
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 9, ended.stderr
    with Session(pixels(), folder, model) as session:
        assert session.labels.label_at((0,), 16, 16) == 1
        assert session.prompts == (OTHER,)
        assert session.accept() == 2
        session.undo()
        session.undo()
        session.undo()
        assert session.labels.label_at((0,), 16, 16) == 0


def test_two_sessions_cannot_write_the_same_labels(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    with pytest.raises(LabelsLockedError):
        Session(pixels(), folder, model)


def test_a_session_that_cannot_begin_gives_its_lock_back(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    session.labels.note("draft", {"plane": [0], "prompts": [{"box": [5]}]})
    session.close()
    with pytest.raises(PromptError):
        Session(pixels(), folder, model)
    LabelStore.open(folder).close()


def test_an_image_in_memory_needs_a_place_for_labels(model: SquaresModel) -> None:
    with pytest.raises(SessionError, match="give a path, as in Session"):
        Session(pixels(), model=model)


def test_an_open_label_store_of_another_shape_is_refused(
    tmp_path: Path, model: SquaresModel
) -> None:
    geometry = LabelGeometry.of_shape("yx", (8, 8))
    with (
        LabelStore.open(tmp_path / "other.zarr", geometry) as store,
        pytest.raises(LabelError, match="another image"),
    ):
        Session(pixels(), store, model)


def test_an_open_label_store_is_taken(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    session.close()
    with LabelStore.open(folder) as store:
        with Session(pixels(), store, model) as again:
            assert again.labels is store
            again.add(CLICK)
            assert again.accept() == 1
        assert store.next_id == 2
        store.erase(1)
