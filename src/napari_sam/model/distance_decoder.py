"""micro-sam's instance decoder: the embedding of any SAM -> foreground and distances.

A UNETR whose only input is the embedding. What stands in for the encoder's stages is
made from the embedding too, by a chain of upscaling blocks:

    embedding --base--> +z1 --> +z2 --> +z3 --> enlarge --> +z4 --> 3 maps
        |               |       |       |                   |
        +------ z1 -----+-- z2 -+-- z3 -+-------- z4 -------+

Attribute names are the keys of the published files; do not rename them. Files come in
two variants, told apart by their keys: maps are enlarged by interpolation and a
convolution of one pixel (`conv`), or by a transposed convolution (`block`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (512, 256, 128, 64)
DISTANCE_MAPS = 3
TRANSPOSED_KEY = "decoder.samplers.0.block.weight"
DISTANCE_KEY = "decoder_head.block.1.weight"
"""A key that every such file has, and no other file of weights."""


class InterpolatedEnlarging(nn.Module):
    """Twice the size by interpolation, then another width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return (b, out_channels, 2h, 2w)."""
        larger = F.interpolate(x_bchw, scale_factor=2.0, mode="bilinear")
        out: Tensor = self.conv(larger)
        return out


class TransposedEnlarging(nn.Module):
    """Twice the size and another width by a transposed convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size=2, stride=2
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return (b, out_channels, 2h, 2w)."""
        out: Tensor = self.block(x_bchw)
        return out


Enlarging = type[InterpolatedEnlarging] | type[TransposedEnlarging]


class NormalisedConvolutions(nn.Module):
    """Two convolutions, each of maps that are normalised by themselves first."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (in_channels, out_channels):
            layers += [
                nn.InstanceNorm2d(channels),
                nn.Conv2d(channels, out_channels, kernel_size=3, padding=1),
                nn.ReLU(),
            ]
        self.block = nn.Sequential(*layers)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return (b, out_channels, h, w)."""
        out: Tensor = self.block(x_bchw)
        return out


class Filter(nn.Module):
    """A convolution, with the name that files give it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the same shape."""
        out: Tensor = self.block(x_bchw)
        return out


class EnlargingBlock(nn.Module):
    """A link of the chain that stands in for the encoder's stages."""

    def __init__(
        self, in_channels: int, out_channels: int, enlarging: Enlarging
    ) -> None:
        super().__init__()
        self.block = nn.Sequential(
            enlarging(in_channels, out_channels),
            Filter(out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return (b, out_channels, 2h, 2w)."""
        out: Tensor = self.block(x_bchw)
        return out


class Decoder(nn.Module):
    """Enlarge three times, each time with a link of the chain beside it."""

    def __init__(self, enlarging: Enlarging) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(WIDTHS))
        self.samplers = nn.ModuleList(enlarging(*pair) for pair in pairs)
        self.blocks = nn.ModuleList(NormalisedConvolutions(*pair) for pair in pairs)

    def forward(self, x_bchw: Tensor, links: list[Tensor]) -> Tensor:
        """Return (b, 64, 8h, 8w)."""
        for sampler, block, link in zip(self.samplers, self.blocks, links, strict=True):
            x_bchw = sampler(x_bchw)
            x_bchw = block(torch.cat([x_bchw, middle_channels(link, x_bchw)], dim=1))
        return x_bchw


class DistanceDecoder(nn.Module):
    """micro-sam's instance decoder.

    Parameters
    ----------
    channels
        Of the embedding.
    enlarging
        Which of the two variants.
    """

    def __init__(self, channels: int, enlarging: Enlarging) -> None:
        super().__init__()
        first, *_, last = WIDTHS
        widths = (channels, *WIDTHS)
        chain = [
            EnlargingBlock(*pair, enlarging) for pair in itertools.pairwise(widths)
        ]
        self.deconv1, self.deconv2, self.deconv3, self.deconv4 = chain
        self.base = NormalisedConvolutions(channels, first)
        self.decoder = Decoder(enlarging)
        self.deconv_out = enlarging(last, last)
        self.decoder_head = NormalisedConvolutions(2 * last, last)
        self.out_conv = nn.Conv2d(last, DISTANCE_MAPS, kernel_size=1)

    @classmethod
    def like(cls, state: Mapping[str, Tensor]) -> DistanceDecoder:
        """The network whose weights `state` are, by its keys and shapes.

        Raises
        ------
        KeyError
            A key is missing by which it is known.
        """
        is_transposed = TRANSPOSED_KEY in state
        enlarging: Enlarging = (
            TransposedEnlarging if is_transposed else InterpolatedEnlarging
        )
        return cls(state["base.block.1.weight"].shape[1], enlarging)

    def forward(self, embedding_bchw: Tensor) -> Tensor:
        """Logits of the maps over the padded square that SAM encodes.

        Returns
        -------
        (b, 3, 16h, 16w): of being object, and of the distances to the object's centre
        and to its border; their sigmoid is 0..1, low in the middle and 1 outside.
        """
        z1 = self.deconv1(embedding_bchw)
        z2 = self.deconv2(z1)
        z3 = self.deconv3(z2)
        z4 = self.deconv4(z3)
        x_bchw = self.decoder(self.base(embedding_bchw), [z1, z2, z3])
        x_bchw = torch.cat([self.deconv_out(x_bchw), z4], dim=1)
        out: Tensor = self.out_conv(self.decoder_head(x_bchw))
        return out


def middle_channels(x_bchw: Tensor, like_bchw: Tensor) -> Tensor:
    """As many channels as `like_bchw` has, out of the middle.

    Links have twice as many as there is room for beside them; the published weights
    were trained with those in the middle.
    """
    count = like_bchw.shape[1]
    start = (x_bchw.shape[1] - count) // 2
    return x_bchw[:, start : start + count]
