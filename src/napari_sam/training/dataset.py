"""Annotated images -> crops of the window's size, with masks and prompts to train on.

Intensities are stretched with the functions that `open_image` uses, so that the
model learns on what it will be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.io import imread

from napari_sam.errors import ImageError
from napari_sam.masks import deepest_point
from napari_sam.tiling.images.intensity import intensity_range, stretch

IMAGE_SUFFIXES = (".png", ".jpg", ".tif", ".tiff")
SMALLEST_OBJECT = 16  # pixels; less of an object than this asks no question
IGNORED_POINT = -1


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image with the instances in it."""

    name: str
    pixels_hwc: NDArray[np.uint8]  # (h, w, 3), stretched
    labels_hw: NDArray[np.uint16]  # 0 is background
    weight: float = 1.0  # how much more often crops come from it than by its objects


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How crops are drawn and changed.

    Parameters
    ----------
    size
        Side of the square crop, in pixels.
    prompts
        Objects asked for in a crop.
    object_size
        Smallest and largest size that the image's median object gets by magnifying
        the image, in pixels of the crop: square root of its area, drawn log-uniformly.
    zoom
        Bounds on that magnification.
    box_share
        Share of the crops whose prompts are boxes; the others' are clicks.
    background_share
        Share of the clicks that hit no object: they teach the score, not the masks.
    """

    size: int = 256
    prompts: int = 16
    object_size: tuple[float, float] = (12.0, 72.0)
    zoom: tuple[float, float] = (0.5, 4.0)
    box_share: float = 0.5
    background_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Crop:
    """One training example; n prompts, each about one object."""

    image_chw: NDArray[np.uint8]
    labels_hw: NDArray[np.uint16]
    masks_nhw: NDArray[np.bool_]
    points_n2: NDArray[np.float32]  # (x, y)
    boxes_n4: NDArray[np.float32]  # x0, y0, x1, y1
    asks_boxes: bool  # whether the prompts are the boxes, or the points


def read_folder(folder: Path) -> list[AnnotatedImage]:
    """Read `images/` and `labels/` with matching stems.

    Raises
    ------
    ImageError
        A label image is missing, or there is nothing at all.
    """
    paths = sorted(
        path
        for path in (folder / "images").glob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
    )
    if not paths:
        raise ImageError(
            f"{folder} needs a folder images/ with PNG, JPEG or TIFF files, and "
            "labels/ with the same stems; found no image."
        )
    return [_annotated(folder, path) for path in paths]


def _annotated(folder: Path, path: Path) -> AnnotatedImage:
    pixels, labels = _as_rgb(imread(path)), _labels(folder, path.stem)
    if (
        labels.shape != pixels.shape[:2]
        or not 0 <= labels.min() <= labels.max() < 2**16
    ):
        raise ImageError(
            f"The labels of {path} need shape {pixels.shape[:2]} and ids 0 to 65535, "
            f"got shape {labels.shape} and ids {labels.min()} to {labels.max()}."
        )
    return AnnotatedImage(path.stem, pixels, labels.astype(np.uint16))


def _labels(folder: Path, stem: str) -> NDArray[np.integer]:
    for suffix in (".png", ".tif", ".tiff"):
        path = folder / "labels" / f"{stem}{suffix}"
        if path.exists():
            labels: NDArray[np.integer] = imread(path)
            return labels
    raise ImageError(f"{folder / 'images'}: {stem} has no label image in labels/.")


def _as_rgb(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
    is_colour = pixels.ndim == 3 and pixels.shape[-1] >= 3
    if is_colour and pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels[..., :3])
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    channels = np.moveaxis(pixels, -1, 0)[:3] if is_colour else [grey] * 3
    shown = [stretch(channel, *intensity_range(channel)) for channel in channels]
    return np.stack(shown, axis=-1)


def _median_object_size(labels_hw: NDArray[np.uint16]) -> float:
    """Square root of the median object's area, in pixels; 0 objects count as 1."""
    areas = np.bincount(labels_hw.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(np.median(areas))) if areas.size else 1.0


