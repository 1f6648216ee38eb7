"""Outlines and prompts on a picture.

Nothing is told by colour alone: a click on the object is a disc, one off it a cross.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, hypot

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_sam.labels.palette import Colour, colour_of, colours_of
from napari_sam.prompts import BoxPrompt, Click, Prompt

ToPicture = Callable[[float, float], tuple[float, float]]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)

LINE = 2  # width of outlines, in pixels of the picture
RADIUS = 5  # of clicks
DASH, GAP = 9, 6
TEXT_SIZE = 17


def draw_outlines(
    canvas_hwc: NDArray[np.uint8], labels_hw: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """The picture with a line along the inner rim of every label.

    A thin dark line on the outside tells it from an image of the same colour.
    """
    size = 2 * LINE + 1
    # Outside of the picture is more of the same: no line where the picture ends.
    high = ndimage.maximum_filter(labels_hw, size, mode="nearest")
    low = ndimage.minimum_filter(labels_hw, size, mode="nearest")
    rim = (labels_hw > 0) & (high != low)
    near = ndimage.maximum_filter(labels_hw, 3, mode="nearest")
    drawn_hwc = canvas_hwc.copy()
    drawn_hwc[(labels_hw == 0) & (near > 0)] = BLACK
    drawn_hwc[rim] = colours_of(labels_hw[rim])
    return drawn_hwc


def draw_prompts(
    picture: Image.Image,
    prompts: Sequence[Prompt],
    to_picture: ToPicture,
    label_id: int | None,
) -> None:
    """Draw the prompts of one object, and its id; in white if it was not written.

    Discs are clicks on it, crosses are clicks off it, dashed rectangles are boxes and
    bounds of rough masks.
    """
    draw = ImageDraw.Draw(picture)
    colour = WHITE if label_id is None else colour_of(label_id)
    for prompt in prompts:
        if isinstance(prompt, Click):
            # The middle of the pixel that was clicked.
            row, column = prompt.pixel
            y, x = to_picture(row + 0.5, column + 0.5)
            (_disc if prompt.positive else _cross)(draw, y, x, colour)
        else:
            box = prompt if isinstance(prompt, BoxPrompt) else prompt.box
            corners = (*to_picture(box.y0, box.x0), *to_picture(box.y1, box.x1))
            _dashed_box(draw, corners, colour)
    if label_id is not None:
        _number(draw, prompts, to_picture, label_id)


def _disc(draw: ImageDraw.ImageDraw, y: float, x: float, colour: Colour) -> None:
    outer, inner = RADIUS + 2, RADIUS
    draw.ellipse((x - outer, y - outer, x + outer, y + outer), fill=BLACK)
    draw.ellipse(
        (x - inner, y - inner, x + inner, y + inner),
        fill=colour,
        outline=WHITE,
        width=2,
    )


def _cross(draw: ImageDraw.ImageDraw, y: float, x: float, colour: Colour) -> None:
    for reach, width, ink in ((RADIUS + 2, 7, BLACK), (RADIUS, 3, colour)):
        draw.line((x - reach, y - reach, x + reach, y + reach), fill=ink, width=width)
        draw.line((x - reach, y + reach, x + reach, y - reach), fill=ink, width=width)


def _dashed_box(
    draw: ImageDraw.ImageDraw,
    corners: tuple[float, float, float, float],
    colour: Colour,
) -> None:
    y0, x0, y1, x1 = corners
    sides = (
        (x0, y0, x1, y0),
        (x1, y0, x1, y1),
        (x1, y1, x0, y1),
        (x0, y1, x0, y0),
    )
    for side in sides:
        draw.line(side, fill=BLACK, width=5)
        _dashes(draw, side, colour)


def _dashes(
    draw: ImageDraw.ImageDraw, line: tuple[float, float, float, float], colour: Colour
) -> None:
    x0, y0, x1, y1 = line
    length = hypot(x1 - x0, y1 - y0)
    if length == 0:
        return
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    for index in range(ceil(length / (DASH + GAP))):
        start = index * (DASH + GAP)
        end = min(start + DASH, length)
        draw.line(
            (x0 + start * dx, y0 + start * dy, x0 + end * dx, y0 + end * dy),
            fill=colour,
            width=3,
        )


def _number(
    draw: ImageDraw.ImageDraw,
    prompts: Sequence[Prompt],
    to_picture: ToPicture,
    label_id: int,
) -> None:
    """Write the id beside the first prompt that points at the object."""
    first = next(p for p in prompts if not isinstance(p, Click) or p.positive)
    if isinstance(first, Click):
        y, x = to_picture(first.y, first.x)
        y, x = y - RADIUS - TEXT_SIZE, x + RADIUS
    else:
        y, x = to_picture(first.box.y0, first.box.x0)
        y -= TEXT_SIZE + 6
    draw.text(
        (x, y),
        str(label_id),
        fill=WHITE,
        font=ImageFont.load_default(TEXT_SIZE),
        stroke_width=2,
        stroke_fill=BLACK,
    )
