"""What `MaskDecoder` computes, in another order of the same sums, for inference.

    embedding --once--> DecoderImage --+--> attend --> expected IoUs --> draw --> logits
    prompts ---------------------------+    each        what nobody      what is
                                            prompt      wants stops      left
                                                        here

The plain way stays what training takes and what this is held to: equal but for the
rounding of the sums. Weights are read off the decoder's parameters at every call, and
arithmetic is of their type; answers are at least float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn

from napari_sam.model.inference.cross_attention import (
    TokenKeysValues,
    answered_by_shared,
    attend_to_image,
    project_queries,
    split_heads,
)
from napari_sam.model.inference.image_tokens import DecoderImage
from napari_sam.model.inference.upscaling import Upscaling, pieces
from napari_sam.model.mask_decoder import MULTIPLE_MASKS, SINGLE_MASK, MaskDecoder
from napari_sam.model.prompt_encoder import PromptEncoder
from napari_sam.model.transformer import Attention, TwoWayAttentionBlock

PIXELS_AT_ONCE_ON_CPU = 16384
"""Of all prompts that are answered together. Fewer would read the weights too often;
more would need more memory, as each has an image of its own."""
PROMPTS_AT_ONCE = 64

MOST_COLUMNS = 192
"""Heads times tokens of a prompt, about 18 clicks: with more of them it is cheaper to
project the pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """Prompts that have met their image, before any mask is drawn.

    Parameters
    ----------
    iou_bm
        Expected IoU of every mask.
    mask_tokens_bmc
        What there is to draw.
    image_bpc
        Each prompt's image, a row for each pixel.
    """

    iou_bm: Tensor
    mask_tokens_bmc: Tensor
    image_bpc: Tensor