class CropSampler:
    """Draws crops for ever; the same seed draws the same crops.

    Parameters
    ----------
    images
        Where crops come from, each as likely as its number of objects to the
        power of one half, so that no one kind of image drowns the others.
    options
        How crops are drawn.
    seed
        Of the random generator.
    """

    def __init__(
        self, images: Sequence[AnnotatedImage], options: CropOptions, seed: int
    ) -> None:
        self.images = images
        self.options = options
        self.rng = np.random.default_rng(seed)
        counts = np.array([len(np.unique(image.labels_hw)) - 1 for image in images])
        if not counts.any():
            raise ImageError(
                "Crops are drawn from images with objects, got "
                f"{len(images)} images with none. Are the labels those of objects?"
            )
        weights = np.sqrt(counts) * [image.weight for image in images]
        self.weights = weights / weights.sum()
        self.object_sizes = [_median_object_size(image.labels_hw) for image in images]

    def __iter__(self) -> Iterator[Crop]:
        while True:
            crop = self._draw()
            if crop is not None:
                yield crop

    def _draw(self) -> Crop | None:
        index = int(self.rng.choice(len(self.images), p=self.weights))
        wanted = np.exp(self.rng.uniform(*np.log(self.options.object_size)))
        zoom = np.clip(wanted / self.object_sizes[index], *self.options.zoom)
        pixels, labels = self._cut(self.images[index], float(zoom))
        pixels, labels = self._turn(pixels, labels)
        pixels = self._recolour(pixels)
        ids, areas = np.unique(labels[labels > 0], return_counts=True)
        ids = ids[areas >= SMALLEST_OBJECT]
        if ids.size == 0:
            return None
        chosen = self.rng.choice(
            ids, self.options.prompts, replace=ids.size < self.options.prompts
        )
        masks = labels[None] == chosen[:, None, None]
        asks_boxes = bool(self.rng.random() < self.options.box_share)
        points = np.stack([self._click(mask) for mask in masks])
        boxes = np.stack([self._box(mask) for mask in masks])
        if not asks_boxes:
            self._miss(labels, masks, points)
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1))
        return Crop(image, labels, masks, points, boxes, asks_boxes)

    def _cut(
        self, image: AnnotatedImage, zoom: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        """A square of the image, magnified; black where it leaves the image."""
        size = self.options.size
        side = max(8, round(size / zoom))
        height, width = image.labels_hw.shape
        y = int(self.rng.integers(0, max(height - side, 0) + 1))
        x = int(self.rng.integers(0, max(width - side, 0) + 1))
        labels = image.labels_hw[y : y + side, x : x + side]
        rows, columns = (max(1, round(n * size / side)) for n in labels.shape)
        pixels = Image.fromarray(image.pixels_hwc[y : y + side, x : x + side])
        resized = np.array(pixels.resize((columns, rows), Image.Resampling.BILINEAR))
        labels = labels[
            np.ix_(
                np.arange(rows) * labels.shape[0] // rows,
                np.arange(columns) * labels.shape[1] // columns,
            )
        ]
        pad = ((0, size - rows), (0, size - columns))
        return np.pad(resized, (*pad, (0, 0))), np.pad(labels, pad)

    def _turn(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.uint16]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
        turns = int(self.rng.integers(4))
        pixels, labels = np.rot90(pixels, turns), np.rot90(labels, turns)
        if self.rng.random() < 0.5:
            pixels, labels = pixels[::-1], labels[::-1]
        return pixels, np.ascontiguousarray(labels)

    def _recolour(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Gamma, contrast, colour, blur and noise: what microscopes differ in."""
        rng = self.rng
        x = (pixels / np.float32(255)) ** np.float32(np.exp(rng.uniform(-0.5, 0.5)))
        if rng.random() < 0.15:
            x = 1 - x
        if rng.random() < 0.2:
            x = np.repeat(x.mean(axis=-1, keepdims=True), 3, axis=-1)
        if rng.random() < 0.3:
            x = x[..., rng.permutation(3)]
        if rng.random() < 0.2:
            x = ndimage.gaussian_filter(x, (*[rng.uniform(0.3, 1.2)] * 2, 0))
        x = x * rng.uniform(0.7, 1.1) + rng.uniform(-0.05, 0.15)
        if rng.random() < 0.4:
            noise = rng.standard_normal(x.shape[:2], dtype=np.float32)
            x = x + noise[..., None] * rng.uniform(0.01, 0.08)
        if rng.random() < 0.25:
            # As a camera leaves them that nobody stretches: SamPredictor sees such.
            x = x * np.exp(rng.uniform(np.log(0.12), 0))
        return (np.clip(x, 0, 1) * 255).astype(np.uint8)

    def _click(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """(x, y) of a point on the object: half of them at its centre."""
        if self.rng.random() < 0.5:
            row, column = deepest_point(mask)
            return np.array([column, row], dtype=np.float32)
        rows, columns = np.nonzero(mask)
        i = self.rng.integers(rows.size)
        return np.array([columns[i], rows[i]], dtype=np.float32)

    def _miss(
        self,
        labels: NDArray[np.uint16],
        masks: NDArray[np.bool_],
        points: NDArray[np.float32],
    ) -> None:
        """Move some of the clicks off every object; their masks become empty."""
        near = ndimage.binary_dilation(labels > 0, iterations=2)
        rows, columns = np.nonzero(~near)
        if not rows.size:
            return
        for n in np.flatnonzero(
            self.rng.random(len(masks)) < self.options.background_share
        ):
            i = self.rng.integers(rows.size)
            points[n] = columns[i], rows[i]
            masks[n] = False

    def _box(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """A box around the object whose sides are off by a tenth of its size.

        "Segment Anything" (2023), appendix A: noise with a standard deviation of 10 %
        of the side, at most 20 pixels.
        """
        rows, columns = np.nonzero(mask)
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
        sides = np.tile([np.ptp(columns) + 1, np.ptp(rows) + 1], 2)
        noise = np.clip(self.rng.normal(0, 0.1, 4) * sides, -20, 20)
        limit = self.options.size - 1
        jittered: NDArray[np.float32] = np.clip(box + noise, 0, limit)
        return jittered.astype(np.float32)
