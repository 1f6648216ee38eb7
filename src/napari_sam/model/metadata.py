"""What a network cannot read off its weights' shapes: names, colours, sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_sam.model.window_model import PointQuery

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""Per channel (R, G, B), in grey levels 0..255, as all published SAM weights want."""


PUBLISHED_QUERY = PointQuery()
OWN_QUERY = PointQuery(
    min_score=0.5, min_stability_score=0.6, stability_score_offset=0.25
)
"""For weights that this project trained: their logits are flatter, and they predict
lower IoUs, than those of the published models. Chosen on windows of 24 of the images
that the default was trained on.
"""


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Which weights these are, and how pixels and masks are scaled around them.

    Parameters
    ----------
    name
        For people: the registry's name, what the file says, or the file's stem.
    fingerprint
        For cache keys: xxh3_128 of the file's bytes, in hex. Two files with one
        fingerprint give one answer.
    image_size
        Side of the square that the encoder works at, in pixels. None: what the
        weights' shapes say, else 1024.
    window_size
        Side of the square of an image that is shown to the encoder at once, in the
        image's pixels, enlarged to `image_size` where it is smaller. None: the same.
    window_sizes
        Every such side that the weights were made for, smallest first; empty: only
        `window_size`.
    object_share
        Side of an object (square root of its area) that the weights see best, in
        sides of the window. None: it was not measured, any will do.
    pixel_mean, pixel_std
        Per channel (R, G, B), in grey levels 0..255.
    mask_threshold
        Logits above it are inside the mask.
    file_metadata
        All that the file says about itself, for display.
    instance_share
        As `object_share`, for the instance decoder's maps.
    maps_fingerprint
        For cache keys of an instance decoder's maps; None: the weights' own.
    """

    name: str
    fingerprint: str
    image_size: int | None = None
    window_size: int | None = None
    window_sizes: tuple[int, ...] = ()
    object_share: float | None = None
    pixel_mean: tuple[float, float, float] = PIXEL_MEAN
    pixel_std: tuple[float, float, float] = PIXEL_STD
    mask_threshold: float = 0.0
    file_metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    instance_share: float | None = None
    maps_fingerprint: str | None = None

    @property
    def point_query(self) -> PointQuery:
        """Which masks of a grid of clicks are worth having from these weights."""
        return OWN_QUERY if "training" in self.file_metadata else PUBLISHED_QUERY
