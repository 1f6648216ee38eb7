"""Many objects at once: boxes that were collected, or a file of prompts."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from session_scene import CLICK, OTHER, SQUARES, SquaresModel, on_disk

from napari_sam.errors import (
    Cancelled,
    ImageReadError,
    LabelError,
    NothingToWriteError,
    PredictorError,
    PromptError,
)
from napari_sam.labels import OverlapRule
from napari_sam.predictor.progress import WindowProgress
from napari_sam.prompt_files import ObjectPrompts
from napari_sam.prompts import BoxPrompt, Click
from napari_sam.session import Session
from napari_sam.session.objects import ObjectOutcome

BOXES = [[BoxPrompt.from_box(box)] for box in SQUARES.values()]


def ids_of(results: Iterable[ObjectOutcome]) -> list[int | None]:
    return [result.label_id for result in results]


def test_many_boxes_are_many_objects(session: Session, folder: Path) -> None:
    session.add(OTHER)
    assert ids_of(session.add_objects(BOXES)) == [1, 2, 3]
    labels = on_disk(folder)[0]
    assert [labels[16, 16], labels[16, 48], labels[48, 16]] == [1, 2, 3]
    assert session.prompts == ()
    for left in ([1, 2], [1], []):
        session.undo()
        assert [found.label_id for found in session.objects] == left
    session.undo()
    assert session.prompts == (OTHER,)


def test_objects_that_are_covered_or_unseen_get_no_id(session: Session) -> None:
    unseen = [Click(60, 60, positive=False)]
    results = session.add_objects([[CLICK], [CLICK], unseen, [OTHER]])
    assert ids_of(results) == [1, None, None, 2]
    errors = [type(result.error) for result in results]
    assert errors == [type(None), NothingToWriteError, PredictorError, type(None)]
    assert ids_of(session.add_objects([[CLICK]], OverlapRule.OVERWRITE)) == [3]


def test_objects_get_the_ids_and_planes_that_they_name(
    session: Session, folder: Path
) -> None:
    session.set_plane((1,))
    results = session.add_objects(
        [
            [CLICK],
            ObjectPrompts((CLICK,), (0,), 1),
            ObjectPrompts((OTHER,), (0,)),
            ObjectPrompts((OTHER,), (1,), 7),
        ]
    )
    assert ids_of(results) == [2, 1, 3, 7]
    first, second = on_disk(folder)
    assert [first[16, 16], first[16, 48]] == [1, 3]
    assert [second[16, 16], second[16, 48]] == [2, 7]
    assert session.plane == (1,)


def test_the_rule_that_chooses_ids_lets_no_object_name_one(session: Session) -> None:
    named = ObjectPrompts((CLICK,), (0,), 5)
    objects = [named, [CLICK], [OTHER]]
    with pytest.raises(LabelError, match="chooses the label id itself"):
        session.add_objects(objects, OverlapRule.MERGE)
    results = session.add_objects(objects, OverlapRule.MERGE, keep_going=True)
    assert ids_of(results) == [None, 1, 2]
    assert isinstance(results[0].error, LabelError)


def test_an_object_that_does_not_fit_is_named_and_nothing_changes(
    session: Session,
) -> None:
    with pytest.raises(PromptError, match=r"objects\[1\]: .*outside the image"):
        session.add_objects([[CLICK], [Click(70, 0)]])
    with pytest.raises(PromptError, match=r"objects\[0\]: .*plane"):
        session.request_objects([ObjectPrompts((CLICK,), (9,))])
    assert session.objects == ()


def test_objects_found_elsewhere_are_written_without_the_model(
    session: Session, model: SquaresModel
) -> None:
    answers = [session.compute_object(item) for item in session.request_objects(BOXES)]
    assert session.objects == ()
    model.broken = True
    results = session.add_objects(answers)
    assert ids_of(results) == [1, 2, 3]
    assert [found.box for found in session.objects] == [r.box for r in results]


def test_each_result_comes_as_soon_as_its_object_is_written(session: Session) -> None:
    counts: list[tuple[int, int]] = []
    session.add_objects(
        BOXES, on_outcome=lambda r: counts.append((r.index, len(session.objects)))
    )
    assert counts == [(0, 1), (1, 2), (2, 3)]


def test_where_it_is_to_keep_going_one_that_fails_is_reported_with_its_place(
    session: Session, model: SquaresModel
) -> None:
    seen: list[object] = []

    def break_once(progress: WindowProgress) -> None:
        seen.append(progress)
        model.broken = len(seen) == 2

    objects = [ObjectPrompts(tuple(box), (0,)) for box in BOXES]
    results = session.add_objects(objects, watch=break_once, keep_going=True)
    assert ids_of(results) == [1, None, 2]
    assert isinstance(results[1].error, ImageReadError)
    assert results[1].name.startswith("objects[1] (plane [0], at y=")


def test_an_end_on_the_way_keeps_what_was_written_where_it_is_to_keep_going(
    session: Session,
) -> None:
    def stop_at_second(result: ObjectOutcome) -> None:
        if result.index == 1:
            raise Cancelled("Enough.")

    with pytest.raises(Cancelled):
        session.add_objects(BOXES, on_outcome=stop_at_second, keep_going=True)
    assert [found.label_id for found in session.objects] == [1, 2]


def test_all_prompts_of_an_object_go_to_the_model_together(
    session: Session, model: SquaresModel
) -> None:
    session.add_objects([[CLICK, Click(17, 17), Click(18, 18)]])
    assert {len(prompts) for prompts in model.asked} == {3}


def test_many_objects_are_all_found_before_one_is_written(
    session: Session, folder: Path, model: SquaresModel
) -> None:
    session.add(CLICK)
    calls: list[Callable[..., object]] = []

    def break_later(look: object) -> None:
        calls.append(model.predict)
        model.broken = len(calls) == 2

    with pytest.raises(ImageReadError):
        session.add_objects(BOXES, watch=break_later)
    assert not on_disk(folder).any()
    assert session.prompts == (CLICK,)
