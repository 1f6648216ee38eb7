"""Many clicks on one embedding, each about an object of its own.

The image is read once for all clicks and meets them in batches; the expected IoUs come
before anything is drawn, so that an answer that is not wanted costs no drawing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from napari_sam.model.inference.mask_decoder import (
    attend,
    image_of,
    prompts_at_once,
    widened,
)
from napari_sam.model.inference.postprocessing import Answers
from napari_sam.model.inference.upscaling import Upscaling
from napari_sam.model.mask_decoder import MULTIPLE_MASKS, MaskDecoder
from napari_sam.model.point_masks import PointQuery
from napari_sam.model.prompt_encoder import POSITIVE, PromptEncoder


@torch.no_grad()
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
    image = image_of(encoder, decoder, features_chw)
    upscaling = Upscaling.of(decoder)
    labels_n1 = torch.full((len(xy_n2), 1), POSITIVE, device=xy_n2.device)
    sparse_bnc, _ = encoder((xy_n2[:, None], labels_n1), None, None)
    step = min(query.clicks_at_once, prompts_at_once(image))
    logits, scores, clicks = [], [], []
    for start in range(0, len(xy_n2), step):
        met = attend(decoder, image, sparse_bnc[start : start + step])
        iou_bm = widened(met.iou_bm[:, MULTIPLE_MASKS])
        wanted_bm = iou_bm > (query.min_score if query.min_score > 0 else -torch.inf)
        drawn = wanted_bm.any(dim=1).nonzero()[:, 0]
        if len(drawn) == 0:
            continue
        filters_bmc = decoder.filters(met.mask_tokens_bmc[drawn], MULTIPLE_MASKS)
        logits_khw = upscaling.draw(
            filters_bmc, met.image_bpc[drawn], image.shape, wanted_bm[drawn]
        )
        logits.append(widened(logits_khw))
        scores.append(iou_bm[wanted_bm])
        clicks.append(start + wanted_bm.nonzero()[:, 0])
    if not logits:
        side = 4 * encoder.image_embedding_side
        none = widened(image.features_pc.new_zeros(0))
        return Answers(none.view(0, 1, 1).expand(0, side, side), none, none.long())
    return Answers(torch.cat(logits), torch.cat(scores), torch.cat(clicks))
