"""What is in view is encoded while nobody waits, the middle of the view first."""

from collections.abc import Iterator, Sequence
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
from dock_scene import SquaresModel
from pytestqt.qtbot import QtBot

from napari_sam.errors import Cancelled
from napari_sam.geometry import Box
from napari_sam.images import open_image
from napari_sam.napari_plugin.jobs import Job, Jobs
from napari_sam.napari_plugin.prefetch import MOST_WINDOWS, Prefetch
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.image import ImagePredictor
from napari_sam.predictor.progress import ProgressCallback
from napari_sam.prompts import Click

PATIENCE_MS = 10_000
VIEW = Box(0, 0, 1024, 1024)


class Asked:
    """Stands in for the predictor: notes what is asked, and waits to be let on."""

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
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    stand_in = Asked()

    def predict(
        self: object,
        prompts: Sequence[Click],
        plane: tuple[int, ...],
        *,
        watch: ProgressCallback,
    ) -> None:
        stand_in.predict(prompts, plane, watch=watch)

    monkeypatch.setattr(ImagePredictor, "predict", predict)
    return stand_in


@pytest.fixture
def jobs(qtbot: QtBot) -> Iterator[Jobs]:
    opened = Jobs()
    yield opened
    opened.close()


@pytest.fixture
def prefetch(jobs: Jobs, asked: Asked) -> Iterator[Prefetch]:
    session = SimpleNamespace(
        predictor=SimpleNamespace(model=SquaresModel()),
        image=open_image(np.zeros((2048, 2048), np.uint8)),
    )
    opened = Prefetch(session, jobs, EmbeddingCache())
    yield opened
    opened.close()


def ignore(_: object) -> None:
    pass


def users(jobs: Jobs, asked: Asked) -> None:
    """Something that the user asks for."""
    jobs.submit(Job(lambda _: asked.log.append("user"), ignore, ignore))


def test_windows_are_encoded_from_the_middle_of_the_view_outwards(
    prefetch: Prefetch, jobs: Jobs, asked: Asked, qtbot: QtBot
) -> None:
    prefetch.look_at((), VIEW)
    qtbot.waitUntil(lambda: len(asked.clicks) == MOST_WINDOWS, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: jobs.is_idle, timeout=PATIENCE_MS)
    ways = [np.hypot(click.y - 512, click.x - 512) for click in asked.clicks]
    assert ways == sorted(ways)
    assert len(set(asked.clicks)) == MOST_WINDOWS
    prefetch.look_at((), VIEW)
    qtbot.wait(50)
    assert len(asked.clicks) == MOST_WINDOWS  # they are known


def test_what_the_user_asks_for_cancels_it_goes_first_and_then_it_goes_on(
    prefetch: Prefetch, jobs: Jobs, asked: Asked, qtbot: QtBot
) -> None:
    asked.may_answer.clear()
    prefetch.look_at((), VIEW)
    qtbot.waitUntil(lambda: len(asked.clicks) == 1, timeout=PATIENCE_MS)
    users(jobs, asked)
    users(jobs, asked)
    qtbot.waitUntil(lambda: len(asked.clicks) == 2, timeout=PATIENCE_MS)
    asked.may_answer.set()
    qtbot.waitUntil(
        lambda: asked.log.count("window") == MOST_WINDOWS, timeout=PATIENCE_MS
    )
    assert asked.log[:4] == ["cancelled", "user", "user", "window"]
    assert asked.clicks[0] == asked.clicks[1]  # it begins anew where it was cancelled


def test_another_view_replaces_the_one_before(
    prefetch: Prefetch, jobs: Jobs, asked: Asked, qtbot: QtBot
) -> None:
    asked.may_answer.clear()
    prefetch.look_at((), VIEW)
    qtbot.waitUntil(lambda: len(asked.clicks) == 1, timeout=PATIENCE_MS)
    corner = Box(1920, 1920, 2048, 2048)
    prefetch.look_at((), corner)
    asked.may_answer.set()
    qtbot.waitUntil(lambda: len(asked.clicks) == 5, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: jobs.is_idle, timeout=PATIENCE_MS)
    assert all(corner.contains_point(c.y, c.x) for c in asked.clicks[1:])
    assert len(asked.clicks) == 5


def test_nothing_is_prepared_once_it_is_closed(
    prefetch: Prefetch, jobs: Jobs, asked: Asked, qtbot: QtBot
) -> None:
    asked.may_answer.clear()
    prefetch.look_at((), VIEW)
    qtbot.waitUntil(lambda: len(asked.clicks) == 1, timeout=PATIENCE_MS)
    prefetch.stop()
    asked.may_answer.set()
    qtbot.waitUntil(lambda: jobs.is_idle, timeout=PATIENCE_MS)
    qtbot.wait(50)
    assert len(asked.clicks) == 1
