"""Windows in view are encoded while nobody waits, so that the next click is quick.

One window a job, the nearest to the middle of the view first; each job is cancelled as
soon as the user wants something, and it goes on when the queue is idle again.
"""

from __future__ import annotations

from napari_sam.annotator.jobs import Job, JobQueue, Urgency
from napari_sam.annotator.state import Plane
from napari_sam.geometry import Box
from napari_sam.predictor import EmbeddingCache, ImagePredictor, PredictorOptions
from napari_sam.prompts import Click
from napari_sam.session import Session

TOPIC = "prefetch"

MOST_WINDOWS = 16
"""A view that shows more than this is prepared in its middle only."""

Spot = tuple[Plane, float, float]


class Prefetch:
    """Predicts at points in view, one window each, for the embeddings they leave.

    Parameters
    ----------
    session
        Of the image.
    jobs
        Where it is done, after all else.
    cache
        That is to be filled: the one of the session's predictor.
    """

    def __init__(self, session: Session, jobs: JobQueue, cache: EmbeddingCache) -> None:
        one_window = PredictorOptions(max_windows=1)
        model = session.predictor.model
        self._side = model.window_size
        self._predictor = ImagePredictor(
            model, session.image, cache=cache, options=one_window
        )
        self._jobs = jobs
        self._shape = session.image.shape
        self._waiting: list[Spot] = []
        self._prepared: set[Spot] = set()
        self._is_stuck = False
        jobs.when_idle = self._go_on

    def prepare(self, plane: Plane, view: Box | None) -> None:
        """Prepare what is in view, instead of what was."""
        spots = [] if view is None else self._spots(plane, view)
        self._waiting = [spot for spot in spots if spot not in self._prepared]
        self._is_stuck = False
        if self._jobs.is_idle:
            self._go_on()

    def _spots(self, plane: Plane, view: Box) -> list[Spot]:
        """Points half a window apart, so that every pixel in view has a window."""
        image = Box.of_shape(self._shape)
        if not view.intersects(image):
            return []
        shown = view.clip(image)
        step = max(self._side // 2, 1)
        middles = [
            [
                min(k * step + step / 2, side - 1)
                for k in range(low // step, -(-high // step))
            ]
            for low, high, side in (
                (shown.y0, shown.y1, self._shape[0]),
                (shown.x0, shown.x1, self._shape[1]),
            )
        ]
        y, x = shown.center
        rows = sorted(middles[0], key=lambda at: abs(at - y))[:MOST_WINDOWS]
        columns = sorted(middles[1], key=lambda at: abs(at - x))[:MOST_WINDOWS]
        spots = [(plane, row, column) for row in rows for column in columns]
        spots.sort(key=lambda spot: (spot[1] - y) ** 2 + (spot[2] - x) ** 2)
        return spots[:MOST_WINDOWS]

    def _go_on(self) -> None:
        if self._is_stuck or not self._waiting:
            return
        plane, y, x = spot = self._waiting[0]
        predictor = self._predictor
        self._jobs.submit(
            Job(
                lambda watch: predictor.predict([Click(y, x)], plane, watch=watch),
                done=lambda _: self._on_done(spot),
                failed=lambda _: self._on_failed(),
                topic=TOPIC,
                urgency=Urgency.PREFETCH,
            )
        )

    def _on_done(self, spot: Spot) -> None:
        self._prepared.add(spot)
        self._waiting = [other for other in self._waiting if other != spot]
        # The queue, idle now, brings the next one.

    def _on_failed(self) -> None:
        # The user will see it if a prompt fails; a guess is not worth a message.
        self._is_stuck = True
