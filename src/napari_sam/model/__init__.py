"""Segment Anything as a network, and what a model has to be for the rest.

`window_model` says what the rest of the project needs of a model, without torch; it
has a face of its own. `sam` is the network of the paper behind that protocol, of
`image_encoder` or `tiny_vit`, `prompt_encoder`, and `mask_decoder` with its
`transformer`; they share `layers`, and `transforms` and `prompt_tensors` bring pixels
and prompts into the encoder's square. All of these are plain, and exact; `inference`
holds the same functions, fast, behind a face of its own.

All objects of a window at once: `instance_decoder` is this project's own decoder over
the stages of `tiny_vit`, `distance_decoder` is micro-sam's over any embedding, and
`instances` takes objects out of the maps of either.

Weights: `registry` lists the published ones, `download` fetches them, `checkpoints`
reads files and is where `load_model` is, for one of the `devices`; `metadata` is what
shapes do not say, `file_fields` reads it from a file, and `build` makes the network
that a file's shapes announce. `sam_registry` has the names that scripts for
segment_anything use.

The names here are loaded on first use: the registry and the protocol need no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.model.build import EMBEDDING_STRIDE as EMBEDDING_STRIDE
    from napari_sam.model.build import build_sam as build_sam
    from napari_sam.model.build import new_tiny_sam as new_tiny_sam
    from napari_sam.model.checkpoints import load_model as load_model
    from napari_sam.model.devices import choose_device as choose_device
    from napari_sam.model.instances import InstanceMaps as InstanceMaps
    from napari_sam.model.instances import InstanceOptions as InstanceOptions
    from napari_sam.model.instances import find_instances as find_instances
    from napari_sam.model.metadata import ModelMetadata as ModelMetadata
    from napari_sam.model.registry import CACHE_VARIABLE as CACHE_VARIABLE
    from napari_sam.model.registry import ModelListing as ModelListing
    from napari_sam.model.registry import cache_folder as cache_folder
    from napari_sam.model.registry import list_models as list_models
    from napari_sam.model.sam import Sam as Sam
    from napari_sam.model.sam_registry import sam_model_registry as sam_model_registry

_HOMES = {
    "CACHE_VARIABLE": "registry",
    "EMBEDDING_STRIDE": "build",
    "InstanceMaps": "instances",
    "InstanceOptions": "instances",
    "ModelListing": "registry",
    "ModelMetadata": "metadata",
    "Sam": "sam",
    "build_sam": "build",
    "cache_folder": "registry",
    "choose_device": "devices",
    "find_instances": "instances",
    "list_models": "registry",
    "load_model": "checkpoints",
    "new_tiny_sam": "build",
    "sam_model_registry": "sam_registry",
}

__all__ = [
    "CACHE_VARIABLE",
    "EMBEDDING_STRIDE",
    "InstanceMaps",
    "InstanceOptions",
    "ModelListing",
    "ModelMetadata",
    "Sam",
    "build_sam",
    "cache_folder",
    "choose_device",
    "find_instances",
    "list_models",
    "load_model",
    "new_tiny_sam",
    "sam_model_registry",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
