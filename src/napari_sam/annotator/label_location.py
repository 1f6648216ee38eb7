"""Where the labels of an image go if nobody says, and what the user reads about it.

    1. where there are labels by us already
    2. the image's own labels/, if a screen wants that and it is an OME-Zarr image that
       can be written
    3. beside the image's file
    4. in a folder that is given, under a name that follows from the pixels, so that the
       same image finds its labels again; else in a new temporary folder

Plain napari cannot open an image any more that has a labels/ group inside; it takes
the napari-ome-zarr plugin. So the second counts only where that is installed, or where
the image has a labels/ group as it is.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import xxhash

from napari_sam.geometry import Box
from napari_sam.images import Image
from napari_sam.labels import default_labels_path, is_label_of_image
from napari_sam.zarr_nodes import URL, is_zarr

NAME = "napari-sam"
"""What our labels are called inside of an image."""

READER = "napari_ome_zarr"

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
PROBE_SIDE = 512


@dataclass(frozen=True, slots=True)
class LabelsProposal:
    """A location for labels, which the user may change.

    Parameters
    ----------
    path
        Of the label volume.
    text
        A sentence for the user: where, and why there.
    is_temporary
        Whether it is in a folder that the system may clear.
    """

    path: Path
    text: str
    is_temporary: bool = False


def propose_labels(
    image: Image,
    file: str | None,
    path: str | None = None,
    name: str | None = None,
    *,
    in_image: bool = False,
    folder: Path | None = None,
) -> LabelsProposal:
    """Choose a location for an image's labels; makes nothing but a temporary folder.

    Parameters
    ----------
    image
        That is open.
    file
        That it was opened from; None: from arrays.
    path
        Where the arrays are from, also if another program has to read it.
    name
        Of the arrays: there may be several from one path. None: the image's.
    in_image
        Whether the image's own labels/ is considered.
    folder
        For images that are in no file, or in a folder that cannot be written; None: a
        new temporary one.

    Returns
    -------
    LabelsProposal
        Where, and why.
    """
    name = name or image.name
    local = _local(file) if file else _existing(image.source or path)
    if local is None:
        reason = "The image has no file on this computer"
        return _elsewhere(image, name, folder, reason)
    beside = default_labels_path(local)
    if file is None:
        # Several images may come from one file that only their reader knows.
        stem = beside.name.removesuffix(".labels.ome.zarr")
        beside = beside.with_name(f"{stem}.{_plain(name)}.labels.ome.zarr")
    elif in_image and _can_be_inside(local, inside := local / "labels" / NAME):
        return LabelsProposal(inside, f"Labels are kept in the image, in {inside}.")
    if is_zarr(beside) or os.access(beside.parent, os.W_OK):
        return LabelsProposal(beside, f"Labels are kept beside the image, in {beside}.")
    return _elsewhere(image, name, folder, f"{beside.parent} cannot be written")


def _local(source: str | None) -> Path | None:
    text = (source or "").removeprefix("file://")
    if not text or URL.match(text):
        return None
    return Path(text).expanduser().absolute()


def _existing(source: str | None) -> Path | None:
    path = _local(source)
    return path if path is not None and path.exists() else None


def _can_be_inside(image: Path, inside: Path) -> bool:
    if is_zarr(inside):
        return True
    if not is_label_of_image(inside) or is_zarr(default_labels_path(image)):
        return False
    labels = inside.parent
    is_understood = is_zarr(labels) or find_spec(READER) is not None
    return is_understood and os.access(labels if labels.exists() else image, os.W_OK)


def _elsewhere(
    image: Image, name: str, folder: Path | None, reason: str
) -> LabelsProposal:
    if folder is not None:
        path = folder / f"{_plain(name)}-{_digest(image)}.labels.ome.zarr"
        return LabelsProposal(path, f"{reason}: labels are kept in {path}.")
    path = Path(mkdtemp(prefix="napari-sam-")) / f"{_plain(name)}.labels.ome.zarr"
    text = f"{reason}: labels are kept for now in {path}. Choose a place that lasts."
    return LabelsProposal(path, text, is_temporary=True)


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return UNSAFE.sub("-", name).strip("-.") or "image"


def _digest(image: Image) -> str:
    """Another one for another image: by its source, or by a few of its pixels."""
    seen = xxhash.xxh64()
    seen.update(repr((image.stack_shape, image.shape, str(image.dtype))).encode())
    if image.source is not None:
        seen.update(image.source.encode())
        return seen.hexdigest()[:8]
    whole = Box.of_shape(image.shape)
    planes = {tuple(0 for _ in image.stack_shape)}
    planes |= {tuple(n // 2 for n in image.stack_shape)}
    for plane in sorted(planes):
        for part in (0, 1, 2):
            y, x = (part * max(side - PROBE_SIDE, 0) // 2 for side in image.shape)
            box = Box(y, x, y + PROBE_SIDE, x + PROBE_SIDE).clip(whole)
            seen.update(np.ascontiguousarray(image.read(plane, 0, box)).tobytes())
    return seen.hexdigest()[:8]
