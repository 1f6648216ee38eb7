"""Many clicks on one embedding, each about an object of its own.

The image meets the clicks in batches; the expected IoUs come before anything is
drawn, so that an answer that is not wanted costs no drawing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sam.model.drawing import Answers
from napari_sam.model.mask_decoder import MULTIPLE_MASKS, MaskDecoder
from napari_sam.model.point_masks import PointQuery
from napari_sam.model.prompt_encoder import POSITIVE, PromptEncoder

CLICKS_AT_ONCE_ON_CPU = 4
"""A click's copy of the image is a megabyte or more: few stay in the cache."""


def _positive(xy_n2: Tensor) -> Tensor:
    return torch.full((len(xy_n2), 1), POSITIVE, device=xy_n2.device)


def answer_points(
    encoder: PromptEncoder,
    decoder: MaskDecoder,
    features_chw: Tensor,
    xy_n2: Tensor,
    query: PointQuery,
) -> Answers:
    """Answer n single clicks with those of their three masks that are wanted.

    Parameters
    ----------
    encoder, decoder
        Of one network.
    features_chw
        Embedding of the image.
    xy_n2
        Clicks (x, y) in pixels of the padded image.
    query
        Says which scores are wanted.
    """
    position = encoder.get_dense_pe()
    # The same for every click, so it is added to the image once.
    _, dense = encoder((xy_n2[:1, None], _positive(xy_n2[:1])), None, None)
    step = query.clicks_at_once
    if features_chw.device.type == "cpu":
        step = min(step, CLICKS_AT_ONCE_ON_CPU)
    logits, scores, clicks = [], [], []
    for start in range(0, len(xy_n2), step):
        xy = xy_n2[start : start + step]
        sparse, _ = encoder((xy[:, None], _positive(xy)), None, None)
        iou_bm, tokens, image = decoder.attend(
            features_chw[None], position, sparse, dense
        )
        iou_bm = iou_bm[:, MULTIPLE_MASKS]
        wanted_bm = iou_bm > (query.min_score if query.min_score > 0 else -torch.inf)
        drawn = wanted_bm.any(dim=1).nonzero()[:, 0]
        if len(drawn) == 0:
            continue
        masks_bmhw = decoder.draw(tokens[drawn], image[drawn])[:, MULTIPLE_MASKS]
        logits.append(masks_bmhw[wanted_bm[drawn]])
        scores.append(iou_bm[wanted_bm])
        clicks.append(start + wanted_bm.nonzero()[:, 0])
    if not logits:
        side = 4 * encoder.image_embedding_side
        none = features_chw.new_zeros(0)
        return Answers(features_chw.new_zeros(0, side, side), none, none.long())
    return Answers(torch.cat(logits), torch.cat(scores), torch.cat(clicks))
