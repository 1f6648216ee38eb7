"""What a label volume takes over from its image: axes, shape, scale, position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from operator import index
from typing import Protocol

from napari_sam.errors import LabelError


class LabelledImage(Protocol):
    """What `LabelGeometry.of` needs of an image; axes there are named by letters."""

    @property
    def stack_axes(self) -> str:
        """Names of the axes before y, x, without channel, such as "tz"."""

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Number of planes along each of the stack axes."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of a plane of level 0, in pixels."""

    @property
    def pixel_size(self) -> Mapping[str, float]:
        """Distance of two pixels per axis, in the axis's unit."""

    @property
    def units(self) -> Mapping[str, str]:
        """Name of the unit per axis, such as "micrometer"."""

    @property
    def translation(self) -> Mapping[str, float]:
        """Position of the first pixel's centre per axis, in the axis's unit."""

    @property
    def source(self) -> str | None:
        """Path or URL that the image was opened from, None for arrays."""


@dataclass(frozen=True, slots=True)
class LabelGeometry:
    """Shape and position of a label volume; tuples but two are in order of `axes`."""

    axes: str  # "yx", "zyx", "tzyx", ...: the stack axes, then y, x
    stack_shape: tuple[int, ...]
    shape: tuple[int, int]  # (height, width) of a plane, in pixels
    pixel_size: tuple[float, ...]  # in the axis's unit
    units: tuple[str | None, ...]
    translation: tuple[float, ...]  # in the axis's unit
    source: str | None = None  # path or URL of the image

    def __post_init__(self) -> None:
        if not self.axes.endswith("yx") or len(set(self.axes)) != len(self.axes):
            raise LabelError(
                f"Labels need distinct axes that end with y, x, got {self.axes!r}."
            )
        if "c" in self.axes:
            raise LabelError(
                f"Labels have no channel axis, got axes {self.axes!r}. Leave it out: "
                "an object is the same in every channel."
            )
        lengths = (len(self.volume_shape), len(self.pixel_size))
        if {*lengths, len(self.units), len(self.translation)} != {len(self.axes)}:
            raise LabelError(
                f"Labels with axes {self.axes!r} need {len(self.axes)} sizes, pixel "
                f"sizes, units and translations, got {self}."
            )
        if min(self.volume_shape) < 1:
            raise LabelError(f"Labels need pixels, got shape {self.volume_shape}.")
        if not all(isfinite(size) and size > 0 for size in self.pixel_size):
            raise LabelError(
                f"Labels need pixel sizes above 0, got {self.pixel_size} for axes "
                f"{self.axes!r}. Use 1.0 where the size is not known."
            )

    @classmethod
    def of(cls, image: LabelledImage) -> LabelGeometry:
        """Take the geometry of an image; what it does not know is 1, none and 0."""
        axes = f"{image.stack_axes}yx"
        return cls(
            axes,
            tuple(image.stack_shape),
            image.shape,
            tuple(float(image.pixel_size.get(axis, 1.0)) for axis in axes),
            tuple(image.units.get(axis) or None for axis in axes),
            tuple(float(image.translation.get(axis, 0.0)) for axis in axes),
            image.source,
        )

    @classmethod
    def of_shape(cls, axes: str, volume_shape: tuple[int, ...]) -> LabelGeometry:
        """The geometry of a volume that has only axes and a shape."""
        height, width = volume_shape[-2:]
        n = len(axes)
        ones, zeros, none = (1.0,) * n, (0.0,) * n, (None,) * n
        return cls(axes, volume_shape[:-2], (height, width), ones, none, zeros)

    @property
    def volume_shape(self) -> tuple[int, ...]:
        """Number of pixels along every axis."""
        return (*self.stack_shape, *self.shape)

    def check_plane(self, plane: Sequence[int]) -> tuple[int, ...]:
        """Return `plane` as plain ints; a LabelError if the stack has none such."""
        size = self.stack_shape
        try:
            indices = tuple(index(at) for at in plane)
        except TypeError:  # not a tuple at all, or not of whole numbers
            indices = (-1,)
        inside = len(indices) == len(size) and all(
            0 <= at < count for at, count in zip(indices, size, strict=True)
        )
        if not inside:
            raise LabelError(
                f"A plane of these labels needs a tuple of {len(size)} indices, one "
                f"for each of the axes {self.axes[:-2]!r} of shape {size}, counted "
                f"from 0; got {plane!r}."
            )
        return indices
