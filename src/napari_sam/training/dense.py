"""Auxiliary maps that are predicted from the embedding, in training only.

They tell every pixel of the encoder something at every step (is this an object, is
this an edge, which way is the object's centre), where a prompt speaks of one object.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import find_boundaries
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.training.crops import Crop

CHANNELS = 4
OFFSET_UNITS = 8.0
"""Offsets to the centre are in eighths of the crop's side, so that they are near 1."""

STRIDE = 4


class DenseHead(nn.Module):
    """The maps, four times the size of the embedding."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 4, kernel_size=2, stride=2),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 4, channels // 8, kernel_size=2, stride=2),
            nn.GELU(),
            nn.Conv2d(channels // 8, CHANNELS, kernel_size=3, padding=1),
        )

    def forward(self, embedding_bchw: Tensor) -> Tensor:
        """Return (b, CHANNELS, 4h, 4w): object and edge logits, (y, x) offsets."""
        out: Tensor = self.layers(embedding_bchw)
        return out


def dense_targets(crop: Crop) -> NDArray[np.float32]:
    """What the maps should be: (CHANNELS, size / 4, size / 4)."""
    labels = crop.labels_hw[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
    foreground = labels > 0
    edge = find_boundaries(crop.labels_hw, mode="inner")  # type: ignore[no-untyped-call]
    side = labels.shape[0]
    edge = edge.reshape(side, STRIDE, side, STRIDE).any(axis=(1, 3))
    ids = np.unique(labels[foreground])
    offsets = np.zeros((2, side, side), dtype=np.float32)
    for axis, positions in enumerate(np.mgrid[:side, :side]):
        means = np.zeros(int(labels.max()) + 1)
        if ids.size:
            means[ids] = ndimage.mean(positions, labels, ids)
        offsets[axis] = (means[labels] - positions) * OFFSET_UNITS / side
    maps = np.concatenate([np.stack([foreground, edge]), offsets * foreground])
    return maps.astype(np.float32)


def dense_loss(predicted_bchw: Tensor, target_bchw: Tensor) -> Tensor:
    """Cross entropy of object and edge, and the error of the offsets inside objects."""
    where = F.binary_cross_entropy_with_logits(
        predicted_bchw[:, :2], target_bchw[:, :2]
    )
    inside = target_bchw[:, :1]
    off = (predicted_bchw[:, 2:] - target_bchw[:, 2:]).abs() * inside
    return where + off.sum() / (2 * inside.sum()).clamp(min=1)
