"""Labelling without a window: the whole interactive loop, minus the drawing."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_sam.errors import (
    ImageError,
    ImageReadError,
    LabelError,
    LabelsLockedError,
    LabelWriteError,
    PromptError,
    SessionError,
)
from napari_sam.geometry import Box
from napari_sam.model.window_model import WindowMask
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt
from napari_sam.session import Session
from napari_sam.tiling.labels import (
    LabelGeometry,
    LabelStore,
    OverlapRule,
    PixelsPendingError,
    pyramid,
)

SQUARES = {1: Box(8, 8, 24, 24), 2: Box(8, 40, 24, 56), 3: Box(40, 8, 56, 24)}
CLICK = Click(16, 16)
OTHER = Click(16, 48)
FAR = Click(60, 60, positive=False)


def pixels() -> NDArray[np.uint8]:
    """Two planes of squares, each with a gray of its own."""
    stack = np.zeros((2, 64, 64), dtype=np.uint8)
    for value, box in SQUARES.items():
        stack[:, *box.slices] = 60 * value
    return stack


class SquaresModel:
    """Answers with squares around the last positive click, the first one best.

    A click gets three of different sizes, anything else one; each further prompt, and
    each mask prompt that comes along, makes them a pixel wider, so that an answer
    tells how it came about.
    """

    window_size = 64
    fingerprint = "squares"

    def __init__(self) -> None:
        self.encodes = 0
        self.asked: list[Sequence[Prompt]] = []
        self.broken = False

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> tuple[int, int]:
        self.encodes += 1
        return pixels_hwc.shape[0], pixels_hwc.shape[1]

    def predict(
        self, embedding: tuple[int, int], prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        if self.broken:
            raise ImageReadError("A chunk is damaged.")
        self.asked.append(prompts)
        spots = [p for p in prompts if isinstance(p, Click) and p.positive]
        center = spots[-1].pixel if spots else middle_of(prompts)
        hinted = sum(
            int(p.mask.sum()) % 5 for p in prompts if isinstance(p, MaskPrompt)
        )
        sizes = (4, 6, 8) if len(prompts) == 1 and spots else (5,)
        return [
            square(embedding, center, size + len(prompts) + hinted, 0.9 - 0.1 * index)
            for index, size in enumerate(sizes)
        ]


def middle_of(prompts: Sequence[Prompt]) -> tuple[int, int]:
    (box,) = (p.box for p in prompts if isinstance(p, BoxPrompt))
    y, x = box.center
    return int(y), int(x)


def square(
    shape: tuple[int, int], center: tuple[int, int], half: int, score: float
) -> WindowMask:
    logits = np.full(shape, -5, dtype=np.float32)
    y, x = center
    logits[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = 5
    return WindowMask(logits > 0, score, logits)


@pytest.fixture
def model() -> SquaresModel:
    return SquaresModel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "labels.ome.zarr"


@pytest.fixture
def session(folder: Path, model: SquaresModel) -> Iterator[Session]:
    with Session(pixels(), folder, model) as opened:
        yield opened


def shown(session: Session) -> list[tuple[Box, list[int]]]:
    """All that is seen of the candidates, as plain values."""
    return [(c.box, np.flatnonzero(c.mask).tolist()) for c in session.candidates]


def on_disk(folder: Path) -> NDArray[np.integer]:
    """Both planes of the labels, read by another than the session."""
    with LabelStore.open(folder, mode="r") as store:
        return np.stack([store.read((z,), Box.of_shape((64, 64))) for z in (0, 1)])


def events(session: Session) -> list[str]:
    """Names of the signals as they come."""
    heard: list[str] = []
    for name in ("prompts", "candidates", "labels", "plane"):
        signal = getattr(session, f"{name}_changed")
        signal.connect(lambda *_, name=name: heard.append(name), check_nargs=False)
    return heard


def test_a_click_is_answered_chosen_and_written(session: Session, folder: Path) -> None:
    candidates = session.add(CLICK)
    assert len(candidates) == 3
    assert session.chosen == 0
    assert session.candidate is candidates[0]
    taken = session.choose(2)
    assert session.candidate is taken
    assert session.accept() == 1
    assert session.prompts == ()
    assert session.candidates == ()
    assert session.candidate is None
    labels = on_disk(folder)
    np.testing.assert_array_equal(labels[0][taken.box.slices] == 1, taken.mask)
    assert (labels == 1).sum() == taken.mask.sum()


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


def test_another_prompt_refines_the_chosen_candidate(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    chosen = session.choose(1)
    session.add(Click(17, 17))
    hints = [p for p in model.asked[-1] if isinstance(p, MaskPrompt)]
    assert [int(hint.mask.sum()) for hint in hints] == [int(chosen.mask.sum())]
    assert session.chosen == 0


def test_undo_then_redo_shows_equal_masks(session: Session) -> None:
    states = [shown(session)]
    steps: list[Callable[[], object]] = [
        lambda: session.add(CLICK),
        lambda: session.choose(2),
        lambda: session.add(Click(18, 18)),
        lambda: session.add(FAR),
        lambda: session.remove(1),
        lambda: session.add(BoxPrompt(2, 2, 30, 30)),
    ]
    for step in steps:
        step()
        states.append(shown(session))
    for state in states[-2::-1]:
        session.undo()
        assert shown(session) == state
    for state in states[1:]:
        session.redo()
        assert shown(session) == state


def test_the_choice_is_undone_too(session: Session) -> None:
    session.add(CLICK)
    session.choose(1)
    session.undo()
    assert session.chosen == 0
    session.redo()
    assert session.chosen == 1


def test_choosing_what_is_chosen_is_no_step(session: Session) -> None:
    session.add(CLICK)
    heard = events(session)
    session.choose(0)
    assert heard == []
    session.undo()
    assert not session.can_undo


def test_an_accepted_object_is_undone_and_redone(
    session: Session, folder: Path
) -> None:
    session.add(CLICK)
    before = shown(session)
    session.accept()
    written = on_disk(folder)
    session.undo()
    assert not on_disk(folder).any()
    assert session.prompts == (CLICK,)
    assert shown(session) == before
    session.redo()
    np.testing.assert_array_equal(on_disk(folder), written)
    assert session.candidates == ()


def test_a_deleted_object_comes_back(session: Session, folder: Path) -> None:
    session.add(CLICK)
    session.accept()
    written = on_disk(folder)
    session.add(OTHER)
    session.delete(1)
    assert not on_disk(folder).any()
    assert session.prompts == (OTHER,)
    session.undo()
    np.testing.assert_array_equal(on_disk(folder), written)
    assert session.prompts == (OTHER,)


def test_undo_reaches_the_beginning(session: Session, folder: Path) -> None:
    for round_ in range(12):
        session.add(Click(5 + 4 * round_, 5))
        session.accept(rule=OverlapRule.OVERWRITE)
    written = on_disk(folder)
    for _ in range(24):
        session.undo()
    assert not session.can_undo
    assert not on_disk(folder).any()
    for _ in range(24):
        session.redo()
    assert not session.can_redo
    np.testing.assert_array_equal(on_disk(folder), written)


def test_discarding_drops_prompts_and_can_be_undone(session: Session) -> None:
    session.add(CLICK)
    session.discard()
    assert (session.prompts, session.candidates) == ((), ())
    session.undo()
    assert session.prompts == (CLICK,)
    assert len(session.candidates) == 3


def test_discarding_nothing_is_no_step(session: Session) -> None:
    session.discard()
    assert not session.can_undo


def test_a_lone_negative_click_waits_for_a_positive_one(session: Session) -> None:
    assert session.add(FAR) == ()
    assert session.candidate is None
    with pytest.raises(SessionError, match="add a click or a box first"):
        session.accept()
    assert len(session.add(CLICK)) == 1
    assert session.prompts == (FAR, CLICK)
    session.remove(1)
    assert session.candidates == ()


def test_removing_a_prompt_answers_the_others(session: Session) -> None:
    alone = shown_after(session, CLICK)
    session.add(Click(18, 18))
    session.remove(1)
    assert session.prompts == (CLICK,)
    assert shown(session) == alone


def shown_after(session: Session, prompt: Prompt) -> list[tuple[Box, list[int]]]:
    session.add(prompt)
    return shown(session)


def test_another_plane_has_its_own_prompts(session: Session, folder: Path) -> None:
    session.add(CLICK)
    session.set_plane((1,))
    assert (session.plane, session.prompts, session.candidates) == ((1,), (), ())
    session.add(OTHER)
    session.accept()
    labels = on_disk(folder)
    assert not labels[0].any()
    assert labels[1].any()
    for _ in range(3):
        session.undo()
    assert session.plane == (0,)
    assert session.prompts == (CLICK,)


def test_planes_passed_by_are_no_steps(session: Session) -> None:
    session.add(CLICK)
    session.accept()
    for plane in (1, 0, 1):
        session.set_plane((plane,))
    session.undo()
    assert session.plane == (0,)
    assert session.prompts == (CLICK,)


def test_the_same_plane_is_no_step(session: Session) -> None:
    session.set_plane((0,))
    session.set_plane([0])  # type: ignore[arg-type]
    assert not session.can_undo


def test_planes_and_clicks_of_numpy_are_taken(session: Session) -> None:
    session.set_plane(tuple(np.array([1])))
    session.add(Click(np.float32(16), np.int64(16)))
    session.accept()
    assert session.labels.label_at((1,), 16, 16) == 1


def test_signals_tell_what_changed(session: Session) -> None:
    heard = events(session)

    def after(step: Callable[[], Any]) -> list[str]:
        heard.clear()
        step()
        return list(heard)

    assert after(lambda: session.add(CLICK)) == ["prompts", "candidates"]
    assert after(lambda: session.choose(1)) == ["prompts", "candidates"]
    assert after(session.accept) == ["labels", "prompts", "candidates"]
    assert after(session.undo) == ["labels", "prompts", "candidates"]
    assert after(session.redo) == ["labels", "prompts", "candidates"]
    assert after(lambda: session.delete(1)) == ["labels"]
    assert after(lambda: session.set_plane((1,))) == ["plane"]
    session.add(CLICK)
    moved = after(lambda: session.set_plane((0,)))
    assert sorted(moved) == ["candidates", "plane", "prompts"]
    assert after(session.undo) == ["plane", "prompts", "candidates"]


def test_signals_carry_what_is_to_be_drawn(session: Session) -> None:
    got: list[tuple[Any, ...]] = []
    session.prompts_changed.connect(got.append)
    session.candidates_changed.connect(lambda c, i: got.append((len(c), i)))
    session.add(CLICK)
    session.choose(2)
    assert got == [(CLICK,), (3, 0), (CLICK,), (3, 2)]
    edits: list[Any] = []
    session.labels_changed.connect(edits.append)
    session.accept()
    assert [(edit.kind, edit.label_id) for edit in edits] == [("add", 1)]


def test_nothing_to_do_says_what_to_do(session: Session) -> None:
    with pytest.raises(SessionError, match="Nothing to accept: add a click"):
        session.accept()
    with pytest.raises(SessionError, match="nothing to undo"):
        session.undo()
    with pytest.raises(SessionError, match="nothing to redo"):
        session.redo()
    with pytest.raises(SessionError, match="no prompt to remove"):
        session.remove(0)
    with pytest.raises(SessionError, match="0 candidates to choose from"):
        session.choose(0)
    session.add(CLICK)
    with pytest.raises(SessionError, match="prompts 0 to 0, got 1"):
        session.remove(1)
    with pytest.raises(SessionError, match=r"3 candidates .* got 3"):
        session.choose(3)
    with pytest.raises(LabelError, match="Label 9"):
        session.delete(9)


def unchanged(session: Session, step: Callable[[], object], error: type) -> None:
    state = (session.plane, session.prompts, session.chosen, shown(session))
    heard = events(session)
    with pytest.raises(error):
        step()
    assert heard == []
    assert (session.plane, session.prompts, session.chosen, shown(session)) == state


@pytest.mark.parametrize("outside", [Click(64, 0), BoxPrompt(70, 0, 80, 5)])
def test_a_prompt_outside_the_image_changes_nothing(
    session: Session, outside: Prompt
) -> None:
    session.add(CLICK)
    unchanged(session, lambda: session.add(outside), PromptError)


@pytest.mark.parametrize("plane", [(2,), (-1,), (), (0, 0)])
def test_a_plane_that_does_not_exist_changes_nothing(
    session: Session, plane: tuple[int, ...]
) -> None:
    session.add(CLICK)
    unchanged(session, lambda: session.set_plane(plane), ImageError)


def test_an_answer_that_fails_changes_nothing(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    session.add(Click(18, 18))
    steps_before = len(session.labels.journal)
    model.broken = True
    unchanged(session, lambda: session.add(Click(20, 20)), ImageReadError)
    unchanged(session, lambda: session.remove(0), ImageReadError)
    assert len(session.labels.journal) == steps_before
    model.broken = False
    session.add(Click(20, 20))
    assert len(session.prompts) == 3


def test_an_undo_whose_answer_fails_is_done_and_answered_later(
    session: Session, model: SquaresModel
) -> None:
    alone = shown_after(session, CLICK)
    session.add(Click(18, 18))
    model.broken = True
    with pytest.raises(ImageReadError):
        session.undo()
    model.broken = False
    assert session.prompts == (CLICK,)
    assert shown(session) == alone


def test_a_journal_that_cannot_be_written_changes_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.add(CLICK)

    def full(*_: object, **__: object) -> None:
        raise LabelWriteError(28, "No space left")

    with monkeypatch.context() as patch:
        patch.setattr(session.labels.journal, "append", full)
        for step in (
            lambda: session.add(Click(18, 18)),
            lambda: session.choose(1),
            session.accept,
            session.undo,
        ):
            unchanged(session, step, LabelWriteError)
    assert session.accept() == 1


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


def test_prompts_in_one_window_are_encoded_once(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    session.add(Click(18, 18))
    session.undo()
    session.redo()
    assert model.encodes == 1


KILLED = """
import os, sys
import numpy as np
sys.path.insert(0, {tests!r})
from test_session import CLICK, OTHER, SquaresModel, pixels
from napari_sam.session import Session
session = Session(pixels(), {folder!r}, SquaresModel())
session.add(CLICK)
session.accept()
session.add(OTHER)
os._exit(9)
"""


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
    with pytest.raises(SessionError, match="give one, as in Session"):
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
