"""What the rest of the project needs of a model; nothing here needs torch.

`protocols` says what a model of windows can do, and holds the values that it takes and
gives: an embedding is handed out and handed back, never hidden state. So two prompts
on two windows can interleave, the cache, the screens and a cluster's worker share one
model, and tests and other model families can stand in for SAM. `point_masks` are the
masks of a whole grid of clicks, kept small.
"""

from napari_sam.model.window_model.point_masks import (
    PointMasks,
    PointQuery,
    boxes_around,
    portions,
)
from napari_sam.model.window_model.protocols import (
    BatchEncodingModel,
    Embedding,
    ManyPointModel,
    WindowMask,
    WindowModel,
)

__all__ = [
    "BatchEncodingModel",
    "Embedding",
    "ManyPointModel",
    "PointMasks",
    "PointQuery",
    "WindowMask",
    "WindowModel",
    "boxes_around",
    "portions",
]
