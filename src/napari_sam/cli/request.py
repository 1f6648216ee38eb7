"""What the command line is to do, as values, and how they are read from text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Annotated

import typer

from napari_sam.errors import SamError
from napari_sam.geometry import Box

Contrast = tuple[tuple[float, float], ...]
ALL = "*"
PlaneRanges = tuple[tuple[tuple[int, int], ...] | None, ...]
"""For each stack axis (first, last) indices, or None for all."""


class RequestError(SamError, ValueError):
    """A command line that can be read, but not be carried out."""


class Rule(StrEnum):
    """Who gets pixels that an older object has; the values of `OverlapRule`."""

    KEEP = "keep"
    OVERWRITE = "overwrite"
    MERGE = "merge"


class Point(StrEnum):
    """Where a simulated annotator clicks first."""

    CENTER = "center"
    RANDOM = "random"


class Precision(StrEnum):
    """Of a model; as `load_model` takes it."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Pretraining(StrEnum):
    """What an encoder can be taught without labels."""

    MAE = "mae"  # to guess hidden pixels


class Mode(StrEnum):
    """How everything is found."""

    BEST = "best"  # of what the model has
    GRID = "grid"
    INSTANCES = "instances"


class Version(StrEnum):
    """Of OME-Zarr, for labels."""

    V04 = "0.4"
    V05 = "0.5"


# Options that several commands have.
DebugOption = Annotated[
    bool, typer.Option("--debug", help="Show tracebacks of errors.")
]
ModelOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|PATH",
        help="A name from `napari-sam models`, or a file of weights.",
    ),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        help="Numbers that windows are encoded with; auto is float16 on CUDA, float32 "
        "elsewhere."
    ),
]


@dataclass(frozen=True, slots=True)
class Source:
    """An image, and how it is to be read; see `open_image`."""

    path: str  # or URL
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    contrast: Contrast | None = None  # (low, high), one for all or for each channel
    series: str | None = None  # which image of a file of several
    fill: float | None = None  # the value of pixels without data


@dataclass(frozen=True, slots=True)
class Target:
    """A label volume, and how it is to be written."""

    path: Path | str | None = None  # None: beside the image
    rule: Rule = Rule.KEEP
    overwrite: bool = False  # start a volume anew that exists
    version: Version | None = None  # None: what is there, else 0.5


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model, and where it computes."""

    name: str = "default"  # or the path of a file
    device: str = "auto"
    cache_folder: Path | None = None  # for embeddings
    precision: Precision = Precision.AUTO


@dataclass(frozen=True, slots=True)
class SegmentRequest:
    """What `napari-sam segment` is to do."""

    source: Source
    prompts: Path
    target: Target = Target()
    model: ModelChoice = ModelChoice()
    level: int | None = None
    overlay: Path | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What only `napari-sam segment` without prompts takes."""

    object_size: float | None = None  # in pixels of level 0
    mode: Mode | None = None  # the best that the model has
    planes: PlaneRanges | None = None
    region: Box | None = None  # in pixels of level 0
    skip_empty: bool = True
    objects_file: Path | None = None
    workers: int | None = None  # processes of this machine; None: this one
    scheduler: str | None = None  # of a dask cluster
    staging: Path | None = None  # where labels are made that go to a URL

    @property
    def given(self) -> dict[str, bool]:
        """For each option whether it is on the command line."""
        return {
            "--object-size": self.object_size is not None,
            "--mode": self.mode is not None,
            "--planes": self.planes is not None,
            "--region": self.region is not None,
            "--no-skip-empty": not self.skip_empty,
            "--objects": self.objects_file is not None,
            "--workers": self.workers is not None,
            "--scheduler": self.scheduler is not None,
            "--staging": self.staging is not None,
        }


@dataclass(frozen=True, slots=True)
class AutomaticRequest:
    """What `napari-sam segment` is to do without prompts: everything, or a part."""

    source: Source
    target: Target
    model: ModelChoice
    run: RunOptions
    level: int | None = None
    overlay: Path | None = None

    def __post_init__(self) -> None:
        size = self.run.object_size
        if size is not None and not (isfinite(size) and size > 0):
            raise RequestError(
                f"--object-size needs to be above 0 pixels, got {size!r}. Leave it "
                "out to have it estimated."
            )


def parse_channels(text: str | None) -> tuple[int, ...] | None:
    """Read "0,2"; a ValueError if it is not so."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"channels are whole numbers with commas between, such as 0,2; got {text!r}"
        ) from error


def parse_contrast(text: str | None) -> Contrast | None:
    """Read "low,high", or a pair for each channel; a ValueError if it is not so."""
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    is_usable = len(pairs) * 2 == len(numbers) and all(
        isfinite(low) and isfinite(high) and low < high for low, high in pairs
    )
    if not (pairs and is_usable):
        raise ValueError(
            "contrast is low,high with low below high, one pair or one for each "
            f"channel, such as 0,255; got {text!r}"
        )
    return pairs


def parse_planes(text: str | None) -> PlaneRanges | None:
    """Read "0,4-9" or, of two stack axes, "0/4-9"; a ValueError if it is not so."""
    if text is None:
        return None
    return tuple(_ranges(part, text) for part in text.split("/"))


def parse_region(text: str | None) -> Box | None:
    """Read "y0,x0,y1,x1"; a ValueError if it is not so."""
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
    for span_text in part.split(","):
        first, dash, last = span_text.partition("-")
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
