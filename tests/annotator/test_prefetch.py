"""What is in view is encoded while nobody waits, the middle of the view first."""

from collections.abc import Callable, Iterator, Sequence
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
from annotator_scene import SquaresModel, wait_for

from napari_sam.annotator.jobs import Job, JobQueue
from napari_sam.annotator.prefetch import MOST_WINDOWS, Prefetch
from napari_sam.annotator.session_thread import SessionThread
from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.progress import ProgressCallback
from napari_sam.prompts import Click

VIEW = Box(0, 0, 1024, 1024)


class StandIn:
    """Instead of the predictor: notes the prompts, and waits to be let on."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.clicks: list[Click] = []
        self.may_answer = Event()
        self.may_answer.set()

    def predict(
        self,
        prompts: Sequence[Click],
        plane: tuple[int, ...],
        *,
        watch: ProgressCallback,
    ) -> None:
        self.clicks.append(prompts[0])
        try:
            while not self.may_answer.wait(0.005):
                watch()
        except Cancelled:
            self.log.append("cancelled")
            raise
        self.log.append("window")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()

    def predict(
        self: object,
        prompts: Sequence[Click],
        plane: tuple[int, ...],
        *,
        watch: ProgressCallback,
    ) -> None:
        made.predict(prompts, plane, watch=watch)

    monkeypatch.setattr(ImagePredictor, "predict", predict)
    return made


class Prepared:
    """A prefetch with its queue and thread."""

    def __init__(self) -> None:
        model = SquaresModel()
        model.window_size = 128
        session = SimpleNamespace(
            predictor=SimpleNamespace(model=model),
            image=open_image(np.zeros((2048, 2048), np.uint8)),
        )
        self.errors: list[BaseException] = []
        self.thread = SessionThread(self.errors.append, lambda: None)
        self.jobs = JobQueue(self.thread)
        self.prefetch = Prefetch(session, self.jobs, EmbeddingCache())

    def prepare(self, view: Box) -> None:
        self.thread.call(lambda: self.prefetch.prepare((), view))

    def submit(self, act: Callable[[], object]) -> None:
        """Something that the user wants."""
        job = Job(lambda _: act(), ignore, ignore)
        self.thread.call(lambda: self.jobs.submit(job))

    def settle(self) -> None:
        wait_for(lambda: self.thread.call(lambda: self.jobs.is_idle))

    def close(self) -> None:
        self.thread.close(self.jobs.close)
        self.thread.join()


@pytest.fixture
def prepared(stand_in: StandIn) -> Iterator[Prepared]:
    opened = Prepared()
    yield opened
    stand_in.may_answer.set()
    opened.close()
    assert opened.errors == []


def ignore(_: object) -> None:
    pass


def test_windows_are_encoded_from_the_middle_of_the_view_outwards(
    prepared: Prepared, stand_in: StandIn
) -> None:
    prepared.prepare(VIEW)
    wait_for(lambda: len(stand_in.clicks) == MOST_WINDOWS)
    prepared.settle()
    ways = [np.hypot(click.y - 512, click.x - 512) for click in stand_in.clicks]
    assert ways == sorted(ways)
    assert len(set(stand_in.clicks)) == MOST_WINDOWS
    prepared.prepare(VIEW)
    prepared.settle()
    assert len(stand_in.clicks) == MOST_WINDOWS  # they are known


def test_what_the_user_wants_cancels_it_goes_first_and_then_it_goes_on(
    prepared: Prepared, stand_in: StandIn
) -> None:
    stand_in.may_answer.clear()
    prepared.prepare(VIEW)
    wait_for(lambda: len(stand_in.clicks) == 1)
    for _ in range(2):
        prepared.submit(lambda: stand_in.log.append("user"))
    wait_for(lambda: len(stand_in.clicks) == 2)
    stand_in.may_answer.set()
    wait_for(lambda: stand_in.log.count("window") == MOST_WINDOWS)
    assert stand_in.log[:4] == ["cancelled", "user", "user", "window"]
    assert (
        stand_in.clicks[0] == stand_in.clicks[1]
    )  # it begins anew where it was cancelled


def test_another_view_replaces_the_one_before(
    prepared: Prepared, stand_in: StandIn
) -> None:
    stand_in.may_answer.clear()
    prepared.prepare(VIEW)
    wait_for(lambda: len(stand_in.clicks) == 1)
    corner = Box(1920, 1920, 2048, 2048)
    prepared.prepare(corner)
    stand_in.may_answer.set()
    wait_for(lambda: len(stand_in.clicks) == 5)
    prepared.settle()
    assert all(corner.contains_point(c.y, c.x) for c in stand_in.clicks[1:])
    assert len(stand_in.clicks) == 5


def test_nothing_is_prepared_once_it_is_closed(
    prepared: Prepared, stand_in: StandIn
) -> None:
    stand_in.may_answer.clear()
    prepared.prepare(VIEW)
    wait_for(lambda: len(stand_in.clicks) == 1)
    prepared.close()
    stand_in.may_answer.set()
    assert len(stand_in.clicks) == 1
