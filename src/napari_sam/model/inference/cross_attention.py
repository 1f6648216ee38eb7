"""Attention between few tokens and many pixels, its projections moved to the tokens.

An image has thousands of pixels and a prompt a handful of tokens. `Attention` projects
every pixel to keys, values and queries, and back: three quarters of the decoder's
arithmetic. Matrix products may be bracketed otherwise, with the same result:

    tokens look:  q (x K + k)' = (q K') x' + const     the softmax ignores a constant
                  p (x V + v)  = (p x) V + v           each row of p adds up to 1
    image looks:  (x Q + q) k' = x (Q k') + q k'
                  (p v) O + o  = p (v O + o / heads)   each head's p adds up to 1

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


def project_queries(look: Attention, tokens_bnc: Tensor) -> Tensor:
    """What tokens look for, (b, k, c), to be multiplied with pixels."""
    query_bhnd = _scaled(split_heads(look.q_proj(tokens_bnc), look.heads))
    key_hdc = _by_head(look.k_proj.weight, look.heads)
    return (query_bhnd @ key_hdc).flatten(1, 2)


def attend_to_image(look: Attention, scores_bkp: Tensor, image_bpc: Tensor) -> Tensor:
    """What tokens see, (b, n, c), given `questions` times pixels.

    Equal to `look(tokens, image + positions, image)`.
    """
    b, _, c = image_bpc.shape
    seen_bkc = torch.bmm(scores_bkp.softmax(dim=-1), image_bpc)
    value_hcd = _by_head(look.v_proj.weight, look.heads).mT
    seen_bhnc = seen_bkc.view(b, look.heads, -1, c)
    seen_bhnd = seen_bhnc @ value_hcd
    out: Tensor = look.out_proj(_joined(seen_bhnd) + look.v_proj.bias)
    return out


def answered_by_shared(
    look: Attention, tokens_bnc: Tensor, keys_hpd: Tensor, values_hpd: Tensor
) -> Tensor:
    """What tokens see, (b, n, c), in one image that is projected already."""
    # To one image, the tokens of all prompts are one long list.
    b = len(tokens_bnc)
    query_hmd = split_heads(look.q_proj(tokens_bnc).flatten(0, 1), look.heads)
    seen_1hmd = F.scaled_dot_product_attention(
        query_hmd[None], keys_hpd[None], values_hpd[None]
    )
    _, heads, _, d = seen_1hmd.shape
    seen_bhnd = seen_1hmd.reshape(heads, b, -1, d).transpose(0, 1)
    out: Tensor = look.out_proj(_joined(seen_bhnd))
    return out


@dataclass(frozen=True, slots=True, eq=False)
class TokenKeysValues:
    """What tokens tell an image that looks at them.

    Parameters
    ----------
    keys_bhnd
        Where the tokens want to be heard: to be multiplied with projected pixels.
    keys_bkc, offset_bk1
        The same for pixels, and what to add.
    said_bkc
        What a pixel hears that attends to nothing else.
    """

    keys_bhnd: Tensor
    keys_bkc: Tensor
    offset_bk1: Tensor
    said_bkc: Tensor

    @classmethod
    def of(
        cls, look: Attention, keys_bnc: Tensor, tokens_bnc: Tensor
    ) -> TokenKeysValues:
        """For `look(image, keys, tokens)`."""
        keys_bhnd = _scaled(split_heads(look.k_proj(keys_bnc), look.heads))
        query_hdc = _by_head(look.q_proj.weight, look.heads)
        bias_hd1 = _by_head(look.q_proj.bias[:, None], look.heads)
        value_bhnd = split_heads(look.v_proj(tokens_bnc), look.heads)
        out_hdc = _by_head(look.out_proj.weight.mT, look.heads)
        said_bhnc = value_bhnd @ out_hdc + look.out_proj.bias / look.heads
        return cls(
            keys_bhnd,
            (keys_bhnd @ query_hdc).flatten(1, 2),
            (keys_bhnd @ bias_hd1).flatten(1, 2),
            said_bhnc.flatten(1, 2),
        )

    def to(self, prompts: slice) -> TokenKeysValues:
        """What some prompts' tokens tell."""
        return TokenKeysValues(
            self.keys_bhnd[prompts],
            self.keys_bkc[prompts],
            self.offset_bk1[prompts],
            self.said_bkc[prompts],
        )

    def attend_to_tokens(self, image_bpc: Tensor, placed_bpc: Tensor) -> Tensor:
        """The image and what it hears, where pixels lie at `placed - image`."""
        scores_bkp = torch.bmm(self.keys_bkc, placed_bpc.mT).add_(self.offset_bk1)
        b, heads, n, _ = self.keys_bhnd.shape
        return self._added(image_bpc, scores_bkp.view(b, heads, n, -1))

    def heard_by_shared(self, image_pc: Tensor, queries_hpd: Tensor) -> Tensor:
        """The same of one image whose queries are projected already."""
        b, heads, n, _ = self.keys_bhnd.shape
        keys_hmd = self.keys_bhnd.transpose(0, 1).flatten(1, 2)
        scores_hmp = torch.bmm(keys_hmd, queries_hpd.mT)
        scores_bhnp = scores_hmp.view(heads, b, n, -1).transpose(0, 1)
        return self._added(image_pc.expand(b, -1, -1), scores_bhnp)

    def _added(self, image_bpc: Tensor, scores_bhnp: Tensor) -> Tensor:
        weights_bkp = scores_bhnp.softmax(dim=2).flatten(1, 2)
        return torch.baddbmm(image_bpc, weights_bkp.mT, self.said_bkc)


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
