"""What an `ImagePredictor` gives, and its options."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.masks import Mask
from napari_sam.prompts import Prompt


@dataclass(frozen=True, slots=True)
class PredictorOptions:
    """Bounds and habits of an `ImagePredictor`.

    Parameters
    ----------
    max_windows
        Windows that one prediction may take. An object that needs more comes back as
        far as they show it, with `complete` false.
    max_object_pixels
        Largest box of an object, in pixels of level 0: its mask is held in memory, one
        byte a pixel. Nor is more than this read for one window of a coarse level.
    keep_specks
        Keep the small islands and holes that SAM leaves around its masks.
    speck_share, hole_share
        An island, or a hole, that is a speck has at most this share of the object's
        area, 0..1. Holes are more often real than islands.
    finest_level
        No level finer than this is read, and objects are drawn at it: 0 gives the
        finest outlines, a coarser one costs fewer windows.
    """

    max_windows: int = 200
    max_object_pixels: int = 2**30
    keep_specks: bool = False
    speck_share: float = 0.25
    hole_share: float = 0.01
    finest_level: int = 0

    def __post_init__(self) -> None:
        if self.max_windows < 1 or self.max_object_pixels < 1:
            raise PredictorError(
                "A predictor needs max_windows >= 1 and max_object_pixels >= 1, got "
                f"{self.max_windows} and {self.max_object_pixels}."
            )
        shares = (self.speck_share, self.hole_share)
        if not all(0 <= share < 1 for share in shares):
            raise PredictorError(
                f"speck_share and hole_share need to be in 0..1, got {shares}. Use "
                "keep_specks=True to keep them all."
            )
        if self.finest_level < 0:
            raise PredictorError(
                "finest_level counts levels from 0, the full resolution; got "
                f"{self.finest_level}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A mask that is shown, not yet accepted.

    Attributes
    ----------
    mask
        Over `box`, bool (height, width).
    box
        In pixels of level 0; as small as the mask allows.
    score
        0..1, the intersection over union that the model expects.
    plane
        Indices of the axes before y, x.
    level
        The coarsest level that any of the outline comes from.
    complete
        False where the object goes on, or its outline could be drawn finer, beyond
        the windows used: an alternative that was not followed (`complete` of
        `ImagePredictor` does so), or a bound of `PredictorOptions` was met.
    unmet
        The prompts that the mask does not honour: a positive click, box or mask outside
        of it, a negative click inside.
    window, window_level
        The window that decided, in pixels of its level.
    window_size
        Side of the windows used, in pixels.
    logits_hw
        The model's logits over `window`, > 0 is inside; None where it gave none. They
        refine the next prediction in the same window.
    """

    mask: Mask
    box: Box
    score: float
    plane: tuple[int, ...]
    level: int
    complete: bool
    unmet: tuple[Prompt, ...]
    window: Box
    window_level: int
    window_size: int
    logits_hw: NDArray[np.float32] | None
