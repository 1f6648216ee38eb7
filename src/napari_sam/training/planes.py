"""Annotated planes to draw crops from; small ones in memory, large ones by crops.

A plane is held as 8-bit RGB and ids, as long as all held planes stay under
`HELD_BYTES`; crops of the others are read from the file, so that a plane the size of
a slide is never loaded whole. Of such a plane the number and size of objects, and
where crops are drawn, come from a sample of blocks:

    +---+---+---+---+
    |   | o |   |   |   blocks are looked at in a random order, until enough of them
    +---+---+---+---+   have objects; crops are drawn around these
    |   |   |o o|   |
    +---+---+---+---+

Intensities are those that `open_image` shows, so that the model learns on what it
will be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.errors import ImageError, TrainingError
from napari_sam.evaluation import AnnotatedPlane, read_dataset
from napari_sam.geometry import Box
from napari_sam.images import Image, open_image
from napari_sam.training.config import DataSource

HELD_BYTES = 2 * 2**30
LARGEST_HELD = 4096 * 4096  # pixels
BYTES_A_PIXEL = 7  # RGB and an id of 32 bits
BLOCK = 512
ENOUGH_BLOCKS = 32


@dataclass(frozen=True, slots=True)
class TrainingPlane:
    """A plane with instances in it, and what drawing crops takes.

    Parameters
    ----------
    name
        Of the image.
    image, labels
        Where crops are read from: an opened image and its labels, or arrays,
        (h, w, 3) uint8 and (h, w) int32, of a plane that is held. Without labels
        there are no objects.
    plane
        Which plane of the opened image.
    object_count, object_size
        How many objects it has, and the median square root of their areas in pixels.
    places
        Where there are objects; crops are drawn around one of them. Empty: anywhere.
    weight
        How likely crops come from it, compared with other planes.
    """

    name: str
    image: Image | NDArray[np.uint8]
    labels: Image | NDArray[np.int32] | None
    plane: tuple[int, ...]
    object_count: int
    object_size: float
    places: tuple[Box, ...] = ()
    weight: float = 1.0

    @classmethod
    def of_arrays(
        cls, name: str, pixels_hwc: NDArray[np.uint8], labels_hw: NDArray[Any]
    ) -> TrainingPlane:
        """A plane that is held; ids below 1 are background."""
        ids = compact(labels_hw)
        areas = np.bincount(ids.ravel())[1:]
        size = float(np.sqrt(np.median(areas))) if areas.size else 1.0
        weight = float(np.sqrt(areas.size))
        return cls(name, pixels_hwc, ids, (), areas.size, size, (), weight)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width), in pixels."""
        height, width = self.image.shape[:2]
        return height, width

    def cut(self, box: Box) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        """(h, w, 3) pixels and (h, w) ids of a box inside of the plane."""
        if isinstance(self.image, Image):
            pixels = self.image.read_rgb(self.plane, 0, box)
        else:
            pixels = self.image[box.slices]
        if self.labels is None:
            return pixels, np.zeros(box.shape, dtype=np.int32)
        if isinstance(self.labels, Image):
            return pixels, compact(self.labels.read(self.plane, 0, box)[0])
        return pixels, self.labels[box.slices]

    def objects_in(self, box: Box) -> int:
        """How many objects reach into a box; 0 where labels would have to be read."""
        if self.labels is None or isinstance(self.labels, Image):
            return 0
        return int(np.count_nonzero(np.bincount(self.labels[box.slices].ravel())[1:]))

    def draw_box(self, rng: np.random.Generator, side: int) -> Box:
        """A square of up to `side` pixels, anywhere or around one of the places."""
        height, width = self.shape
        limits = max(height - side, 0), max(width - side, 0)
        if self.places:
            place = self.places[int(rng.integers(len(self.places)))]
            y = int(rng.integers(place.y0, place.y1)) - side // 2
            x = int(rng.integers(place.x0, place.x1)) - side // 2
            y, x = min(max(y, 0), limits[0]), min(max(x, 0), limits[1])
        else:
            y, x = (int(rng.integers(limit + 1)) for limit in limits)
        return Box(y, x, min(y + side, height), min(x + side, width))


