"""What a run has found so far, over the image: a layer that is there while it runs.

    any thread             add(tile)                                      clear()
    a thread of its own       draw into the pyramid                          delete it
    window's thread                 the layer appears, then is refreshed       it goes

Drawing a tile takes a while, which neither the model nor the window waits for.
"""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal

from napari_sam.annotator import run_location, run_plan
from napari_sam.automatic import Tile
from napari_sam.napari_plugin.image_view import ImageView
from napari_sam.napari_plugin.layers.found_pyramid import FoundPyramid
from napari_sam.napari_plugin.layers.labels import LabelPresenter
from napari_sam.napari_plugin.layers.placement import Placement
from napari_sam.session import Session

logger = logging.getLogger(__name__)

OPACITY = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class LevelPlacement(Placement):
    """The placement of a layer that has the pixels of a coarser level.

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
    """Shows the tiles of a run as they are done; `close` it with the image.

    Parameters
    ----------
    view
        Of the image.
    session
        Gives the location of the run, and the shape of the stack.
    below
        The layer that it is drawn over.
    """

    _drawn = Signal(int)

    def __init__(
        self, view: ImageView, session: Session, below: LabelPresenter
    ) -> None:
        super().__init__()
        self._view, self._session, self._below = view, session, below
        location = run_location(session)
        self._run_folder = location.run_folder
        # Beside the run, which goes as soon as all of it is in the labels.
        self._folder = location.path.with_name(f"{location.path.name}.preview")
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="napari-sam-found")
        self._pyramid: FoundPyramid | None = None
        self._shown: LabelPresenter | None = None
        self._is_closed = False
        self._clears = 0
        self._drawn.connect(self._on_drawn, Qt.ConnectionType.QueuedConnection)

    @property
    def layer(self) -> Any:
        """The Labels layer, None before the first tile is drawn."""
        return None if self._shown is None else self._shown.layer

    def add(self, tile: Tile) -> None:
        """Draw a tile that is done, soon."""
        self._pool.submit(self._draw, tile, self._clears)

    def clear(self) -> None:
        """Take the layer away at once, and soon what it shows from the disk."""
        self._clears += 1
        shown, self._shown = self._shown, None
        if shown is not None:
            shown.close()
        self._pool.submit(self._delete)

    def follow(self, placement: Placement) -> None:
        """Take over the image layer's transform, which the user may have changed."""
        if self._shown is not None:
            self._shown.follow(self._placement_of(placement))

    def close(self) -> None:
        """Clear it, and end."""
        self._is_closed = True
        self.clear()
        self._pool.shutdown(wait=True)

    def _draw(self, tile: Tile, clears: int) -> None:
        if clears != self._clears:
            return
        try:
            if self._pyramid is None:
                self._pyramid = self._made()
            if self._pyramid is not None:
                self._pyramid.draw(tile)
                self._drawn.emit(clears)
        except Exception:
            if clears != self._clears:
                return  # the run has ended, and its tiles are gone
            # What was found is safe in the run; only the sight of it is missing.
            logger.exception("A tile could not be shown: %s", tile)

    def _made(self) -> FoundPyramid | None:
        plan = run_plan(self._session)
        if plan is None:
            return None
        shutil.rmtree(self._folder, ignore_errors=True)
        stack_shape = self._session.image.stack_shape
        return FoundPyramid.make(self._folder, self._run_folder, plan, stack_shape)

    def _delete(self) -> None:
        self._pyramid = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _on_drawn(self, clears: int) -> None:
        pyramid = self._pyramid
        # What was drawn before the last clearing is not shown after it.
        if self._is_closed or pyramid is None or clears != self._clears:
            return
        if self._shown is not None:
            self._shown.refresh()
            return
        view, layers = self._view, self._view.viewer.layers
        self._shown = LabelPresenter(
            view.viewer,
            pyramid,
            self._placement_of(view.placement),
            f"{view.name} found so far",
        )
        active = layers.selection.active
        layer = self._shown.show()
        layer.opacity = OPACITY
        if self._below.is_shown:
            # Below candidate and prompts: the user may go on with clicks.
            above = layers.index(self._below.layer) + 1
            layers.move(layers.index(layer), above)
        layers.selection.active = active

    def _placement_of(self, placement: Placement) -> LevelPlacement:
        pyramid = self._pyramid
        factors = (1.0, 1.0) if pyramid is None else pyramid.plan.factors
        return LevelPlacement(placement.layer, placement.axes, factors)
