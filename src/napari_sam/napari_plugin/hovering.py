"""The mask that a click would give, under a mouse that rests or wanders.

Only where the window is encoded already: a preview never makes anybody wait.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import PromptError
from napari_sam.napari_plugin.jobs import Job, Jobs, Urgency
from napari_sam.napari_plugin.screen import Workspace
from napari_sam.predictor.candidates import Candidate
from napari_sam.prompts import Click

TOPIC = "hover"


class Hovering:
    """Draws previews into a workspace.

    Parameters
    ----------
    workspace
        Where the mouse is.
    jobs
        Which decode.
    is_on
        Whether to begin with it.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs, *, is_on: bool) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._is_on = is_on
        self.world: NDArray[np.float64] | None = None

    def set_on(self, is_on: bool) -> None:
        """Turn it on or off."""
        self._is_on = is_on
        if not is_on:
            self._jobs.cancel(TOPIC)
            self._workspace.preview.draw(None)

    def at(self, world: NDArray[np.float64]) -> None:
        """The mouse is here now."""
        self.world = world
        if not self._is_on:
            return
        workspace = self._workspace
        plane, session = workspace.plane_in_view, workspace.session
        is_free = workspace.writing.is_free and not workspace.asking.is_pending
        if plane is not None and is_free and not session.prompts:
            session.set_plane(plane)
        # A preview refines the candidate, which is about one plane.
        if plane is None or plane != session.plane or workspace.writing.is_lent:
            workspace.preview.draw(None)
            return
        if self._jobs.is_busy_for_user:
            return
        try:
            request = session.request_prompt(
                Click(*workspace.placement.yx_at(world.tolist()))
            )
        except PromptError:  # beside the image
            workspace.preview.draw(None)
            return
        self._jobs.submit(
            Job(
                lambda _: session.preview(request),
                done=self._draw,
                failed=lambda _: self._draw(None),
                topic=TOPIC,
                urgency=Urgency.HOVER,
            )
        )

    def close(self) -> None:
        """End it."""
        self._is_on = False
        self._jobs.cancel(TOPIC)

    def _draw(self, candidate: Candidate | None) -> None:
        self._workspace.preview.draw(candidate if self._is_on else None)