def compact(labels_hw: NDArray[Any]) -> NDArray[np.int32]:
    """Ids as 1, 2, ... in their order; those below 1 become 0."""
    ids, inverse = np.unique(labels_hw, return_inverse=True)
    numbers = np.cumsum(ids > 0) * (ids > 0)
    found: NDArray[np.int32] = numbers.astype(np.int32)[inverse]
    return found.reshape(labels_hw.shape)


def open_planes(
    sources: Sequence[DataSource],
) -> tuple[list[TrainingPlane], list[TrainingPlane]]:
    """The planes to learn from, and those that were left out.

    Raises
    ------
    ImageError
        A source has no images, or one without labels.
    TrainingError
        Nothing is left to learn from, or it has no objects.
    """
    learned: list[TrainingPlane] = []
    left_out: list[TrainingPlane] = []
    room = HELD_BYTES
    for source in sources:
        found = sorted(
            read_dataset(source.path).planes, key=lambda x: (x.name, x.plane)
        )
        if len(found) <= source.leave_out:
            raise TrainingError(
                f"leave_out needs to be less than the planes of {source.path}, "
                f"{len(found)}, got {source.leave_out}."
            )
        planes = []
        for annotated, image in _opened(found):
            plane = _plane(annotated, image, room)
            if not isinstance(plane.image, Image):
                room -= BYTES_A_PIXEL * plane.image.size // 3
            planes.append(plane)
        kept = len(planes) - source.leave_out
        learned += _with_share(planes[:kept], source)
        left_out += planes[kept:]
    return learned, left_out


def _opened(planes: Sequence[AnnotatedPlane]) -> Iterator[tuple[AnnotatedPlane, Image]]:
    """Each with its image, opened once for all planes of a stack."""
    image = None
    for number, plane in enumerate(planes):
        if image is None or plane.image_path != planes[number - 1].image_path:
            image = plane.open_image()
        yield plane, image


def _plane(annotated: AnnotatedPlane, image: Image, room: int) -> TrainingPlane:
    pixels = image.shape[0] * image.shape[1]
    if pixels > LARGEST_HELD or BYTES_A_PIXEL * pixels > room:
        return _lazy_plane(annotated, image)
    shown = image.read_rgb(annotated.plane, 0, Box.of_shape(image.shape))
    return TrainingPlane.of_arrays(annotated.name, shown, annotated.read_labels())


def _lazy_plane(annotated: AnnotatedPlane, image: Image) -> TrainingPlane:
    """A plane whose crops are read, with what a sample of blocks says of it."""
    labels = open_image(annotated.labels_path)
    blocks = list(_blocks(labels.shape))
    places, sizes, looked_at = [], [], 0
    for number in np.random.default_rng(0).permutation(len(blocks)):
        ids = compact(labels.read(annotated.plane, 0, blocks[number])[0])
        areas = np.bincount(ids.ravel())[1:]
        looked_at += 1
        if areas.size:
            places.append(blocks[number])
            sizes.append(np.sqrt(areas))
        if len(places) == ENOUGH_BLOCKS:
            break
    found = np.concatenate(sizes) if sizes else np.zeros(0)
    count = round(found.size * len(blocks) / looked_at)
    size = float(np.median(found)) if found.size else 1.0
    return TrainingPlane(
        annotated.name,
        image,
        labels,
        annotated.plane,
        count,
        size,
        tuple(places),
        float(np.sqrt(count)),
    )


def _blocks(shape: tuple[int, int]) -> Iterator[Box]:
    for y in range(0, shape[0], BLOCK):
        for x in range(0, shape[1], BLOCK):
            yield Box(y, x, min(y + BLOCK, shape[0]), min(x + BLOCK, shape[1]))


def _with_share(
    planes: Sequence[TrainingPlane], source: DataSource
) -> list[TrainingPlane]:
    """The planes, with weights that sum to the source's share if it has one."""
    total = sum(plane.weight for plane in planes)
    if not total:
        raise ImageError(
            f"{source.path} has no objects to learn from: the labels of its "
            f"{len(planes)} planes are all 0."
        )
    scale = 1.0 if source.share is None else source.share / total
    return [replace(plane, weight=plane.weight * scale) for plane in planes]
