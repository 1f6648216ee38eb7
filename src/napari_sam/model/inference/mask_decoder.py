"""What `MaskDecoder` computes, in another order of the same sums, for inference.

    embedding --once--> DecoderImage -+-> attend --> predicted IoUs --> draw --> logits
    prompts --------------------------+   each       what nobody        what is
                                          prompt     wants stops here   left

The plain way stays what training takes and what this is held to: equal but for the
rounding of the sums. Weights are read off the decoder's parameters at every call, and
arithmetic is of their type; answers are at least float32. Nothing is kept here: whose
image a prompt is on, and for how long that image is kept, is up to the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

from napari_sam.model.inference.cross_attention import (
    TokenKeysValues,
    attend_to_image,
    attend_to_shared_image,
    project_queries,
    split_heads,
)
from napari_sam.model.inference.image_tokens import DecoderImage, RecentImages
from napari_sam.model.inference.postprocessing import PointLogits
from napari_sam.model.inference.upscaling import Upscaling, blocks_of_pixels
from napari_sam.model.mask_decoder import MULTIPLE_MASKS, SINGLE_MASK, MaskDecoder
from napari_sam.model.prompt_encoder import POSITIVE, PromptEncoder
from napari_sam.model.transformer import Attention, TwoWayAttentionBlock
from napari_sam.model.window_model import PointQuery

PIXELS_AT_ONCE_ON_CPU = 16384
"""Of all prompts that are answered together. Fewer would read the weights too often;
more would need more memory, as each has an image of its own."""
PROMPTS_AT_ONCE = 64

MOST_COLUMNS = 192
"""Heads times tokens of a prompt, about 18 clicks: with more of them it is cheaper to
project the pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class AttendedPrompts:
    """Prompts after the exchange with their image, before any mask is drawn.

    Parameters
    ----------
    iou_bm
        Predicted IoU of every mask.
    mask_tokens_bmc
        What there is to draw.
    image_bpc
        Each prompt's image, a row for each pixel.
    """

    iou_bm: Tensor
    mask_tokens_bmc: Tensor
    image_bpc: Tensor


def decoder_image(
    encoder: PromptEncoder,
    decoder: MaskDecoder,
    features_chw: Tensor,
    recent: RecentImages,
) -> DecoderImage:
    """Project an embedding for the decoder, or find it where it is kept.

    Parameters
    ----------
    encoder, decoder
        Of one network.
    features_chw
        From the image encoder, of any type.
    recent
        Keeps the image for the next prompts on the same embedding.

    Returns
    -------
    DecoderImage
        Of the type and on the device of the decoder's weights.
    """
    to_image, to_tokens = _cross_attentions(_blocks(decoder)[0])
    frequencies = encoder.pe_layer.positional_encoding_gaussian_matrix
    weights = chain(
        to_image.k_proj.parameters(),
        to_image.v_proj.parameters(),
        to_tokens.q_proj.parameters(),
        (encoder.no_mask_embed.weight, frequencies),
    )
    return recent.find(
        features_chw,
        torch.cat([weight.detach().flatten() for weight in weights]),
        lambda: _projected(encoder, decoder, features_chw),
    )


@torch.no_grad()
def predict_masks(
    decoder: MaskDecoder,
    image: DecoderImage,
    sparse_bnc: Tensor,
    dense_bchw: Tensor | None,
    *,
    multimask_output: bool,
) -> tuple[Tensor, Tensor]:
    """Answer the prompts of b objects on one image, as `MaskDecoder` does.

    Parameters
    ----------
    decoder
        Whose weights made the image.
    image
        From `decoder_image`.
    sparse_bnc
        What the prompt encoder made of points and boxes.
    dense_bchw
        What it made of mask prompts; None: there are none.
    multimask_output
        Three masks for an ambiguous prompt, or one.

    Returns
    -------
    tuple of Tensor
        Logits (b, m, 4h, 4w), > 0 is inside, and predicted IoUs (b, m).
    """
    masks = MULTIPLE_MASKS if multimask_output else SINGLE_MASK
    upscaling = Upscaling.of(decoder)
    logits, ious = [], []
    step = prompts_at_once(image)
    for start in range(0, len(sparse_bnc), step):
        some = slice(start, start + step)
        dense = None if dense_bchw is None else dense_bchw[some]
        attended = attend(decoder, image, sparse_bnc[some], dense)
        filters = decoder.filters(attended.mask_tokens_bmc, masks)
        drawn = upscaling.draw(filters, attended.image_bpc, image.shape)
        logits.append(widened(drawn.view(*filters.shape[:2], *drawn.shape[1:])))
        ious.append(widened(attended.iou_bm[:, masks]))
    if not logits:
        height, width = (4 * side for side in image.shape)
        count = len(range(len(decoder.mask_tokens.weight))[masks])
        none = widened(image.features_pc.new_zeros(0, count, height, width))
        return none, none[:, :, 0, 0]
    return torch.cat(logits), torch.cat(ious)


