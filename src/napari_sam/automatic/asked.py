"""What a run is asked for, checked against the image before any work is done."""

from __future__ import annotations

from collections.abc import Sequence

from napari_sam.automatic.plan import Plane
from napari_sam.errors import ImageError
from napari_sam.geometry import Box
from napari_sam.images import Image


def checked_planes(
    image: Image, planes: Sequence[Sequence[int]] | None
) -> tuple[Plane, ...]:
    """Which planes, in the stack's order, none twice."""
    if planes is None:
        # Not numpy.ndindex: a stack without axes has one plane, the empty index.
        return tuple(_all_planes(image.stack_shape))
    checked = sorted({tuple(plane) for plane in planes})
    if not checked:
        raise ImageError(
            "Segmenting everything needs at least one plane, got none. Leave planes "
            "out for all of them."
        )
    for plane in checked:
        image.check_plane(plane)
    return tuple(tuple(int(i) for i in plane) for plane in checked)


def _all_planes(stack_shape: tuple[int, ...]) -> list[Plane]:
    planes: list[Plane] = [()]
    for count in stack_shape:
        planes = [(*plane, index) for plane in planes for index in range(count)]
    return planes


def checked_region(image: Image, region: Box | None) -> Box:
    """The region in pixels of level 0; None: the whole plane."""
    whole = Box.of_shape(image.shape)
    if region is None:
        return whole
    is_box = isinstance(region, Box)
    if not is_box or not whole.contains(region):
        raise ImageError(
            f"A region needs to be a Box inside of the {image.shape} pixels of "
            f"{image.name}, got {region}. Clip it first."
        )
    return region


def check_level(image: Image, level: int | None) -> None:
    """Raise an ImageError if there is no such level."""
    if level is not None and not 0 <= level < len(image.levels):
        raise ImageError(
            f"{image.name} has levels 0 to {len(image.levels) - 1}, got {level!r}."
        )
