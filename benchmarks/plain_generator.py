"""Everything in an image the reference generator's way; what ours is measured against.

The image is resized to one window, clicks are answered 64 at a time, each answer is
enlarged to the whole image before anything is known of it, and all that passes is kept
until the end. The network and its weights are the same as ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.automatic.window.label_image import label_image
from napari_sam.automatic.window.mask_filters import without_duplicates
from napari_sam.model.prompt_encoder import POSITIVE
from napari_sam.model.sam import Sam
from napari_sam.model.transforms import input_shape
from napari_sam.model.window_model.point_masks import PointQuery, boxes_of

CLICKS_AT_ONCE = 64
BOX_OVERLAP = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class WholeMasks:
    """Masks (n, h, w) of the whole image and their scores (n,)."""

    masks_nhw: NDArray[np.bool_]
    scores_n: NDArray[np.float32]


def whole_masks(
    logits_pmhw: Tensor, scores_pm: Tensor, shape: tuple[int, int], query: PointQuery
) -> WholeMasks:
    """Enlarge every answer of a batch, then see which are wanted."""
    side = max(4 * logits_pmhw.shape[-1], 1)
    padded = F.interpolate(logits_pmhw, (side, side), mode="bilinear")
    height, width = input_shape(shape, side)
    whole = F.interpolate(padded[..., :height, :width], shape, mode="bilinear")
    logits_nhw, scores_n = whole.flatten(0, 1), scores_pm.flatten()
    sure = scores_n > query.min_score
    logits_nhw, scores_n = logits_nhw[sure], scores_n[sure]
    tight = (logits_nhw > query.stability_score_offset).sum(dim=(1, 2))
    loose = (logits_nhw > -query.stability_score_offset).sum(dim=(1, 2))
    stable = tight / loose >= query.min_stability_score
    masks_nhw = logits_nhw[stable] > 0
    return WholeMasks(masks_nhw.cpu().numpy(), scores_n[stable].cpu().numpy())


def labels_of(parts: list[WholeMasks], shape: tuple[int, int]) -> NDArray[np.uint32]:
    """Suppress duplicates, and paint what is left, larger masks first."""
    masks_nhw = np.concatenate([part.masks_nhw for part in parts])
    scores_n = np.concatenate([part.scores_n for part in parts])
    boxes = boxes_of(masks_nhw)
    boxes[:, 2:] = np.maximum(boxes[:, 2:] - 1, boxes[:, :2])
    kept = without_duplicates(boxes, scores_n, BOX_OVERLAP)
    return label_image(list(masks_nhw[kept]), scores_n[kept].tolist(), shape)


@torch.no_grad()
def everything(
    model: Sam, pixels_hwc: NDArray[np.uint8], clicks_along: int, query: PointQuery
) -> NDArray[np.uint32]:
    """The label image of an image that is shown to the model as one window."""
    shape = (pixels_hwc.shape[0], pixels_hwc.shape[1])
    features = torch.tensor(model.encode(pixels_hwc).features_chw).float()[None]
    position = model.prompt_encoder.get_dense_pe()
    height, width = input_shape(shape, model.image_encoder.img_size)
    steps = (torch.arange(clicks_along) + 0.5) / clicks_along
    xy_n2 = torch.cartesian_prod(steps * width, steps * height)
    parts = []
    for xy in xy_n2.split(CLICKS_AT_ONCE):
        sparse, dense = model.prompt_encoder(
            (xy[:, None], torch.full((len(xy), 1), POSITIVE)), None, None
        )
        logits, scores = model.mask_decoder(
            features, position, sparse, dense, multimask_output=True
        )
        parts.append(whole_masks(logits, scores, shape, query))
    return labels_of(parts, shape)
