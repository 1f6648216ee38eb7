"""The options of a synthetic scene, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import SceneError

SMALLEST_SIDE = 16  # pixels
LARGEST_BLUR = 20.0  # pixels
OBJECT_SIZES = (6.0, 600.0)  # pixels


class SceneKind(StrEnum):
    """What a scene is of; its module describes what is labelled."""

    NUCLEI = "nuclei"
    MEMBRANES = "membranes"
    PHASE = "phase"
    STAIN = "stain"
    RODS = "rods"
    ELECTRON = "electron"
    FILAMENTS = "filaments"
    COLONY = "colony"
    YEAST = "yeast"


@dataclass(frozen=True, slots=True)
class SceneOptions:
    """One scene; the same options give the same bytes.

    Parameters
    ----------
    kind
        What to draw.
    shape_hw
        (height, width), in pixels.
    object_size
        Typical extent of an object, in pixels: the diameter of a nucleus, a cell or
        an axon, the length of a rod, the span of a filament.
    density
        How full the scene is: 0 leaves a few objects, 1 crowds them.
    noise
        Of the camera: 0 is close to none, 1 drowns the dim objects.
    blur
        Standard deviation of the optics' blur, in pixels.
    seed
        Of all that is drawn at random, 0 or more.
    """

    kind: SceneKind
    shape_hw: tuple[int, int] = (256, 256)
    object_size: float = 32.0
    density: float = 0.5
    noise: float = 0.3
    blur: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in set(SceneKind):
            kinds = ", ".join(SceneKind)
            raise SceneError(f"A scene is one of {kinds}; got {self.kind!r}.")
        if min(self.shape_hw) < SMALLEST_SIDE:
            raise SceneError(
                f"A scene needs a (height, width) of at least {SMALLEST_SIDE} pixels "
                f"each, got {self.shape_hw}."
            )
        _check_range("object_size", self.object_size, OBJECT_SIZES)
        _check_range("density", self.density, (0.0, 1.0))
        _check_range("noise", self.noise, (0.0, 1.0))
        _check_range("blur", self.blur, (0.0, LARGEST_BLUR))
        if self.seed < 0:
            raise SceneError(f"A scene's seed is 0 or more, got {self.seed}.")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Pixels and the objects in them.

    Parameters
    ----------
    pixels
        (h, w) uint16, or (h, w, 3) uint8 where colour matters; a stack or a movie has
        z or t before them.
    labels_hw
        0 is background, 1 to n the objects, each connected; a stack or a movie has
        z or t before h, w. uint16, or uint32 in a slide.
    tracks_n4
        Of a movie, the rows of a Cell Tracking Challenge `man_track.txt`: id, first
        frame, last frame, parent's id or 0. None without time.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    labels_hw: NDArray[np.uint16] | NDArray[np.uint32]
    tracks_n4: NDArray[np.int64] | None = None


def _check_range(name: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise SceneError(f"A scene's {name} is {low:g} to {high:g}, got {value}.")
