"""Attention between few tokens and many pixels, its projections moved to the tokens.

An image has thousands of pixels and a prompt a handful of tokens. `Attention` projects
every pixel to keys, values and queries, and back: three quarters of the decoder's
arithmetic. Matrix products may be bracketed otherwise, with the same result:

    tokens to image:  q (x K + k)' = (q K') x' + const   the softmax ignores a constant
                      p (x V + v)  = (p x) V + v         each row of p adds up to 1
    image to tokens:  (x Q + q) k' = x (Q k') + q k'
                      (p v) O + o  = p (v O + o / heads)  each head's p adds up to 1

so that pixels are only ever multiplied with one column for each head and token.

Axis suffixes: b prompts, n tokens, p pixels, c channels, h heads, d channels of a
head, k one for each head and token.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model.transformer import Attention


def project_queries(attention: Attention, tokens_bnc: Tensor) -> Tensor:
    """The queries of tokens as (b, k, c), to be multiplied with unprojected pixels."""
    query_bhnd = _scaled(split_heads(attention.q_proj(tokens_bnc), attention.heads))
    key_hdc = _by_head(attention.k_proj.weight, attention.heads)
    return (query_bhnd @ key_hdc).flatten(1, 2)


def attend_to_image(
    attention: Attention, scores_bkp: Tensor, image_bpc: Tensor
) -> Tensor:
    """What tokens read from the image, (b, n, c), given their queries times pixels.

    It equals `attention(tokens, image + positions, image)`.
    """
    b, _, c = image_bpc.shape
    read_bkc = torch.bmm(scores_bkp.softmax(dim=-1), image_bpc)
    value_hcd = _by_head(attention.v_proj.weight, attention.heads).mT
    read_bhnc = read_bkc.view(b, attention.heads, -1, c)
    read_bhnd = read_bhnc @ value_hcd
    out: Tensor = attention.out_proj(_joined(read_bhnd) + attention.v_proj.bias)
    return out


def attend_to_shared_image(
    attention: Attention, tokens_bnc: Tensor, keys_hpd: Tensor, values_hpd: Tensor
) -> Tensor:
    """What tokens read, (b, n, c), from one image that is projected already."""
    # To one image, the tokens of all prompts are one long list.
    b = len(tokens_bnc)
    query_hmd = split_heads(attention.q_proj(tokens_bnc).flatten(0, 1), attention.heads)
    read_1hmd = F.scaled_dot_product_attention(
        query_hmd[None], keys_hpd[None], values_hpd[None]
    )
    _, heads, _, d = read_1hmd.shape
    read_bhnd = read_1hmd.reshape(heads, b, -1, d).transpose(0, 1)
    out: Tensor = attention.out_proj(_joined(read_bhnd))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class TokenKeysValues:
    """Keys and values of tokens, for an image that attends to them.

    Parameters
    ----------
    keys_bhnd
        To be multiplied with projected pixels.
    keys_bkc, offset_bk1
        The same for pixels that are not projected, and what to add to the product.
    values_bkc
        What a pixel gets that attends to nothing else, projected back to its channels.
    """

    keys_bhnd: Tensor
    keys_bkc: Tensor
    offset_bk1: Tensor
    values_bkc: Tensor

    @classmethod
    def of(
        cls, attention: Attention, keys_bnc: Tensor, tokens_bnc: Tensor
    ) -> TokenKeysValues:
        """For `attention(image, keys, tokens)`."""
        heads = attention.heads
        keys_bhnd = _scaled(split_heads(attention.k_proj(keys_bnc), heads))
        query_hdc = _by_head(attention.q_proj.weight, heads)
        bias_hd1 = _by_head(attention.q_proj.bias[:, None], heads)
        value_bhnd = split_heads(attention.v_proj(tokens_bnc), heads)
        out_hdc = _by_head(attention.out_proj.weight.mT, heads)
        values_bhnc = value_bhnd @ out_hdc + attention.out_proj.bias / heads
        return cls(
            keys_bhnd,
            (keys_bhnd @ query_hdc).flatten(1, 2),
            (keys_bhnd @ bias_hd1).flatten(1, 2),
            values_bhnc.flatten(1, 2),
        )

    def take(self, prompts: slice) -> TokenKeysValues:
        """Those of some prompts."""
        return TokenKeysValues(
            self.keys_bhnd[prompts],
            self.keys_bkc[prompts],
            self.offset_bk1[prompts],
            self.values_bkc[prompts],
        )

    def attend_to_tokens(self, image_bpc: Tensor, keyed_bpc: Tensor) -> Tensor:
        """The image plus what it reads from the tokens; `keyed` has positions added."""
        scores_bkp = torch.bmm(self.keys_bkc, keyed_bpc.mT).add_(self.offset_bk1)
        b, heads, n, _ = self.keys_bhnd.shape
        return self._added(image_bpc, scores_bkp.view(b, heads, n, -1))

    def attend_to_tokens_shared(self, image_pc: Tensor, queries_hpd: Tensor) -> Tensor:
        """The same of one image whose queries are projected already."""
        b, heads, n, _ = self.keys_bhnd.shape
        keys_hmd = self.keys_bhnd.transpose(0, 1).flatten(1, 2)
        scores_hmp = torch.bmm(keys_hmd, queries_hpd.mT)
        scores_bhnp = scores_hmp.view(heads, b, n, -1).transpose(0, 1)
        return self._added(image_pc.expand(b, -1, -1), scores_bhnp)

    def _added(self, image_bpc: Tensor, scores_bhnp: Tensor) -> Tensor:
        weights_bkp = scores_bhnp.softmax(dim=2).flatten(1, 2)
        return torch.baddbmm(image_bpc, weights_bkp.mT, self.values_bkc)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., n, h * d) -> (..., h, n, d)."""
    out: Tensor = x.reshape(*x.shape[:-1], heads, -1).transpose(-3, -2)
    return out


def _by_head(weight: Tensor, heads: int) -> Tensor:
    """(h * d, c) -> (h, d, c)."""
    return weight.reshape(heads, -1, weight.shape[1])


def _joined(x_bhnd: Tensor) -> Tensor:
    return x_bhnd.transpose(1, 2).flatten(2)


def _scaled(x_hnd: Tensor) -> Tensor:
    return x_hnd / sqrt(x_hnd.shape[-1])