def image_of(
    encoder: PromptEncoder, decoder: MaskDecoder, features_chw: Tensor
) -> DecoderImage:
    """An embedding as the decoder reads it; kept by the decoder for the next prompts.

    Parameters
    ----------
    encoder, decoder
        Of one network.
    features_chw
        From the image encoder, of any type.
    """
    block = _blocks(decoder)[0]
    look, back = block.cross_attn_token_to_image, block.cross_attn_image_to_token
    frequencies = encoder.pe_layer.positional_encoding_gaussian_matrix
    weights = chain(
        look.k_proj.parameters(),
        look.v_proj.parameters(),
        back.q_proj.parameters(),
        (encoder.no_mask_embed.weight, frequencies),
    )
    return decoder.recent_images.find(
        features_chw,
        torch.cat([weight.detach().flatten() for weight in weights]),
        lambda: _read(encoder, decoder, features_chw),
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
        From `image_of`.
    sparse_bnc
        What the prompt encoder made of points and boxes.
    dense_bchw
        What it made of mask prompts; None: there are none.
    multimask_output
        Three masks for an ambiguous prompt, or one.

    Returns
    -------
    Logits (b, m, 4h, 4w), > 0 is inside, and expected IoUs (b, m).
    """
    masks = MULTIPLE_MASKS if multimask_output else SINGLE_MASK
    upscaling = Upscaling.of(decoder)
    logits, ious = [], []
    step = prompts_at_once(image)
    for start in range(0, len(sparse_bnc), step):
        some = slice(start, start + step)
        dense = None if dense_bchw is None else dense_bchw[some]
        met = attend(decoder, image, sparse_bnc[some], dense)
        filters = decoder.filters(met.mask_tokens_bmc, masks)
        drawn = upscaling.draw(filters, met.image_bpc, image.shape)
        logits.append(widened(drawn.view(*filters.shape[:2], *drawn.shape[1:])))
        ious.append(widened(met.iou_bm[:, masks]))
    if not logits:
        height, width = (4 * side for side in image.shape)
        count = len(range(len(decoder.mask_tokens.weight))[masks])
        none = widened(image.features_pc.new_zeros(0, count, height, width))
        return none, none[:, :, 0, 0]
    return torch.cat(logits), torch.cat(ious)


@torch.no_grad()
def attend(
    decoder: MaskDecoder,
    image: DecoderImage,
    sparse_bnc: Tensor,
    dense_bchw: Tensor | None = None,
) -> Attended:
    """Let prompts and image look at each other; parameters as of `predict_masks`."""
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
    return Attended(decoder.iou_prediction_head(iou_token), mask_tokens_bmc, image_bpc)


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
    begun: Tensor,
    dense_bchw: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """`TwoWayTransformer.forward`: tokens (b, n, c) and each prompt's (b, p, c)."""
    tokens, transformer = begun, decoder.transformer
    pixels = PromptedPixels(image, len(tokens), dense_bchw)
    for block in _blocks(decoder):
        look, back = block.cross_attn_token_to_image, block.cross_attn_image_to_token
        tokens = block.self_attention_step(tokens, begun)
        tokens = block.mlp_step(tokens, pixels.seen(look, tokens + begun))
        pixels.hear(TokenKeysValues.of(back, tokens + begun, tokens), block.norm4)
    seen = pixels.seen(transformer.final_attn_token_to_image, tokens + begun)
    return transformer.norm_final_attn(tokens + seen), pixels.image_bpc


def _start(image: DecoderImage, dense_bchw: Tensor | None) -> Tensor:
    """The image before anybody has looked, (1 or b, p, c)."""
    if dense_bchw is None:
        return image.unprompted_pc[None]
    dense_bpc = dense_bchw.flatten(2).mT.to(image.features_pc)
    return torch.add(image.features_pc, dense_bpc).contiguous()


def _as_map(x_bpc: Tensor, image: DecoderImage) -> Tensor:
    b, _, c = x_bpc.shape
    return x_bpc.mT.reshape(b, c, *image.shape)


def _blocks(decoder: MaskDecoder) -> list[TwoWayAttentionBlock]:
    return cast("list[TwoWayAttentionBlock]", list(decoder.transformer.layers))


@torch.no_grad()
def _read(
    encoder: PromptEncoder, decoder: MaskDecoder, features_chw: Tensor
) -> DecoderImage:
    block = _blocks(decoder)[0]
    weight = decoder.iou_token.weight
    features, position = (
        x_chw.to(weight).flatten(1).mT.contiguous()
        for x_chw in (features_chw, encoder.get_dense_pe()[0])
    )
    unprompted = features + encoder.no_mask_embed.weight.to(weight)
    placed = unprompted + position
    look, back = block.cross_attn_token_to_image, block.cross_attn_image_to_token
    height, width = features_chw.shape[1:]
    return DecoderImage(
        (height, width),
        features,
        position,
        unprompted,
        split_heads(look.k_proj(placed), look.heads).contiguous(),
        split_heads(look.v_proj(unprompted), look.heads).contiguous(),
        split_heads(back.q_proj(placed), back.heads).contiguous(),
    )


class PromptedPixels:
    """The image of each prompt, changed by what the prompt's tokens tell it.

    What it hears waits until somebody looks: both are done for some pixels at a time,
    while they are in the cache.
    """

    def __init__(
        self, image: DecoderImage, prompts: int, dense_bchw: Tensor | None
    ) -> None:
        self._shared = image if dense_bchw is None else None
        self._positions_pc = image.position_pc
        self._heard: tuple[TokenKeysValues, nn.Module] | None = None
        if dense_bchw is None:
            like = image.unprompted_pc
            self.image_bpc = like.new_empty(prompts, *like.shape)
        else:
            self.image_bpc = _start(image, dense_bchw)

    def hear(self, telling: TokenKeysValues, norm: nn.Module) -> None:
        """Note what is told."""
        self._heard = telling, norm

    def seen(self, look: Attention, tokens_bnc: Tensor) -> Tensor:
        """What tokens see, (b, n, c), after the image has heard what it was told."""
        if self._heard is None and self._shared is not None:
            return answered_by_shared(
                look, tokens_bnc, self._shared.keys_hpd, self._shared.values_hpd
            )
        asked_bkc = project_queries(look, tokens_bnc)
        scores_bkp = asked_bkc.new_empty(*asked_bkc.shape[:2], len(self._positions_pc))
        for prompts, pixels in pieces(self.image_bpc):
            piece_bpc = self._updated(prompts, pixels)
            placed_bpc = piece_bpc + self._positions_pc[pixels]
            scores_bkp[prompts, :, pixels] = torch.bmm(
                asked_bkc[prompts], placed_bpc.mT
            )
        self._heard = self._shared = None
        return attend_to_image(look, scores_bkp, self.image_bpc)

    def _updated(self, prompts: slice, pixels: slice) -> Tensor:
        piece_bpc = self.image_bpc[prompts, pixels]
        if self._heard is None:
            return piece_bpc
        telling, norm = self._heard[0].to(prompts), self._heard[1]
        if self._shared is not None:
            told_bpc = telling.heard_by_shared(
                self._shared.unprompted_pc[pixels], self._shared.queries_hpd[:, pixels]
            )
        else:
            placed_bpc = piece_bpc + self._positions_pc[pixels]
            told_bpc = telling.attend_to_tokens(piece_bpc, placed_bpc)
        return piece_bpc.copy_(norm(told_bpc))
