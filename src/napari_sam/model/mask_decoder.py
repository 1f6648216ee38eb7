"""Image embedding + prompt embeddings -> mask logits and predicted IoUs.

This is the plain way, which training takes and which every other is held to; answers
to a user come from the same weights through `napari_sam.model.inference.mask_decoder`.

Attribute names are the keys of SAM's published checkpoints; do not rename them.
Axis suffixes: b prompts, m masks, c channels, h w positions. "Segment Anything"
(2023), section 3 and appendix A.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_sam.model.layers import MLP, LayerNorm2d
from napari_sam.model.transformer import TwoWayTransformer

SINGLE_MASK = slice(0, 1)
MULTIPLE_MASKS = slice(1, None)


class MaskDecoder(nn.Module):
    """Predict masks from prompts.

    Parameters
    ----------
    transformer
        Lets tokens and image attend to each other.
    channels
        Width of tokens and image embedding.
    masks
        Mask tokens: the first is for a prompt that is clear, the others answer one
        that could mean several objects.
    iou_hidden
        Width of the IoU head.
    """

    def __init__(
        self, transformer: TwoWayTransformer, channels: int, masks: int, iou_hidden: int
    ) -> None:
        super().__init__()
        mid, low = channels // 4, channels // 8
        self.transformer = transformer
        self.iou_token = nn.Embedding(1, channels)
        self.mask_tokens = nn.Embedding(masks, channels)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(channels, mid, kernel_size=2, stride=2),
            LayerNorm2d(mid),
            nn.GELU(),
            nn.ConvTranspose2d(mid, low, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(channels, channels, channels, low) for _ in range(masks)
        )
        self.iou_prediction_head = MLP(channels, iou_hidden, iou_hidden, masks)

    def forward(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_bnc: Tensor,
        dense_bchw: Tensor,
        *,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Answer the prompts of b objects on one image, or on an image each.

        Parameters
        ----------
        image_embeddings
            (1 or b, c, h, w).
        image_pe
            (1, c, h, w), from `PromptEncoder.get_dense_pe`.
        sparse_bnc, dense_bchw
            What the prompt encoder made of the prompts.
        multimask_output
            Three masks for an ambiguous prompt, or one.

        Returns
        -------
        tuple of Tensor
            Logits (b, m, 4h, 4w), > 0 is inside, and predicted IoUs (b, m).
        """
        logits_bmhw, iou_bm = self.all_masks(
            image_embeddings, image_pe, sparse_bnc, dense_bchw
        )
        wanted = MULTIPLE_MASKS if multimask_output else SINGLE_MASK
        return logits_bmhw[:, wanted], iou_bm[:, wanted]

    def all_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_bnc: Tensor,
        dense_bchw: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Every mask token's logits (b, m, 4h, 4w) and predicted IoUs (b, m)."""
        iou_bm, mask_tokens_bmc, image_bchw = self.attend(
            image_embeddings, image_pe, sparse_bnc, dense_bchw
        )
        return self.draw(mask_tokens_bmc, image_bchw), iou_bm

    def attend(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_bnc: Tensor,
        dense_bchw: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Let prompts and image attend to each other, before any mask is drawn.

        Returns
        -------
        tuple of Tensor
            Predicted IoUs (b, m), mask tokens (b, m, c), and each prompt's image
            (b, c, h, w): what `draw` needs, for all prompts or some of them.
        """
        tokens = self.tokens(sparse_bnc)
        image_bchw = image_embeddings + dense_bchw
        tokens, image = self.transformer(image_bchw, image_pe, tokens)
        iou_token, mask_tokens_bmc = self.own_tokens(tokens)
        image_bchw = image.transpose(1, 2).reshape(len(tokens), *image_bchw.shape[1:])
        return self.iou_prediction_head(iou_token), mask_tokens_bmc, image_bchw

    def tokens(self, sparse_bnc: Tensor) -> Tensor:
        """The decoder's own tokens and a prompt's, (b, 1 + m + n, c)."""
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        return torch.cat([own.expand(len(sparse_bnc), -1, -1), sparse_bnc], dim=1)

    def own_tokens(self, tokens_bnc: Tensor) -> tuple[Tensor, Tensor]:
        """Of `tokens`, that for the IoUs (b, c) and those for the masks (b, m, c)."""
        masks = self.mask_tokens.weight.shape[0]
        return tokens_bnc[:, 0], tokens_bnc[:, 1 : 1 + masks]

    def draw(self, mask_tokens_bmc: Tensor, image_bchw: Tensor) -> Tensor:
        """Logits (b, m, 4h, 4w) of what `attend` returned."""
        upscaled = self.output_upscaling(image_bchw)
        filters_bmc = self.filters(mask_tokens_bmc, slice(None))
        return torch.einsum("bmc,bchw->bmhw", filters_bmc, upscaled)

    def filters(self, mask_tokens_bmc: Tensor, masks: slice) -> Tensor:
        """What finds some of the masks in the upscaled image: (b, m, c / 8)."""
        mlps = zip(
            self.output_hypernetworks_mlps[masks],
            mask_tokens_bmc[:, masks].unbind(dim=1),
            strict=True,
        )
        return torch.stack([mlp(token_bc) for mlp, token_bc in mlps], dim=1)
