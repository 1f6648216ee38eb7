"""What a file of weights says about itself -> `ModelMetadata`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from math import isfinite
from typing import TypeVar

from napari_sam.errors import CheckpointError
from napari_sam.model.download import LocalWeights
from napari_sam.model.metadata import PIXEL_MEAN, PIXEL_STD, ModelMetadata

_T = TypeVar("_T")


def metadata_of(
    source: LocalWeights, fields: Mapping[str, str], name: str | None
) -> ModelMetadata:
    """The metadata of weights, from a file's own fields.

    Parameters
    ----------
    source
        The file.
    fields
        What it says about itself.
    name
        How to call the model; None: what the file says, else the file's stem.

    Raises
    ------
    CheckpointError
        A field says something that cannot be.
    """

    def value(key: str, default: _T, read: Callable[[str], _T], wanted: str) -> _T:
        if key not in fields:
            return default
        try:
            return read(fields[key])
        except (ValueError, TypeError, OverflowError) as error:
            raise CheckpointError(
                f"{source.path} says {key}={fields[key]!r}; needed is {wanted}."
            ) from error

    return ModelMetadata(
        name=name or fields.get("name") or source.path.stem,
        fingerprint=source.fingerprint,
        image_size=value("image_size", None, _pixels, "a positive whole number"),
        window_size=value("window_size", None, _pixels, "a positive whole number"),
        window_sizes=value("window_sizes", (), _sizes, "[128, 256], smallest first"),
        object_share=value("object_share", None, _share, "a number between 0 and 1"),
        instance_share=value(
            "instance_share", None, _share, "a number between 0 and 1"
        ),
        pixel_mean=value("pixel_mean", PIXEL_MEAN, _colours, "[red, green, blue]"),
        pixel_std=value(
            "pixel_std", PIXEL_STD, _spreads, "[red, green, blue], each above 0"
        ),
        mask_threshold=value("mask_threshold", 0.0, _finite, "a number"),
        file_metadata=dict(fields),
    )


def _finite(value: str | float) -> float:
    number = float(value)
    if not isfinite(number):
        raise ValueError(value)
    return number


def _pixels(value: str) -> int | None:
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def _sizes(value: str) -> tuple[int, ...]:
    sizes = tuple(int(number) for number in json.loads(value))
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise ValueError(value)
    return sizes


def _share(value: str) -> float | None:
    number = _finite(value)
    if not 0 < number < 1:
        raise ValueError(value)
    return number


def _colours(value: str) -> tuple[float, float, float]:
    red, green, blue = (_finite(number) for number in json.loads(value))
    return red, green, blue


def _spreads(value: str) -> tuple[float, float, float]:
    colours = _colours(value)
    if min(colours) <= 0:
        raise ValueError(value)
    return colours
