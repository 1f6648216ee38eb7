"""What `napari-sam segment` is to do without prompts, as values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import isfinite
from pathlib import Path

from napari_sam.cli.request import Network, RequestError, Source, Target
from napari_sam.geometry import Box

ALL = "*"
PlaneRanges = tuple[tuple[tuple[int, int], ...] | None, ...]
"""For each stack axis (first, last) indices, or None for all."""


@dataclass(frozen=True, slots=True)
class EverythingRequest:
    """Everything in an image, or in a part of it."""

    source: Source
    target: Target
    network: Network
    object_size: float | None = None  # in pixels of level 0
    planes: PlaneRanges | None = None
    region: Box | None = None  # in pixels of level 0
    level: int | None = None
    skip_empty: bool = True
    objects_file: Path | None = None
    overlay: Path | None = None
    workers: int | None = None  # processes of this machine; None: this one
    scheduler: str | None = None  # of a dask cluster
    staging: Path | None = None  # where labels are made that go to a URL

    def __post_init__(self) -> None:
        size = self.object_size
        if size is not None and not (isfinite(size) and size > 0):
            raise RequestError(
                f"--object-size needs to be above 0 pixels, got {size!r}. Leave it "
                "out to have it estimated."
            )


def parse_planes(text: str | None) -> PlaneRanges | None:
    """Read "0,4-9" or, of two stack axes, "0/4-9"; a ValueError says what is wrong."""
    if text is None:
        return None
    return tuple(_ranges(part, text) for part in text.split("/"))


def parse_region(text: str | None) -> Box | None:
    """Read "y0,x0,y1,x1"; a ValueError says what is wrong."""
    if text is None:
        return None
    try:
        y0, x0, y1, x1 = (int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(
            "a region is y0,x0,y1,x1, whole pixels of the finest level, such as "
            f"0,0,1000,2000; got {text!r}"
        ) from error
    if y1 <= y0 or x1 <= x0:
        raise ValueError(
            f"a region needs y0 below y1 and x0 below x1, at least one pixel; got "
            f"{text!r}"
        )
    return Box(y0, x0, y1, x1)


def chosen_planes(
    ranges: PlaneRanges | None, stack_axes: str, stack_shape: tuple[int, ...]
) -> list[tuple[int, ...]] | None:
    """The planes that are meant in a stack, None for all; a RequestError if none."""
    if ranges is None:
        return None
    if len(ranges) != len(stack_shape):
        raise RequestError(
            f"--planes needs a part for each of the {len(stack_shape)} stack axes "
            f"{stack_axes!r} with / between, got {len(ranges)}."
        )
    indices = []
    for given, axis, count in zip(ranges, stack_axes, stack_shape, strict=True):
        spans = ((0, count - 1),) if given is None else given
        if any(last >= count for _, last in spans):
            raise RequestError(
                f"--planes needs indices of 0 to {count - 1} along {axis}, got "
                f"{max(last for _, last in spans)}."
            )
        indices.append([i for first, last in spans for i in range(first, last + 1)])
    return list(product(*indices))


def _ranges(part: str, text: str) -> tuple[tuple[int, int], ...] | None:
    if part.strip() == ALL:
        return None
    spans = []
    for piece in part.split(","):
        first, dash, last = piece.partition("-")
        try:
            span = int(first), int(last) if dash else int(first)
        except ValueError:
            span = (1, 0)
        if not 0 <= span[0] <= span[1]:
            raise ValueError(
                "planes are indices and ranges with commas between, such as 0,4-9, "
                f"for each stack axis with / between, * for all; got {text!r}"
            )
        spans.append(span)
    return tuple(spans)
