"""A picture of one plane: the image, outlines of its labels, and the prompts.

The plane is shown whole, at a level that fits into the picture. Where such a level is
not stored and making it would mean to read very many pixels, the picture shows the
part with the prompts and their objects only. Colour alone means nothing: a click on
the object is a disc, one off it a cross.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, hypot
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont
from scipy import ndimage

from napari_sam.atomic_files import replace_atomically
from napari_sam.errors import ImageReadError
from napari_sam.geometry import Box
from napari_sam.images import Image, Level
from napari_sam.labels import LabelStore
from napari_sam.palette import Colour, colour_of, colours_of
from napari_sam.prompts import BoxPrompt, Click, Prompt

LONGEST_SIDE = 1600  # of a picture, in its own pixels
LARGEST_ZOOM = 8
LARGEST_READ = 2**26  # stored pixels to be averaged for one picture
READ_AT_ONCE = 512  # side, in pixels of the level shown
UNREADABLE_GRAY = 96

ToPicture = Callable[[float, float], tuple[float, float]]
"""(y, x) in the picture of a point of level 0."""

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
LINE = 2  # width of outlines, in pixels of the picture
RADIUS = 5  # of clicks
DASH, GAP = 9, 6
TEXT_SIZE = 17


@dataclass(frozen=True, slots=True)
class ShownObject:
    """An object of the picture; without an id and a box where it was not written."""

    prompts: tuple[Prompt, ...]
    label_id: int | None = None
    box: Box | None = None  # in pixels of level 0


@dataclass(frozen=True, slots=True)
class Overlay:
    """A picture that is on disk."""

    file: Path
    unreadable_count: int  # parts of the image that are gray, not shown


@dataclass(frozen=True, slots=True)
class View:
    """The part of a plane that a picture shows.

    Parameters
    ----------
    level
        Index of the level shown.
    factors
        (y, x) size of one of its pixels, in pixels of level 0.
    box
        In pixels of that level.
    zoom
        Side of one of its pixels in the picture.
    """

    level: int
    factors: tuple[float, float]
    box: Box
    zoom: int

    def to_picture(self, y: float, x: float) -> tuple[float, float]:
        """(y, x) in the picture of a point of level 0."""
        fy, fx = self.factors
        return (y / fy - self.box.y0) * self.zoom, (x / fx - self.box.x0) * self.zoom

    def rows_and_columns(
        self, shape: tuple[int, int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The row and the column of level 0 under each one of the picture."""
        height, width = self.box.shape
        fy, fx = self.factors
        y = (self.box.y0 + (np.arange(height * self.zoom) + 0.5) / self.zoom) * fy
        x = (self.box.x0 + (np.arange(width * self.zoom) + 0.5) / self.zoom) * fx
        return (
            np.clip(y.astype(np.int64), 0, shape[0] - 1),
            np.clip(x.astype(np.int64), 0, shape[1] - 1),
        )


def draw_overlay(
    image: Image,
    plane: tuple[int, ...],
    labels: Path | None,
    objects: Sequence[ShownObject],
    file: Path,
) -> Overlay:
    """Write the picture of one plane.

    Parameters
    ----------
    image
        What is shown; parts of it that cannot be read are gray.
    plane
        One index for each stack axis.
    labels
        A label volume of the image; None: only prompts are drawn.
    objects
        The objects of the request in this plane.
    file
        The PNG, written whole or not at all.

    Raises
    ------
    LabelError
        The labels cannot be read.
    OSError
        The file cannot be written.
    """
    view = choose_view(image, objects)
    canvas_hwc, unreadable_count = _pixels(image, plane, view)
    if labels is not None:
        with LabelStore.open(labels, mode="r") as store:
            labels_hw = _labels(store, plane, view)
        canvas_hwc = draw_outlines(canvas_hwc, labels_hw)
    picture = Pictures.fromarray(canvas_hwc)
    for shown in objects:
        draw_prompts(picture, shown.prompts, view.to_picture, shown.label_id)
    _write(picture, file)
    return Overlay(file, unreadable_count)


