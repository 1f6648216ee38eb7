"""The mask that a click would give, under a mouse that rests or wanders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam.errors import Cancelled, PromptError, SamError
from napari_sam.jupyter_widget.worker import Job, JobWatch, Urgency
from napari_sam.predictor.cache import EmbeddingCache
from napari_sam.predictor.candidates import Candidate, PredictorOptions
from napari_sam.predictor.image import ImagePredictor
from napari_sam.prompts import Click
from napari_sam.session import Session
from napari_sam.session.refinement import Request

if TYPE_CHECKING:
    from napari_sam.jupyter_widget.workspace import Workspace

TOPIC = "hover"


@dataclass(slots=True)
class Hovering:
    """Shows previews; all of it on the desk, but for what the worker computes."""

    workspace: Workspace
    cache: EmbeddingCache
    is_on: bool = False

    def set_on(self, is_on: bool) -> None:
        """Turn it on or off."""
        self.is_on = is_on
        if not is_on:
            self.workspace.worker.cancel(TOPIC)
            self.show(None)

    def at(self, plane: tuple[int, ...], click: Click | None) -> None:
        """The mouse is here now; None: nowhere."""
        workspace = self.workspace
        session, worker = workspace.session, workspace.worker
        if not self.is_on or click is None:
            worker.cancel(TOPIC)
            self.show(None)
            return
        if workspace.asking.is_pending or worker.is_busy_for_user:
            return
        if not session.prompts:
            session.set_plane(plane)
        if plane != session.plane:
            # A preview refines the candidate, which is about one plane.
            self.show(None)
            return
        try:
            request = session.request_prompt(click)
        except PromptError:  # beside the image
            self.show(None)
            return
        worker.submit(
            Job(
                lambda watch: self._look(session, request, watch),
                done=self.show,
                failed=lambda _: self.show(None),
                topic=TOPIC,
                urgency=Urgency.HOVER,
            )
        )

    def show(self, candidate: Candidate | None) -> None:
        """Draw this, or nothing."""
        self.workspace.stage.show_preview(candidate if self.is_on else None)

    def _look(
        self, session: Session, request: Request, watch: JobWatch
    ) -> Candidate | None:
        """On the worker: what is encoded already, else encode the window there."""
        found = session.preview(request)
        click = request.draft.prompts[-1]
        if found is None and isinstance(click, Click) and click.positive:
            one_window = ImagePredictor(
                session.predictor.model,
                session.image,
                cache=self.cache,
                options=PredictorOptions(max_windows=1),
            )
            try:
                one_window.predict([click], request.draft.plane, watch=watch)
            except Cancelled:
                raise
            except SamError:  # the click itself will say so
                return None
            found = session.preview(request)
        return found
