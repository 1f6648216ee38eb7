"""A picture of the last state, for whoever opens the notebook without a kernel.

It is an output of its own below the widget. Where the widget is alive its canvas hides
the picture; where it is not, the picture and how to go on are what is left.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from skimage.segmentation import find_boundaries

from napari_sam.geometry import Box
from napari_sam.jupyter_widget.tile_view import TileView, cheap
from napari_sam.jupyter_widget.tiles import label_shapes, sampled
from napari_sam.palette import CANDIDATE, colours_of
from napari_sam.predictor import Candidate

SIDE = 640
"""Longest side of the picture, in pixels."""


def draw_still(
    tiles: TileView, plane: tuple[int, ...], candidate: Candidate | None
) -> bytes:
    """A PNG of a whole plane with its labels filled and the candidate outlined.

    Empty where that would read a large image from end to end.
    """
    image, contrast = tiles.image, tiles.display.contrast
    level = next(
        (i for i, lv in enumerate(image.levels) if max(lv.shape) <= SIDE),
        len(image.levels) - 1,
    )
    shape = image.levels[level].shape
    if not cheap(image)[level]:
        return b""
    pixels = image.read_rgb(plane, level, Box.of_shape(shape), contrast).copy()
    ids = _labels(tiles, plane, shape)
    colours = colours_of(ids)
    inside = ids > 0
    pixels[inside] = pixels[inside] // 2 + colours[inside] // 2
    if candidate is not None and candidate.plane == plane:
        edge = find_boundaries(  # type: ignore[no-untyped-call]
            _mask(tiles, candidate, shape), mode="inner"
        )
        pixels[edge] = CANDIDATE
    packed = BytesIO()
    Picture.fromarray(pixels).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def html_of(png: bytes, marker: str, labels: str) -> str:
    """The picture with a hint, in an element that the living widget hides."""
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    alt = "The last state of the widget"
    picture = f'<img alt="{alt}" src="{source}" style="max-width:100%"/>' if png else ""
    return (
        f'<div class="napari-sam-still {marker}">{picture}'
        "<p>This is a picture. <b>Run the cell again</b> to go on from the labels in "
        f"<code>{escape(labels)}</code>.</p></div>"
    )


def _labels(
    tiles: TileView, plane: tuple[int, ...], shape: tuple[int, int]
) -> NDArray[np.uint32]:
    """Labels of a plane, as large as the picture; from the level that is just finer."""
    shapes = label_shapes(tiles.labels)
    fitting = [i for i, s in enumerate(shapes) if s[0] >= shape[0] and s[1] >= shape[1]]
    level = fitting[-1] if fitting else 0
    found = tiles.labels.read(plane, Box.of_shape(shapes[level]), level)
    rows, columns = (
        np.minimum(np.arange(n) * have // n, have - 1)
        for n, have in zip(shape, shapes[level], strict=True)
    )
    picked: NDArray[np.uint32] = found[np.ix_(rows, columns)]
    return picked


def _mask(
    tiles: TileView, candidate: Candidate, shape: tuple[int, int]
) -> NDArray[np.bool_]:
    step = max(-(-tiles.image.shape[0] // shape[0]), 1)
    coarse = tuple(-(-side // step) for side in tiles.image.shape)
    found = sampled(
        candidate.mask, candidate.box, Box.of_shape((coarse[0], coarse[1])), step
    )
    mask = np.zeros(shape, dtype=bool)
    height, width = min(shape[0], coarse[0]), min(shape[1], coarse[1])
    mask[:height, :width] = found[:height, :width]
    return mask