def choose_view(image: Image, objects: Sequence[ShownObject]) -> View:
    """The whole plane; the part with the objects where that would take too long."""
    bounds = Box.of_shape(image.shape)
    whole = _view_of(image, bounds)
    if _read_pixels(image.levels, whole) <= LARGEST_READ:
        return whole
    wanted = Box.around(_boxes(objects))
    margin = max(*wanted.shape, READ_AT_ONCE) // 4
    return _view_of(image, wanted.grow(margin).clip(bounds))


def _boxes(objects: Iterable[ShownObject]) -> list[Box]:
    """Boxes, in pixels of level 0, of prompts and of what came of them."""
    boxes = [shown.box for shown in objects if shown.box is not None]
    for prompt in (prompt for shown in objects for prompt in shown.prompts):
        if isinstance(prompt, Click):
            row, column = prompt.pixel
            boxes.append(Box(row, column, row + 1, column + 1))
        else:
            boxes.append(prompt.box)
    return boxes


def _view_of(image: Image, wanted: Box) -> View:
    """A part of the plane at the finest level that fits into the picture."""
    boxes = [
        wanted.scaled(1 / level.factors[0], 1 / level.factors[1]).clip(
            Box.of_shape(level.shape)
        )
        for level in image.levels
    ]
    fitting = (i for i, box in enumerate(boxes) if max(box.shape) <= LONGEST_SIDE)
    index = next(fitting, len(boxes) - 1)
    zoom = min(LONGEST_SIDE // max(boxes[index].shape), LARGEST_ZOOM)
    return View(index, image.levels[index].factors, boxes[index], max(zoom, 1))


def _read_pixels(levels: Sequence[Level], view: View) -> int:
    """How many stored pixels have to be read to show a view."""
    base = next(level for level in levels[view.level :: -1] if level.stored)
    fy, fx = (
        shown / finer for shown, finer in zip(view.factors, base.factors, strict=True)
    )
    return int(view.box.area * fy * fx)


def _pixels(
    image: Image, plane: tuple[int, ...], view: View
) -> tuple[NDArray[np.uint8], int]:
    """The image as (height, width, 3), zoomed, and how many parts are unreadable."""
    height, width = view.box.shape
    canvas_hwc = np.full((height, width, 3), UNREADABLE_GRAY, dtype=np.uint8)
    unreadable_count = 0
    for y in range(view.box.y0, view.box.y1, READ_AT_ONCE):
        for x in range(view.box.x0, view.box.x1, READ_AT_ONCE):
            part = Box(y, x, y + READ_AT_ONCE, x + READ_AT_ONCE).clip(view.box)
            spot = part.relative_to(view.box).slices
            try:
                canvas_hwc[spot] = image.read_rgb(plane, view.level, part)
            except ImageReadError:
                unreadable_count += 1
    zoomed_hwc = canvas_hwc.repeat(view.zoom, axis=0).repeat(view.zoom, axis=1)
    return zoomed_hwc, unreadable_count


def _labels(
    store: LabelStore, plane: tuple[int, ...], view: View
) -> NDArray[np.integer]:
    """The label under each pixel of the picture, from a level no coarser than it."""
    shapes = [array.shape[-2:] for array in store.levels]
    height, width = shapes[0]
    fitting = [
        index
        for index, shape in enumerate(shapes)
        if all(
            n / m <= max(f, 1) * 1.01
            for n, m, f in zip(shapes[0], shape, view.factors, strict=True)
        )
    ]
    level = max(fitting, default=0)
    rows, columns = view.rows_and_columns((height, width))
    rows = rows * shapes[level][0] // height
    columns = columns * shapes[level][1] // width
    box = Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
    read = store.read(plane, box, level)
    return read[np.ix_(rows - box.y0, columns - box.x0)]


def _write(picture: Pictures.Image, file: Path) -> None:
    with replace_atomically(file) as partial:
        picture.save(partial, format="PNG")


def draw_outlines(
    canvas_hwc: NDArray[np.uint8], labels_hw: NDArray[np.integer]
) -> NDArray[np.uint8]:
    """The picture with a line along the inner rim of every label.

    A thin dark line on the outside sets it off from an image of the same colour.
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
    picture: Pictures.Image,
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
