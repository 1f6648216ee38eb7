"""From prompts on an image of any size to masks: `ImagePredictor`.

    image             ImagePredictor: what callers see
    plane_predictor   windows of one plane -> masks, within a budget of windows
    object_predictor  those masks -> what a window shows of the object pointed at
    search            which window to begin with
    growing           from what one window shows to the whole object
    tracing, band     objects and outlines drawn cell by cell
    windows, window_sizes, window_grid    where windows are and how large, as geometry
    placed_mask       masks over a box of one level
    candidates        Candidate and PredictorOptions
    progress          what a prediction may cost, and how it reports its progress
    cache, embedding_files    embeddings in memory and on disk
    sam_predictor     SamPredictor: one image in memory, as in segment_anything

The public names are loaded on first use: a cache needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.predictor.cache import EmbeddingCache as EmbeddingCache
    from napari_sam.predictor.cache import WindowKey as WindowKey
    from napari_sam.predictor.candidates import Candidate as Candidate
    from napari_sam.predictor.candidates import PredictorOptions as PredictorOptions
    from napari_sam.predictor.image import ImagePredictor as ImagePredictor
    from napari_sam.predictor.placed_mask import PlacedMask as PlacedMask
    from napari_sam.predictor.progress import ProgressCallback as ProgressCallback
    from napari_sam.predictor.progress import WindowProgress as WindowProgress
    from napari_sam.predictor.sam_predictor import SamPredictor as SamPredictor
    from napari_sam.predictor.window_grid import Cell as Cell
    from napari_sam.predictor.window_grid import WindowGrid as WindowGrid
    from napari_sam.predictor.window_sizes import WindowSizes as WindowSizes
    from napari_sam.predictor.windows import at_level as at_level
    from napari_sam.predictor.windows import from_level as from_level
    from napari_sam.predictor.windows import window_at as window_at

_HOMES = {
    "Candidate": "candidates",
    "Cell": "window_grid",
    "EmbeddingCache": "cache",
    "ImagePredictor": "image",
    "PlacedMask": "placed_mask",
    "PredictorOptions": "candidates",
    "ProgressCallback": "progress",
    "SamPredictor": "sam_predictor",
    "WindowGrid": "window_grid",
    "WindowKey": "cache",
    "WindowProgress": "progress",
    "WindowSizes": "window_sizes",
    "at_level": "windows",
    "from_level": "windows",
    "window_at": "windows",
}

__all__ = [
    "Candidate",
    "Cell",
    "EmbeddingCache",
    "ImagePredictor",
    "PlacedMask",
    "PredictorOptions",
    "ProgressCallback",
    "SamPredictor",
    "WindowGrid",
    "WindowKey",
    "WindowProgress",
    "WindowSizes",
    "at_level",
    "from_level",
    "window_at",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
