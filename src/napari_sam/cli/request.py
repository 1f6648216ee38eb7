"""What was asked for on the command line, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from pathlib import Path

from napari_sam.errors import SamError

Contrast = tuple[tuple[float, float], ...]


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


class Version(StrEnum):
    """Of OME-Zarr, for labels."""

    V04 = "0.4"
    V05 = "0.5"


@dataclass(frozen=True, slots=True)
class Source:
    """An image, and how it is to be read; see `open_image`."""

    path: str  # or URL
    axes: str | None = None
    channels: tuple[int, ...] | None = None
    contrast: Contrast | None = None  # (low, high), one for all or for each channel


@dataclass(frozen=True, slots=True)
class Target:
    """A label volume, and how it is to be written."""

    path: Path | str | None = None  # None: beside the image
    rule: Rule = Rule.KEEP
    overwrite: bool = False  # start a volume anew that exists
    version: Version | None = None  # None: what is there, else 0.5


@dataclass(frozen=True, slots=True)
class Network:
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
    network: Network = Network()
    level: int | None = None
    overlay: Path | None = None
    debug: bool = False


def parse_channels(text: str | None) -> tuple[int, ...] | None:
    """Read "0,2"; a ValueError says what is wrong."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(
            f"channels are whole numbers with commas between, such as 0,2; got {text!r}"
        ) from error


def parse_contrast(text: str | None) -> Contrast | None:
    """Read "low,high", or a pair for each channel; a ValueError says what is wrong."""
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
