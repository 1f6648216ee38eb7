"""The decoder's upscaling as matrix products, a row for each pixel.

A transposed convolution that doubles a map has kernels of 2 x 2 that do not overlap:
it makes 4 pixels of each by one matrix product. Pixels stay rows until the masks, of
one channel, become maps:

    p pixels, c channels  ->  p x (2 x 2)  ->  p x (2 x 2) x (2 x 2)  ->  4h x 4w
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.layers import LayerNorm2d
from napari_sam.model.mask_decoder import MaskDecoder

PIXELS_AT_ONCE_ON_CPU = 1024
"""Their upscaled channels are 2 MB, which stays in the cache."""
PIXELS_AT_ONCE = 65536


@dataclass(frozen=True, slots=True, eq=False)
class Upscaling:
    """The weights of `MaskDecoder.output_upscaling` as matrices (out, in)."""

    first: tuple[Tensor, Tensor]
    norm: LayerNorm2d
    second: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, decoder: MaskDecoder) -> Upscaling:
        """As the decoder's weights are now."""
        first, norm, _, second, _ = decoder.output_upscaling
        if not (
            isinstance(first, nn.ConvTranspose2d)
            and isinstance(norm, LayerNorm2d)
            and isinstance(second, nn.ConvTranspose2d)
        ):
            raise TypeError(
                "A mask decoder's upscaling needs transposed convolutions around a "
                f"LayerNorm2d, got {decoder.output_upscaling}."
            )
        return cls(_as_matrix(first), norm, _as_matrix(second))

    def __call__(self, rows_nc: Tensor) -> Tensor:
        """Channels (n * 16, c') of the 16 pixels that each pixel becomes."""
        x = F.linear(rows_nc, *self.first).view(-1, len(self.norm.weight))
        x = F.layer_norm(
            x, x.shape[-1:], self.norm.weight, self.norm.bias, self.norm.eps
        )
        x = F.linear(F.gelu(x), *self.second)
        return F.gelu(x).view(16 * len(rows_nc), -1)

    def draw(
        self,
        filters_bmc: Tensor,
        image_bpc: Tensor,
        shape: tuple[int, int],
        wanted_bm: Tensor | None = None,
    ) -> Tensor:
        """Logits (k, 4h, 4w) of the masks that are wanted, prompt by prompt.

        Parameters
        ----------
        filters_bmc
            From `MaskDecoder.filters`.
        image_bpc
            Each prompt's image.
        shape
            (height, width) of the image, p pixels.
        wanted_bm
            Which masks are wanted; None: all.
        """
        b, m, _ = filters_bmc.shape
        p = image_bpc.shape[1]
        logits_bmpq = image_bpc.new_empty(b, m, p, 16)
        for prompts, pixels in blocks_of_pixels(image_bpc):
            block_bpc = image_bpc[prompts, pixels]
            upscaled_qc = self(block_bpc.flatten(0, 1))
            upscaled_bqc = upscaled_qc.view(len(block_bpc), -1, upscaled_qc.shape[1])
            part_bmq = torch.bmm(filters_bmc[prompts], upscaled_bqc.mT)
            logits_bmpq[prompts, :, pixels] = part_bmq.view(*part_bmq.shape[:2], -1, 16)
        if wanted_bm is None:
            return _to_maps(logits_bmpq.flatten(0, 1), shape)
        return _to_maps(logits_bmpq[wanted_bm], shape)


def _as_matrix(layer: nn.ConvTranspose2d) -> tuple[Tensor, Tensor]:
    if layer.bias is None:
        raise TypeError("An upscaling layer needs a bias, got none.")
    # (in, out, 2, 2) -> (2 * 2 * out, in)
    return layer.weight.permute(2, 3, 1, 0).flatten(0, 2), layer.bias.repeat(4)


def blocks_of_pixels(image_bpc: Tensor) -> Iterator[tuple[slice, slice]]:
    """Which prompts and which of their pixels are upscaled at once."""
    b, p, _ = image_bpc.shape
    most = PIXELS_AT_ONCE_ON_CPU if image_bpc.device.type == "cpu" else PIXELS_AT_ONCE
    prompts, pixels = max(most // p, 1), min(most, p)
    for prompt in range(0, b, prompts):
        for pixel in range(0, p, pixels):
            yield slice(prompt, prompt + prompts), slice(pixel, pixel + pixels)


def _to_maps(logits_kpq: Tensor, shape: tuple[int, int]) -> Tensor:
    """Maps (k, 4h, 4w): each of the 16 pixels of a pixel goes where it belongs."""
    k = len(logits_kpq)
    split = logits_kpq.view(k, *shape, 2, 2, 2, 2)
    return split.permute(0, 1, 3, 5, 2, 4, 6).reshape(k, 4 * shape[0], 4 * shape[1])
