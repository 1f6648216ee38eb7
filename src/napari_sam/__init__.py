"""Segment Anything for microscopy that is too big for memory.

The public names are loaded on first use: importing the package loads neither torch
nor a user interface.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from napari_sam.automatic.run import segment_image as segment_image
    from napari_sam.automatic.window.mask_generator import (
        SamAutomaticMaskGenerator as SamAutomaticMaskGenerator,
    )
    from napari_sam.automatic.window.options import AutomaticOptions as AutomaticOptions
    from napari_sam.errors import SamError as SamError
    from napari_sam.geometry import Box as Box
    from napari_sam.images import open_image as open_image
    from napari_sam.jupyter_widget.widget import SegmentWidget as SegmentWidget
    from napari_sam.labels import LabelOptions as LabelOptions
    from napari_sam.labels import LabelStore as LabelStore
    from napari_sam.labels import OverlapRule as OverlapRule
    from napari_sam.model.checkpoints import load_model as load_model
    from napari_sam.model.sam_registry import sam_model_registry as sam_model_registry
    from napari_sam.predictor.cache import EmbeddingCache as EmbeddingCache
    from napari_sam.predictor.candidates import Candidate as Candidate
    from napari_sam.predictor.candidates import PredictorOptions as PredictorOptions
    from napari_sam.predictor.image import ImagePredictor as ImagePredictor
    from napari_sam.predictor.sam_predictor import SamPredictor as SamPredictor
    from napari_sam.prompts import BoxPrompt as BoxPrompt
    from napari_sam.prompts import Click as Click
    from napari_sam.prompts import MaskPrompt as MaskPrompt
    from napari_sam.session import Session as Session

_HOMES = {
    "AutomaticOptions": "automatic.window.options",
    "Box": "geometry",
    "BoxPrompt": "prompts",
    "Candidate": "predictor.candidates",
    "Click": "prompts",
    "EmbeddingCache": "predictor.cache",
    "ImagePredictor": "predictor.image",
    "LabelOptions": "labels",
    "LabelStore": "labels",
    "MaskPrompt": "prompts",
    "OverlapRule": "labels",
    "PredictorOptions": "predictor.candidates",
    "SamAutomaticMaskGenerator": "automatic.window.mask_generator",
    "SamError": "errors",
    "SamPredictor": "predictor.sam_predictor",
    "SegmentWidget": "jupyter_widget.widget",
    "Session": "session",
    "load_model": "model.checkpoints",
    "open_image": "images",
    "sam_model_registry": "model.sam_registry",
    "segment_image": "automatic.run",
}

__all__ = [
    "AutomaticOptions",
    "Box",
    "BoxPrompt",
    "Candidate",
    "Click",
    "EmbeddingCache",
    "ImagePredictor",
    "LabelOptions",
    "LabelStore",
    "MaskPrompt",
    "OverlapRule",
    "PredictorOptions",
    "SamAutomaticMaskGenerator",
    "SamError",
    "SamPredictor",
    "SegmentWidget",
    "Session",
    "load_model",
    "open_image",
    "sam_model_registry",
    "segment_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
