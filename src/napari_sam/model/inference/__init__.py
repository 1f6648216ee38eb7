"""The functions of the network, fast: the same numbers as the plain modules.

`encoder` makes an `InferenceForm` of an image encoder: `vit` or `tiny_vit`, of `layers`
and of the attention that suits a device (`attention_cpu`, `attention_cuda`,
`attention_triton`), recorded by `cuda_graphs` on a GPU. `precision` says which numbers
a device computes with. `mask_decoder` answers prompts: `image_tokens` are what it
computes of an image before there is a prompt, `cross_attention` is between these and
the prompts, `upscaling` draws logits, and `postprocessing` makes masks of them.
`instance_maps` are those of all objects at once, by a fast `instance_head`.

The names here are loaded on first use, so that no module has to load all the others.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.model.inference.encoder import InferenceForm as InferenceForm
    from napari_sam.model.inference.image_tokens import DecoderImage as DecoderImage
    from napari_sam.model.inference.image_tokens import RecentImages as RecentImages
    from napari_sam.model.inference.instance_maps import (
        encode_with_maps as encode_with_maps,
    )
    from napari_sam.model.inference.mask_decoder import decoder_image as decoder_image
    from napari_sam.model.inference.mask_decoder import predict_masks as predict_masks
    from napari_sam.model.inference.mask_decoder import predict_points as predict_points
    from napari_sam.model.inference.postprocessing import AxisScaling as AxisScaling
    from napari_sam.model.inference.postprocessing import draw_masks as draw_masks
    from napari_sam.model.inference.precision import AUTO as AUTO
    from napari_sam.model.inference.precision import (
        choose_precision as choose_precision,
    )
    from napari_sam.model.inference.precision import precision_in as precision_in
    from napari_sam.model.inference.precision import precision_name as precision_name

_HOMES = {
    "AUTO": "precision",
    "AxisScaling": "postprocessing",
    "DecoderImage": "image_tokens",
    "InferenceForm": "encoder",
    "RecentImages": "image_tokens",
    "choose_precision": "precision",
    "decoder_image": "mask_decoder",
    "draw_masks": "postprocessing",
    "encode_with_maps": "instance_maps",
    "precision_in": "precision",
    "precision_name": "precision",
    "predict_masks": "mask_decoder",
    "predict_points": "mask_decoder",
}

__all__ = [
    "AUTO",
    "AxisScaling",
    "DecoderImage",
    "InferenceForm",
    "RecentImages",
    "choose_precision",
    "decoder_image",
    "draw_masks",
    "encode_with_maps",
    "precision_in",
    "precision_name",
    "predict_masks",
    "predict_points",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
