"""What a run has found so far, over the image: a layer that is there while it runs.

    run's thread        add(tile)
    a thread of its own       draw into the pyramid
    window                                 the layer appears, then is refreshed

Drawing a tile takes a while, which neither the model nor the window waits for.
"""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal

from napari_sam.annotator.run_merge import run_location, run_plan
from napari_sam.automatic.plan import Tile
from napari_sam.napari_plugin.layers.found_pyramid import FoundPyramid
from napari_sam.napari_plugin.layers.labels import LabelPresenter
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.napari_plugin.screen import Workspace

logger = logging.getLogger(__name__)

OPACITY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class LevelPlacement(Placement):
    """The place of a layer that has the pixels of a coarser level.

    Parameters
    ----------
    factors
        (y, x) size of one of its pixels, in those of the image layer.
    """

    factors: tuple[float, float]

    def transform(
        self, origin: NDArray[np.float64] | None = None, step: float = 1.0
    ) -> dict[str, Any]:
        """As `Placement.transform`; None for the level's first pixel."""
        first = (self.factors[0] / 2, self.factors[1] / 2)
        if origin is None:
            origin = self.point((0,) * len(self.stack_axes), first)
        # Not `super()`, which a dataclass with slots does not have.
        facts = Placement.transform(self, origin, step)
        for name, factor in zip("yx", self.factors, strict=True):
            facts["scale"][self.axes.index(name)] *= factor
        return facts


class FoundPresenter(QObject):
    """Shows tiles of one run as they are done; `close` it with the run.

    Parameters
    ----------
    workspace
        Whose image is segmented.
    """

    _drawn = Signal()

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        # Not within the run's own folder of tiles: what is for the eye may be lost.
        self._run_folder = run_location(workspace.session).run_folder
        self._folder = self._run_folder / "preview"
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="napari-sam-found")
        self._pyramid: FoundPyramid | None = None
        self._shown: LabelPresenter | None = None
        self._is_closed = False
        self._drawn.connect(self._on_drawn, Qt.ConnectionType.QueuedConnection)

    @property
    def layer(self) -> Any:
        """The Labels layer, None before the first tile is drawn."""
        return None if self._shown is None else self._shown.layer

    def add(self, tile: Tile) -> None:
        """Draw a tile that is done, soon; from any thread."""
        with suppress(RuntimeError):  # closed meanwhile
            self._pool.submit(self._draw, tile)

    def follow(self, placement: Placement) -> None:
        """Take over the image layer's transform, which the user may have changed."""
        if self._shown is not None:
            self._shown.follow(self._placement_of(placement))

    def close(self) -> None:
        """Take the layer away, and what it shows from the disk."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._shown is not None:
            self._shown.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _draw(self, tile: Tile) -> None:
        try:
            if self._pyramid is None:
                self._pyramid = self._made()
            if self._pyramid is not None:
                self._pyramid.draw(tile)
                self._drawn.emit()
        except Exception:
            # What was found is safe in the run; only the look at it is missing.
            logger.exception("A tile could not be shown: %s", tile)

    def _made(self) -> FoundPyramid | None:
        session = self._workspace.session
        plan = run_plan(session)
        if plan is None:
            return None
        shutil.rmtree(self._folder, ignore_errors=True)
        stack_shape = session.image.stack_shape
        return FoundPyramid.make(self._folder, self._run_folder, plan, stack_shape)

    def _on_drawn(self) -> None:
        if self._is_closed or self._pyramid is None:
            return
        if self._shown is not None:
            self._shown.refresh()
            return
        workspace, layers = self._workspace, self._workspace.viewer.layers
        self._shown = LabelPresenter(
            workspace.viewer,
            self._pyramid,
            self._placement_of(workspace.placement),
            f"{workspace.layer.name} found so far",
        )
        active = layers.selection.active
        layer = self._shown.show()
        layer.opacity = OPACITY
        if workspace.labels.is_shown:
            # Below candidate and prompts: the user may go on pointing.
            above = layers.index(workspace.labels.layer) + 1
            layers.move(layers.index(layer), above)
        layers.selection.active = active

    def _placement_of(self, placement: Placement) -> LevelPlacement:
        pyramid = self._pyramid
        factors = (1.0, 1.0) if pyramid is None else pyramid.plan.factors
        return LevelPlacement(placement.layer, placement.axes, factors)