@torch.no_grad()
def predict_points(
    encoder: PromptEncoder,
    decoder: MaskDecoder,
    image: DecoderImage,
    xy_n2: Tensor,
    query: PointQuery,
) -> PointLogits:
    """Answer n single clicks with those of their three masks that are wanted.

    Each click is about an object of its own. The predicted IoUs come before anything
    is drawn, so that an answer that is not wanted costs no drawing.

    Parameters
    ----------
    encoder, decoder, image
        Of one network, and what it made of the embedding.
    xy_n2
        Clicks (x, y) in pixels of the padded image.
    query
        Says which scores are wanted.

    Returns
    -------
    PointLogits
        In the order of the clicks.
    """
    upscaling = Upscaling.of(decoder)
    labels_n1 = torch.full((len(xy_n2), 1), POSITIVE, device=xy_n2.device)
    sparse_bnc, _ = encoder((xy_n2[:, None], labels_n1), None, None)
    step = min(query.clicks_at_once, prompts_at_once(image))
    logits, scores, clicks = [], [], []
    for start in range(0, len(xy_n2), step):
        attended = attend(decoder, image, sparse_bnc[start : start + step])
        iou_bm = widened(attended.iou_bm[:, MULTIPLE_MASKS])
        wanted_bm = iou_bm > (query.min_score if query.min_score > 0 else -torch.inf)
        drawn = wanted_bm.any(dim=1).nonzero()[:, 0]
        if len(drawn) == 0:
            continue
        filters_bmc = decoder.filters(attended.mask_tokens_bmc[drawn], MULTIPLE_MASKS)
        logits_khw = upscaling.draw(
            filters_bmc, attended.image_bpc[drawn], image.shape, wanted_bm[drawn]
        )
        logits.append(widened(logits_khw))
        scores.append(iou_bm[wanted_bm])
        clicks.append(start + wanted_bm.nonzero()[:, 0])
    if not logits:
        side = 4 * encoder.image_embedding_side
        none = widened(image.features_pc.new_zeros(0))
        return PointLogits(none.view(0, 1, 1).expand(0, side, side), none, none.long())
    return PointLogits(torch.cat(logits), torch.cat(scores), torch.cat(clicks))


@torch.no_grad()
def attend(
    decoder: MaskDecoder,
    image: DecoderImage,
    sparse_bnc: Tensor,
    dense_bchw: Tensor | None = None,
) -> AttendedPrompts:
    """Let prompts and image attend to each other; parameters as of `predict_masks`."""
    tokens_bnc = decoder.tokens(sparse_bnc.to(image.position_pc))
    heads = decoder.transformer.final_attn_token_to_image.heads
    if heads * tokens_bnc.shape[1] > MOST_COLUMNS:
        start_bchw = _as_map(_start(image, dense_bchw), image)
        tokens_bnc, image_bpc = decoder.transformer(
            start_bchw, _as_map(image.position_pc[None], image), tokens_bnc
        )
    else:
        tokens_bnc, image_bpc = _exchange(decoder, image, tokens_bnc, dense_bchw)
    iou_token, mask_tokens_bmc = decoder.own_tokens(tokens_bnc)
    iou_bm = decoder.iou_prediction_head(iou_token)
    return AttendedPrompts(iou_bm, mask_tokens_bmc, image_bpc)


