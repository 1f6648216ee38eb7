"""The windows that an instance decoder is shown: objects have the size it likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import MapError
from napari_sam.model.window_model import WindowModel

USUAL_SHARE = 1 / 16
"""Side of an object, in sides of the window, for maps that do not say how large they
see objects best."""

LARGER_WINDOWS = 2
"""So many windows of twice the side come after those that prompts are made for: a
window is shown at the encoder's size, and large objects are smaller in them."""


@runtime_checkable
class InstanceModel(Protocol):
    """A window model that says where all objects of a window are."""

    @property
    def finds_instances(self) -> bool:
        """Whether it does: the weights may come without what it takes."""

    @property
    def instance_share(self) -> float | None:
        """Side of an object that is found best, in sides of its window; None: any."""

    def encode_maps(
        self, windows: Sequence[NDArray[np.uint8]]
    ) -> Sequence[tuple[Any, Any]]:
        """Of each window what `encode` gives, and its `InstanceMaps`."""


@dataclass(frozen=True, slots=True)
class MapWindows:
    """The windows in which a model's maps see objects well.

    Parameters
    ----------
    sides
        Of the windows, in pixels, smallest first.
    share
        Side of an object that is found best, in sides of its window.
    """

    sides: tuple[int, ...]
    share: float

    @classmethod
    def of(cls, model: WindowModel) -> MapWindows:
        """What a model says, and larger windows.

        Raises
        ------
        MapError
            It finds no instances.
        """
        found = instance_model(model)
        sides = getattr(model, "window_sizes", ()) or (model.window_size,)
        larger = [sides[-1] << step for step in range(1, LARGER_WINDOWS + 1)]
        return cls((*sides, *larger), found.instance_share or USUAL_SHARE)

    def for_object(self, side: float) -> int:
        """The size in which an object of this side has nearest the wanted share."""
        if side <= 0:
            return self.sides[0]
        wanted = side / self.share
        return min(self.sides, key=lambda size: abs(log(size / wanted)))


def instance_model(model: WindowModel) -> InstanceModel:
    """The model as one that finds instances; a MapError if it does not."""
    if isinstance(model, InstanceModel) and model.finds_instances:
        return model
    raise MapError(
        "Instances need a model with an instance decoder, which this one has not. "
        "`napari-sam models` says which have one; or segment with --mode grid."
    )


def finds_instances(model: WindowModel) -> bool:
    """Whether a model has an instance decoder."""
    return isinstance(model, InstanceModel) and model.finds_instances
