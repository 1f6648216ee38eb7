"""Steps in three parts, so that a window need not wait: request, compute, apply."""

from collections.abc import Callable
from threading import Thread

import pytest
from session_scene import (
    CLICK,
    FAR,
    OTHER,
    SquaresModel,
    events,
    shown,
    shown_after,
    unchanged,
)

from napari_sam.errors import Cancelled, ImageReadError, PromptError, SessionError
from napari_sam.predictor.progress import WindowProgress
from napari_sam.prompts import Click
from napari_sam.session import Session
from napari_sam.session.refinement import Answer, Request

NEAR = Click(18, 18)


def go(session: Session, request: Request) -> bool:
    return session.apply(session.compute(request))


def give_up(_: WindowProgress) -> None:
    raise Cancelled("Somebody clicked elsewhere.")


def test_nothing_changes_until_an_answer_is_applied(session: Session) -> None:
    heard = events(session)
    entries = len(session.labels.journal)
    answer = session.compute(session.request_prompt(CLICK))
    assert answer.candidates is not None
    assert len(answer.candidates) == 3
    assert (heard, session.prompts, len(session.labels.journal)) == ([], (), entries)
    assert session.apply(answer)
    assert heard == ["prompts", "candidates"]
    assert session.candidates is answer.candidates


@pytest.mark.parametrize(
    ("in_parts", "at_once"),
    [
        (lambda s: s.request_prompt(NEAR), lambda s: s.add(NEAR)),
        (lambda s: s.request_removal(0), lambda s: s.remove(0)),
        (lambda s: s.request_choice(2), lambda s: s.choose(2)),
        (lambda s: s.request_undo(), lambda s: s.undo()),
    ],
)
def test_a_step_in_parts_comes_to_the_same_as_at_once(
    session: Session,
    in_parts: Callable[[Session], Request],
    at_once: Callable[[Session], object],
) -> None:
    session.add(CLICK)
    assert go(session, in_parts(session))
    parted = shown(session), session.prompts, session.chosen
    session.redo() if session.can_redo else session.undo()
    at_once(session)
    assert (shown(session), session.prompts, session.chosen) == parted


def test_a_click_after_one_that_is_not_answered_keeps_both(session: Session) -> None:
    session.add(CLICK)
    session.add(NEAR)
    both = shown(session)
    session.undo()
    session.undo()
    first = session.request_prompt(CLICK)
    second = session.request_prompt(NEAR, after=first)
    assert go(session, second)
    assert session.prompts == (CLICK, NEAR)
    assert shown(session) == both
    session.undo()
    assert session.prompts == (CLICK,)


def test_a_click_after_one_that_came_through_is_added_to_it(session: Session) -> None:
    first = session.request_prompt(CLICK)
    second = session.request_prompt(NEAR, after=first)
    first_answer, second_answer = session.compute(first), session.compute(second)
    assert session.apply(first_answer)
    assert session.apply(second_answer)
    assert session.prompts == (CLICK, NEAR)
    session.undo()
    session.undo()
    assert not session.can_undo


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda s: s.add(OTHER),
        lambda s: s.undo(),
        lambda s: s.discard(),
        lambda s: s.accept(),
        lambda s: s.set_plane((1,)),
        lambda s: go(s, s.request_prompt(FAR)),
    ],
)
def test_an_answer_that_comes_too_late_is_dropped(
    session: Session, meanwhile: Callable[[Session], object]
) -> None:
    session.add(CLICK)
    answer = session.compute(session.request_prompt(NEAR))
    meanwhile(session)
    state, heard = (session.plane, session.prompts, shown(session)), events(session)
    assert not session.apply(answer)
    assert (session.plane, session.prompts, shown(session)) == state
    assert heard == []


def test_a_deletion_meanwhile_drops_no_click_but_an_undo(session: Session) -> None:
    session.add(OTHER)
    session.accept()
    session.add(CLICK)
    click = session.compute(session.request_prompt(NEAR))
    undo = session.compute(session.request_undo())
    session.delete(1)
    assert not session.apply(undo)
    assert session.apply(click)
    assert session.prompts == (CLICK, NEAR)