def prompts_at_once(image: DecoderImage) -> int:
    """How many prompts are answered together; on a CPU few, as the cache is small."""
    if image.position_pc.device.type != "cpu":
        return PROMPTS_AT_ONCE
    return max(PIXELS_AT_ONCE_ON_CPU // len(image.position_pc), 1)


def widened(answer: Tensor) -> Tensor:
    """An answer as float32, if it is not that precise already."""
    return answer.to(torch.promote_types(answer.dtype, torch.float32))


def _exchange(
    decoder: MaskDecoder,
    image: DecoderImage,
    prompt_tokens: Tensor,
    dense_bchw: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """`TwoWayTransformer.forward`: tokens (b, n, c) and each prompt's (b, p, c)."""
    tokens, transformer = prompt_tokens, decoder.transformer
    pixels = PromptedPixels(image, len(tokens), dense_bchw)
    for block in _blocks(decoder):
        to_image, to_tokens = _cross_attentions(block)
        tokens = block.self_attention_step(tokens, prompt_tokens)
        tokens = block.mlp_step(tokens, pixels.read(to_image, tokens + prompt_tokens))
        keys_values = TokenKeysValues.of(to_tokens, tokens + prompt_tokens, tokens)
        pixels.update(keys_values, block.norm4)
    read_bnc = pixels.read(
        transformer.final_attn_token_to_image, tokens + prompt_tokens
    )
    return transformer.norm_final_attn(tokens + read_bnc), pixels.image_bpc


def _start(image: DecoderImage, dense_bchw: Tensor | None) -> Tensor:
    """The image before any exchange, (1 or b, p, c)."""
    if dense_bchw is None:
        return image.unprompted_pc[None]
    dense_bpc = dense_bchw.flatten(2).mT.to(image.features_pc)
    return torch.add(image.features_pc, dense_bpc).contiguous()


def _as_map(x_bpc: Tensor, image: DecoderImage) -> Tensor:
    b, _, c = x_bpc.shape
    return x_bpc.mT.reshape(b, c, *image.shape)


def _blocks(decoder: MaskDecoder) -> list[TwoWayAttentionBlock]:
    return cast("list[TwoWayAttentionBlock]", list(decoder.transformer.layers))


def _cross_attentions(block: TwoWayAttentionBlock) -> tuple[Attention, Attention]:
    """From tokens to the image, and from the image to tokens."""
    return block.cross_attn_token_to_image, block.cross_attn_image_to_token


@torch.no_grad()
def _projected(
    encoder: PromptEncoder, decoder: MaskDecoder, features_chw: Tensor
) -> DecoderImage:
    to_image, to_tokens = _cross_attentions(_blocks(decoder)[0])
    weight = decoder.iou_token.weight
    features, position = (
        x_chw.to(weight).flatten(1).mT.contiguous()
        for x_chw in (features_chw, encoder.get_dense_pe()[0])
    )
    unprompted = features + encoder.no_mask_embed.weight.to(weight)
    keyed = unprompted + position
    height, width = features_chw.shape[1:]
    return DecoderImage(
        (height, width),
        features,
        position,
        unprompted,
        split_heads(to_image.k_proj(keyed), to_image.heads).contiguous(),
        split_heads(to_image.v_proj(unprompted), to_image.heads).contiguous(),
        split_heads(to_tokens.q_proj(keyed), to_tokens.heads).contiguous(),
    )


class PromptedPixels:
    """The image of each prompt, which changes with every layer of the transformer.

    An update waits until the image is read: both are done for some pixels at a time,
    while these are in the cache.
    """

    def __init__(
        self, image: DecoderImage, prompts: int, dense_bchw: Tensor | None
    ) -> None:
        self._shared = image if dense_bchw is None else None
        self._positions_pc = image.position_pc
        self._pending: tuple[TokenKeysValues, nn.Module] | None = None
        if dense_bchw is None:
            like = image.unprompted_pc
            self.image_bpc = like.new_empty(prompts, *like.shape)
        else:
            self.image_bpc = _start(image, dense_bchw)

    def update(self, keys_values: TokenKeysValues, norm: nn.Module) -> None:
        """Let the image attend to tokens before it is read the next time."""
        self._pending = keys_values, norm

    def read(self, attention: Attention, tokens_bnc: Tensor) -> Tensor:
        """What tokens read from the image, (b, n, c), after the pending update."""
        if self._pending is None and self._shared is not None:
            return attend_to_shared_image(
                attention, tokens_bnc, self._shared.keys_hpd, self._shared.values_hpd
            )
        queries_bkc = project_queries(attention, tokens_bnc)
        pixel_count = len(self._positions_pc)
        scores_bkp = queries_bkc.new_empty(*queries_bkc.shape[:2], pixel_count)
        for prompts, pixels in blocks_of_pixels(self.image_bpc):
            block_bpc = self._updated(prompts, pixels)
            keyed_bpc = block_bpc + self._positions_pc[pixels]
            scores_bkp[prompts, :, pixels] = torch.bmm(
                queries_bkc[prompts], keyed_bpc.mT
            )
        self._pending = self._shared = None
        return attend_to_image(attention, scores_bkp, self.image_bpc)

    def _updated(self, prompts: slice, pixels: slice) -> Tensor:
        block_bpc = self.image_bpc[prompts, pixels]
        if self._pending is None:
            return block_bpc
        keys_values, norm = self._pending[0].take(prompts), self._pending[1]
        if self._shared is not None:
            changed_bpc = keys_values.attend_to_tokens_shared(
                self._shared.unprompted_pc[pixels], self._shared.queries_hpd[:, pixels]
            )
        else:
            keyed_bpc = block_bpc + self._positions_pc[pixels]
            changed_bpc = keys_values.attend_to_tokens(block_bpc, keyed_bpc)
        return block_bpc.copy_(norm(changed_bpc))
