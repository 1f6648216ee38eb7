"""Annotated images, plane by plane: what a model is measured on, or taught with.

A data set is a folder with `images/` and `labels/` of matching stems, or an OME-Zarr
image with labels in it. Opening reads metadata only; of a stack each plane counts by
itself, and an object is what has one id in one plane.
"""

from __future__ import annotations

import hashlib
import unicodedata
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam.errors import ImageError, ImageWarning, LabelError
from napari_sam.geometry import Box
from napari_sam.images import Image, is_image_name, open_ids, open_image
from napari_sam.ome_zarr import ome_attributes

LABEL_SEPARATOR = "::"
"""Between an OME-Zarr image and the name of one of its label images."""


@dataclass(frozen=True, slots=True)
class AnnotatedPlane:
    """One plane with the instances in it; nothing is read until it is needed."""

    dataset: str
    name: str  # of the image, without its ending
    plane: tuple[int, ...]
    image_path: Path
    labels_path: Path
    labels_plane: tuple[int, ...] | None = None  # None: the same

    def open_image(self) -> Image:
        """The whole image; `plane` is the index of this one in it."""
        return open_image(self.image_path)

    def read_labels(self) -> NDArray[np.integer[Any]]:
        """Ids of the plane, (height, width); 0 is background.

        Raises
        ------
        LabelError
            There are ids below 0, which could be objects or background.
        """
        plane = self.plane if self.labels_plane is None else self.labels_plane
        with open_ids(self.labels_path) as labels:
            whole = Box.of_shape(labels.shape)
            ids: NDArray[np.integer[Any]] = labels.read(plane, 0, whole)[0]
        if ids.dtype == np.bool_:
            return ids.astype(np.uint8)
        if ids.size and ids.min() < 0:
            raise LabelError(
                "Ids of objects need to be above 0 and background 0; "
                f"{self.labels_path} has {ids.min()}. Set what should be left out to 0."
            )
        return ids

    def fingerprint(self) -> str:
        """Names the image file as it is now, and the ids of this plane."""
        ids = self.read_labels()
        with open_image(self.image_path.resolve()) as image:
            facts = (image.fingerprint, self.plane, ids.shape, ids.dtype.str)
        digest = hashlib.sha256(repr(facts).encode())
        digest.update(np.ascontiguousarray(ids).data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Dataset:
    """Annotated planes that are reported together."""

    name: str
    planes: tuple[AnnotatedPlane, ...]

    def limited(self, count: int | None) -> Dataset:
        """The first planes; None: all."""
        return replace(self, planes=self.planes[:count])


def read_dataset(path: Path | str) -> Dataset:
    """Find the images and labels of a data set.

    Parameters
    ----------
    path
        A folder with `images/` and `labels/`, or an OME-Zarr image with labels; a
        certain one of several as `IMAGE.zarr::NAME`, else the first.

    Returns
    -------
    Dataset
        Its planes in order of the images' names; no pixels are read.

    Raises
    ------
    ImageError
        There is no image, or one without labels.
    LabelError
        Labels that do not fit their image, or hold no ids.
    """
    folder, _, label_name = str(path).partition(LABEL_SEPARATOR)
    root = Path(folder)
    name = root.resolve().name + (f"-{label_name}" if label_name else "")
    if (root / "images").is_dir():
        pairs = list(_pairs_of(root))
    else:
        pairs = [(root, _labels_inside(root, label_name))]
    planes = [plane for pair in pairs for plane in _planes_of(name, *pair)]
    return Dataset(name, tuple(planes))


def image_files(folder: Path) -> list[Path]:
    """The images in a folder, by their endings, in order of their names.

    Names that begin with a dot belong to the system, as macOS's `._a.tif` do.
    """
    return sorted(x for x in folder.iterdir() if is_image_name(x.name))


def _pairs_of(root: Path) -> Iterator[tuple[Path, Path]]:
    """Images with the labels of the same stem, by name."""
    images = image_files(root / "images")
    if not images:
        raise ImageError(
            f"{root / 'images'} needs to hold images, such as .tif, .png or "
            ".ome.zarr, found none."
        )
    stems = [_stem(image) for image in images]
    if len(set(stems)) != len(stems):
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        raise ImageError(
            f"{root / 'images'} needs one image of each name, has several of {twice}."
        )
    labelled = image_files(root / "labels") if (root / "labels").is_dir() else []
    _warn_of_others(root / "images", {_stem(path) for path in labelled})
    for image in images:
        stem = _stem(image)
        labels = [path for path in labelled if _stem(path) == stem]
        if len(labels) != 1:
            raise ImageError(
                f"{image} needs one label image {stem}.* in {root / 'labels'}, found "
                f"{len(labels)}."
            )
        yield image, labels[0]


def _warn_of_others(folder: Path, labelled: set[str]) -> None:
    """Name the files that have labels, and are not read."""
    others = [
        path.name
        for path in sorted(folder.iterdir())
        if not path.name.startswith(".")
        and not is_image_name(path.name)
        and _stem(path) in labelled
    ]
    if others:
        warnings.warn(
            f"{folder} has files with labels that are not read: {', '.join(others)}. "
            "Convert them to TIFF, PNG or OME-Zarr.",
            ImageWarning,
            stacklevel=2,
        )


def _labels_inside(root: Path, name: str) -> Path:
    """The label image of an OME-Zarr image."""
    try:
        group = zarr.open_group(root / "labels", mode="r")
        attributes: dict[str, Any] = dict(group.attrs.asdict())
    except (OSError, ValueError, KeyError) as error:
        raise ImageError(
            f"{root} needs to be a folder with images/ and labels/, or an OME-Zarr "
            "image with a group labels/; found neither."
        ) from error
    listed = ome_attributes(attributes).get("labels", [])
    names = [entry for entry in listed if isinstance(entry, str)]
    if not names or (name and name not in names):
        raise ImageError(
            f"{root} has the labels {names}, needed is {name or 'at least one'}."
        )
    return root / "labels" / (name or names[0])


def _planes_of(dataset: str, image: Path, labels: Path) -> Iterator[AnnotatedPlane]:
    with open_image(image) as pixels, open_ids(labels) as ids:
        needed = (*_long(pixels.stack_shape), *pixels.shape)
        found = (*_long(ids.stack_shape), *ids.shape)
        if found != needed or ids.channel_count != 1 or ids.dtype.kind not in "bui":
            raise LabelError(
                f"The labels of {image} need shape {needed}, one channel and whole "
                f"numbers; {labels} has shape {found}, {ids.channel_count} channels "
                f"and {ids.dtype}."
            )
        for plane in product(*(range(count) for count in pixels.stack_shape)):
            places = (
                i for i, n in zip(plane, pixels.stack_shape, strict=True) if n > 1
            )
            same = tuple(next(places) if n > 1 else 0 for n in ids.stack_shape)
            yield AnnotatedPlane(dataset, _stem(image), plane, image, labels, same)


def _long(stack_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without axes of one plane, which converters add and leave out."""
    return tuple(count for count in stack_shape if count > 1)


def _stem(path: Path) -> str:
    """The name without its ending; `.ome.tif` and `.ome.zarr` are one ending.

    Macs write an accent as a letter of its own, others do not: it is the same name.
    """
    stem = path.name.removesuffix(path.suffix).removesuffix(".ome")
    return unicodedata.normalize("NFC", stem)
