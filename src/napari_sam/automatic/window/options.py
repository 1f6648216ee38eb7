"""What an automatic run searches and keeps: how large, how sure, how dense."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.estimate.blob_size import estimate_object_size
from napari_sam.automatic.window.map_windows import MapWindows, finds_instances
from napari_sam.errors import PredictorError
from napari_sam.model.window_model import ManyPointModel, PointQuery, WindowModel
from napari_sam.predictor import WindowSizes

FEWEST_CLICKS = 8  # along the longest side of a window
ANY_QUERY = PointQuery(min_score=0.0, min_stability_score=0.0)


class AutomaticMode(StrEnum):
    """How the objects of a window are found."""

    GRID = "grid"  # clicks on a grid, and what the model answers to them
    INSTANCES = "instances"  # what an instance decoder says of the window


@dataclass(frozen=True, slots=True)
class AutomaticOptions:
    """How the objects of a window are searched, and which are kept.

    Parameters
    ----------
    object_size
        Side of a typical object, the square root of its area, in pixels of the level
        that is segmented. None: estimated from the pixels.
    click_spacing
        Distance of neighbouring clicks, in object sizes: at 0.5 an object gets four.
    max_clicks_per_side
        Of a window; small objects in a large window get fewer clicks than they would.
    query
        Which masks are taken. None: what suits the model.
    max_box_overlap
        Of masks whose boxes have a higher intersection over union, the best stays.
    max_shared
        Of masks that share more than this of the smaller one's area, the better one
        stays; 1 keeps objects that lie in others.
    max_window_share
        A mask that covers more of the window is background; 1 or more takes it.
    reject_background
        Whether a mask that touches all four borders of the window, or whose inside
        resembles the background, is dropped.
    mode
        How objects are found; the settings of clicks and masks are those of a grid.
        None: the best that the model has.
    min_object_share
        An object whose area is a smaller share of a typical one's is dropped; so is an
        island of a mask.
    """

    object_size: float | None = None
    click_spacing: float = 0.5
    max_clicks_per_side: int = 48
    query: PointQuery | None = None
    max_box_overlap: float = 0.7
    max_shared: float = 0.3
    max_window_share: float = 0.75
    reject_background: bool = True
    mode: AutomaticMode | None = None
    min_object_share: float = 0.02

    def __post_init__(self) -> None:
        size = self.object_size
        if size is not None and not (isfinite(size) and size > 0):
            raise PredictorError(
                f"object_size needs to be above 0 pixels, got {size!r}. Leave it out "
                "to have it estimated."
            )
        if not (isfinite(self.click_spacing) and self.click_spacing > 0):
            raise PredictorError(
                "click_spacing needs to be above 0 object sizes, got "
                f"{self.click_spacing!r}; 0.5 is usual."
            )
        if self.mode is not None and self.mode not in set(AutomaticMode):
            raise PredictorError(
                f"mode needs to be one of {', '.join(AutomaticMode)}, got "
                f"{self.mode!r}."
            )
        if self.max_clicks_per_side < 1:
            raise PredictorError(
                "max_clicks_per_side needs to be at least 1, got "
                f"{self.max_clicks_per_side!r}."
            )

    def settled(self, pixels: NDArray[np.generic]) -> AutomaticOptions:
        """The same with an object size, estimated from pixels if none was given.

        The tiles of an image need one size, so it is settled once for the whole.
        """
        if self.object_size is not None:
            return self
        return replace(self, object_size=estimate_object_size(pixels))

    def clicks_per_side(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of clicks in a window of a (height, width).

        Where there is no object size, a sixteenth of the window's longest side is it.
        However large objects are, that side gets a few clicks: an estimate may have
        taken a clump for an object.
        """
        size = self.object_size or max(shape) / 16
        spacing = min(size * self.click_spacing, max(shape) / FEWEST_CLICKS)
        most = self.max_clicks_per_side
        rows, columns = (min(max(round(side / spacing), 1), most) for side in shape)
        return rows, columns

    def window_side(self, model: WindowModel) -> int:
        """Side of the window in which a model sees objects of this size well, pixels.

        Small objects are seen better in smaller windows, which are shown enlarged.
        """
        if self.mode_for(model) is AutomaticMode.INSTANCES:
            return MapWindows.of(model).for_object(self.object_size or 0)
        return WindowSizes.of(model).with_room(self.object_size or 0)

    def mode_for(self, model: WindowModel) -> AutomaticMode:
        """The mode that was given, or the best that the model has."""
        if self.mode is not None:
            return AutomaticMode(self.mode)
        has_maps = finds_instances(model)
        return AutomaticMode.INSTANCES if has_maps else AutomaticMode.GRID

    @property
    def least_area(self) -> float:
        """Pixels of the smallest object that is kept."""
        return self.min_object_share * (self.object_size or 0) ** 2

    def query_for(self, model: WindowModel) -> PointQuery:
        """The query that was given, or the one that suits the model.

        The scores of a model that does not answer many clicks at once are taken as
        they are.
        """
        if self.query is not None:
            return self.query
        return model.point_query if isinstance(model, ManyPointModel) else ANY_QUERY
