"""Small layers that more than one network of SAM uses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn


class LayerNorm2d(nn.Module):
    """Normalise each pixel over its channels."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the same shape."""
        variance, mean = torch.var_mean(x_bchw, dim=1, keepdim=True, correction=0)
        normal_bchw = (x_bchw - mean) * torch.rsqrt(variance + self.eps)
        return normal_bchw * self.weight[:, None, None] + self.bias[:, None, None]


class MLP(nn.Module):
    """Linear layers with ReLU between them, none after the last."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., widths[0]) to (..., widths[-1])."""
        *hidden, last = self.layers
        for layer in hidden:
            x = layer(x).relu()
        out: Tensor = last(x)
        return out


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(
        self, dim: int, hidden: int, activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        out: Tensor = self.lin2(self.activation(self.lin1(x)))
        return out


def neck(channels: int, embedding_channels: int) -> nn.Sequential:
    """The two convolutions that end every image encoder of SAM."""
    return nn.Sequential(
        nn.Conv2d(channels, embedding_channels, kernel_size=1, bias=False),
        LayerNorm2d(embedding_channels),
        nn.Conv2d(
            embedding_channels, embedding_channels, kernel_size=3, padding=1, bias=False
        ),
        LayerNorm2d(embedding_channels),
    )


def partition(x_bhwc: Tensor, side: int) -> Tensor:
    """Cut a map into windows of `side` x `side`: (b * rows * columns, side, side, c).

    The height and the width are multiples of `side`.
    """
    b, h, w, c = x_bhwc.shape
    windows = x_bhwc.view(b, h // side, side, w // side, side, c)
    return windows.transpose(2, 3).reshape(-1, side, side, c)


def unpartition(windows: Tensor, shape: tuple[int, int]) -> Tensor:
    """Put windows back together into a map of (height, width) `shape`, (b, h, w, c)."""
    h, w = shape
    _, side, _, c = windows.shape
    x = windows.view(-1, h // side, w // side, side, side, c)
    return x.transpose(2, 3).reshape(-1, h, w, c)
