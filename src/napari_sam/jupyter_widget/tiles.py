"""Pixels, labels and masks for the browser: tiles of a pyramid, packed to be sent.

    image      PNG at level 0, where single pixels are seen, JPEG above
    labels     ids as little-endian uint32, deflated: the browser colours them
    candidate  bits, deflated, over a pyramid of level 0 halved again and again
    preview    as the candidate

A tile is at most 512 pixels wide and high, so a message stays small whatever the size
of the image, and what is not wanted any more is not in the way for long.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.labels import LabelStore
from napari_sam.masks import Mask
from napari_sam.predictor import Candidate

Kind = Literal["image", "labels", "candidate", "preview"]
Encoding = Literal["png", "jpeg", "ids", "bits", "empty"]
Ranges = tuple[tuple[float, float], ...]

SIDE = 512
"""Of a tile, in pixels of its level."""

JPEG_QUALITY = 88
MOST_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class TileKey:
    """Names a tile: row and column count tiles of a level of a plane."""

    kind: Kind
    plane: tuple[int, ...]
    level: int
    row: int
    column: int

    def box(self, shape: tuple[int, int]) -> Box | None:
        """Its pixels in a level of this shape; None where there are none."""
        y, x = self.row * SIDE, self.column * SIDE
        if y >= shape[0] or x >= shape[1]:
            return None
        return Box(y, x, min(y + SIDE, shape[0]), min(x + SIDE, shape[1]))


@dataclass(frozen=True, slots=True)
class PackedTile:
    """What is sent for a key.

    Parameters
    ----------
    key
        As it was requested.
    encoding
        Of the data; "empty" has none, and means background.
    shape
        (height, width) in pixels of the level.
    data
        Bytes.
    """

    key: TileKey
    encoding: Encoding
    shape: tuple[int, int]
    data: bytes = b""


def image_tile(
    image: Image, key: TileKey, contrast: Ranges | None
) -> PackedTile | None:
    """Pixels as they are shown; None for a tile that the image does not have."""
    if key.level >= len(image.levels):
        return None
    box = key.box(image.levels[key.level].shape)
    if box is None:
        return None
    pixels_hwc = image.read_rgb(key.plane, key.level, box, contrast)
    is_gray = len(image.channels) == 1
    picture = Picture.fromarray(
        np.ascontiguousarray(pixels_hwc[..., 0]) if is_gray else pixels_hwc
    )
    packed = BytesIO()
    if key.level == 0:
        picture.save(packed, "PNG", compress_level=1)
        return PackedTile(key, "png", box.shape, packed.getvalue())
    picture.save(packed, "JPEG", quality=JPEG_QUALITY)
    return PackedTile(key, "jpeg", box.shape, packed.getvalue())


def label_shapes(labels: LabelStore) -> list[tuple[int, int]]:
    """(height, width) of each level of the labels."""
    return [(level.shape[-2], level.shape[-1]) for level in labels.levels]


def label_tile(
    labels: LabelStore, key: TileKey, shapes: list[tuple[int, int]]
) -> PackedTile | None:
    """Ids as they are on disk; None for a tile that the labels do not have."""
    if key.level >= len(shapes):
        return None
    box = key.box(shapes[key.level])
    if box is None:
        return None
    ids_hw = labels.read(key.plane, box, key.level)
    if not ids_hw.any():
        return PackedTile(key, "empty", box.shape)
    data = zlib.compress(np.ascontiguousarray(ids_hw, dtype="<u4").tobytes(), 1)
    return PackedTile(key, "ids", box.shape, data)


def mask_tile(
    candidate: Candidate | None, key: TileKey, shape: tuple[int, int]
) -> PackedTile | None:
    """A part of a candidate; every 2^level-th pixel of it, as label levels have it."""
    if key.level > MOST_HALVINGS:
        return None
    step = 1 << key.level
    box = key.box((-(-shape[0] // step), -(-shape[1] // step)))
    if box is None:
        return None
    if candidate is None or candidate.plane != key.plane:
        return PackedTile(key, "empty", box.shape)
    mask_hw = sampled(candidate.mask, candidate.box, box, step)
    if not mask_hw.any():
        return PackedTile(key, "empty", box.shape)
    return PackedTile(
        key, "bits", box.shape, zlib.compress(np.packbits(mask_hw).tobytes(), 1)
    )


def sampled(mask: Mask, where: Box, box: Box, step: int) -> Mask:
    """Every `step`-th pixel of a mask over `where`, in the frame of a coarser `box`."""
    found: NDArray[np.bool_] = np.zeros(box.shape, dtype=bool)
    y0, x0 = max(-(-where.y0 // step), box.y0), max(-(-where.x0 // step), box.x0)
    y1, x1 = min(-(-where.y1 // step), box.y1), min(-(-where.x1 // step), box.x1)
    if y0 < y1 and x0 < x1:
        rows = slice(y0 * step - where.y0, (y1 - 1) * step - where.y0 + 1, step)
        columns = slice(x0 * step - where.x0, (x1 - 1) * step - where.x0 + 1, step)
        inside = (slice(y0 - box.y0, y1 - box.y0), slice(x0 - box.x0, x1 - box.x0))
        found[inside] = mask[rows, columns]
    return found


def tiles_of(kind: Kind, candidate: Candidate, level: int, seen: Box) -> list[TileKey]:
    """The tiles of a candidate that are in view, at a level of its pyramid."""
    if not candidate.box.intersects(seen):
        return []
    side = SIDE << level
    part = candidate.box.clip(seen)
    return [
        TileKey(kind, candidate.plane, level, row, column)
        for row in range(part.y0 // side, (part.y1 - 1) // side + 1)
        for column in range(part.x0 // side, (part.x1 - 1) // side + 1)
    ]
