"""Points, boxes and masks -> embeddings for the mask decoder.

Attribute names are the keys of SAM's published checkpoints; do not rename them.
"Segment Anything" (2023), section 3 and appendix A.
"""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor, nn

from napari_sam.model.layers import LayerNorm2d

NEGATIVE, POSITIVE, BOX_START, BOX_END = range(4)
NOT_A_POINT = -1


class PositionEmbeddingRandom(nn.Module):
    """Positions as sines and cosines of random projections."""

    def __init__(self, frequencies: int) -> None:
        super().__init__()
        self.register_buffer(
            "positional_encoding_gaussian_matrix", torch.randn(2, frequencies)
        )
        self.positional_encoding_gaussian_matrix: Tensor

    def forward(self, xy: Tensor) -> Tensor:
        """Encode positions (..., 2), 0..1 across the image: (..., 2 * frequencies)."""
        angles = 2 * pi * ((2 * xy - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, side: int) -> Tensor:
        """Encode the pixel centres of a square map: (2 * frequencies, side, side)."""
        matrix = self.positional_encoding_gaussian_matrix
        steps = (torch.arange(side, device=matrix.device) + 0.5).to(matrix) / side
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        out: Tensor = self(torch.stack([x, y], dim=-1))
        return out.permute(2, 0, 1)


class PromptEncoder(nn.Module):
    """Encode prompts.

    Parameters
    ----------
    embed_dim
        Channels of every embedding.
    image_embedding_side
        Side of the image embedding, in its own pixels.
    input_image_side
        Side of the padded image, in pixels.
    mask_in_chans
        Hidden channels of the mask prompt's convolutions.
    """

    def __init__(
        self,
        embed_dim: int,
        image_embedding_side: int,
        input_image_side: int,
        mask_in_chans: int,
    ) -> None:
        super().__init__()
        self.image_embedding_side = image_embedding_side
        self.input_image_side = input_image_side
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        self.point_embeddings = nn.ModuleList(
            nn.Embedding(1, embed_dim) for _ in (NEGATIVE, POSITIVE, BOX_START, BOX_END)
        )
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_in_chans // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans // 4),
            nn.GELU(),
            nn.Conv2d(mask_in_chans // 4, mask_in_chans, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans),
            nn.GELU(),
            nn.Conv2d(mask_in_chans, embed_dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, embed_dim)

    def get_dense_pe(self) -> Tensor:
        """Positions of the image embedding's pixels, (1, c, side, side)."""
        return self.pe_layer.grid(self.image_embedding_side)[None]

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Embed the prompts of b objects.

        Parameters
        ----------
        points
            (b, n, 2) (x, y) in pixels of the padded image, and (b, n) labels:
            1 on the object, 0 off it, -1 to be ignored.
        boxes
            (b, 4) x0, y0, x1, y1.
        masks
            (b, 1, 4 * side, 4 * side) logits.

        Returns
        -------
        tuple of Tensor
            Tokens (b, n', c) of points and boxes, and the mask's map (b, c, side,
            side).
        """
        tokens = [self._no_tokens(points, boxes, masks)]
        if points is not None:
            tokens.append(self._embed_points(*points, pad=boxes is None))
        if boxes is not None:
            tokens.append(self._embed_boxes(boxes))
        sparse_bnc = torch.cat(tokens, dim=1)
        side = self.image_embedding_side
        if masks is not None:
            dense_bchw = self.mask_downscaling(masks)
        else:
            dense_bchw = self.no_mask_embed.weight[:, :, None, None].expand(
                sparse_bnc.shape[0], -1, side, side
            )
        return sparse_bnc, dense_bchw

    def _no_tokens(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> Tensor:
        given = [x for x in (points and points[0], boxes, masks) if x is not None]
        count = given[0].shape[0] if given else 1
        weight = self.no_mask_embed.weight
        return weight.new_zeros(count, 0, weight.shape[1])

    def _embed_points(self, xy_bn2: Tensor, labels_bn: Tensor, *, pad: bool) -> Tensor:
        # Integer coordinates mean pixel centres. Without a box a token that is not
        # a point is added, as in training.
        xy = (xy_bn2 + 0.5) / self.input_image_side
        if pad:
            xy = torch.cat([xy, xy.new_zeros(xy.shape[0], 1, 2)], dim=1)
            ignored = labels_bn.new_full((labels_bn.shape[0], 1), NOT_A_POINT)
            labels_bn = torch.cat([labels_bn, ignored], dim=1)
        labels = labels_bn[..., None]
        position = torch.where(labels == NOT_A_POINT, 0.0, self.pe_layer(xy))
        kind = torch.zeros_like(position)
        for value, embedding in (
            (NOT_A_POINT, self.not_a_point_embed),
            (NEGATIVE, self.point_embeddings[NEGATIVE]),
            (POSITIVE, self.point_embeddings[POSITIVE]),
        ):
            kind = torch.where(labels == value, _weight(embedding), kind)
        return position + kind

    def _embed_boxes(self, boxes_b4: Tensor) -> Tensor:
        corners = (boxes_b4.view(-1, 2, 2) + 0.5) / self.input_image_side
        kinds = [_weight(self.point_embeddings[kind]) for kind in (BOX_START, BOX_END)]
        out: Tensor = self.pe_layer(corners) + torch.cat(kinds)
        return out


def _weight(embedding: nn.Module) -> Tensor:
    """The (1, c) table of one of the embeddings; a ModuleList forgets their type."""
    weight = embedding.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"An embedding needs a tensor of weights, got {type(weight)}.")
    return weight