def test_an_undo_may_be_taken_at_once_and_answered_later(session: Session) -> None:
    before = shown_after(session, CLICK)
    session.accept()
    got: list[tuple[int, int]] = []
    session.candidates_changed.connect(lambda c, i: got.append((len(c), i)))
    assert session.apply(Answer(session.request_undo()))
    assert session.labels.label_at((0,), 16, 16) == 0
    assert session.prompts == (CLICK,)
    assert not session.is_answered
    assert go(session, session.request_candidates())
    assert session.is_answered
    assert got == [(0, 0), (3, 0)]
    assert shown(session) == before


def test_what_does_not_fit_is_refused_when_it_is_requested(session: Session) -> None:
    first = session.request_prompt(CLICK)
    with pytest.raises(PromptError, match="outside the image"):
        session.request_prompt(Click(70, 0), after=first)
    with pytest.raises(SessionError, match="prompts 0 to 0, got 1"):
        session.request_removal(1, after=first)
    with pytest.raises(SessionError, match="nothing to undo"):
        session.request_undo()


def test_threads_compute_what_the_session_would_while_it_is_read(
    session: Session,
) -> None:
    requests = [session.request_prompt(Click(4 + 2 * n, 16)) for n in range(12)]
    answers: dict[int, Answer] = {}

    def work(numbers: range) -> None:
        for number in numbers:
            answers[number] = session.compute(requests[number])

    workers = [Thread(target=work, args=(range(n, 12, 4),)) for n in range(4)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert (session.prompts, session.candidates) == ((), ())
    for number, request in enumerate(requests):
        alone = session.compute(request)
        assert answers[number].candidates is not None
        assert alone.candidates is not None
        for one, other in zip(
            answers[number].candidates, alone.candidates, strict=True
        ):
            assert (one.box, one.mask.tolist()) == (other.box, other.mask.tolist())
    assert session.apply(answers[11])
    assert session.prompts == requests[11].state.prompts


@pytest.mark.parametrize(
    "step",
    [
        lambda s: s.add(NEAR, give_up),
        lambda s: s.remove(0, give_up),
        lambda s: s.undo(give_up),
        lambda s: s.add_objects([[CLICK], [OTHER]], watch=give_up),
    ],
)
def test_a_step_that_is_given_up_changes_nothing(
    session: Session, step: Callable[[Session], object]
) -> None:
    session.add(CLICK)
    session.add(OTHER)
    entries = len(session.labels.journal)
    unchanged(session, lambda: step(session), Cancelled)
    assert len(session.labels.journal) == entries
    session.add(NEAR)
    assert session.prompts == (CLICK, OTHER, NEAR)


def test_any_error_of_a_watcher_comes_out_unharmed(session: Session) -> None:
    def fail(_: WindowProgress) -> None:
        raise KeyError("mine")

    unchanged(session, lambda: session.add(CLICK, fail), KeyError)


def test_an_answer_that_fails_leaves_its_request_to_try_again(
    session: Session, model: SquaresModel
) -> None:
    request = session.request_prompt(CLICK)
    model.broken = True
    with pytest.raises(ImageReadError):
        session.compute(request)
    model.broken = False
    assert go(session, request)


def test_a_preview_shows_what_a_click_would_give_and_encodes_nothing(
    session: Session, model: SquaresModel
) -> None:
    assert session.preview(CLICK) is None
    assert model.encodes == 0
    session.add(OTHER)
    heard, entries = events(session), len(session.labels.journal)
    seen = session.preview(NEAR)
    assert session.preview(session.request_prompt(NEAR)) is not None
    assert model.encodes == 1
    assert (heard, session.prompts) == ([], (OTHER,))
    assert len(session.labels.journal) == entries
    assert seen is not None
    session.add(NEAR)
    best = session.candidates[0]
    assert (best.box, best.mask.tolist()) == (seen.box, seen.mask.tolist())


def test_a_preview_in_another_plane_is_none_until_it_is_encoded(
    session: Session, model: SquaresModel
) -> None:
    session.add(CLICK)
    session.set_plane((1,))
    assert session.preview(CLICK) is None
    assert session.preview(FAR) is None
    session.add(CLICK)
    assert session.preview(NEAR) is not None
    assert model.encodes == 2
