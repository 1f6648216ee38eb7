"""Where the labels of a layer go, and what the user is told about it.

    1. where there are labels by us already
    2. the image's own labels/, if it is an OME-Zarr image that can be written
    3. beside the image's file
    4. a new temporary folder

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

from napari_sam.labels.location import default_labels_path, is_label_of_image
from napari_sam.napari_plugin.sources import OpenedLayer
from napari_sam.zarr_nodes import URL, is_zarr

NAME = "napari-sam"
"""What our labels are called inside of an image."""

READER = "napari_ome_zarr"

UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class LabelsProposal:
    """A place for labels, which the user may change."""

    path: Path
    text: str  # a sentence for the user: where, and why there
    is_temporary: bool = False


def propose_labels(opened: OpenedLayer, path: str | None, name: str) -> LabelsProposal:
    """Choose a place for a layer's labels; makes nothing but a temporary folder.

    Parameters
    ----------
    opened
        The layer.
    path
        Where the layer says that it is from, also if another program has to read it.
    name
        Of the layer.
    """
    local = _local(opened.file or opened.image.source or path)
    if local is None:
        return _temporary(name, "The image has no file on this computer")
    inside = local / "labels" / NAME
    beside = default_labels_path(local)
    if opened.file is None:
        # Several layers may come from one file that only their reader knows.
        stem = beside.name.removesuffix(".labels.ome.zarr")
        beside = beside.with_name(f"{stem}.{_plain(name)}.labels.ome.zarr")
    elif _can_be_inside(local, inside):
        return LabelsProposal(inside, f"Labels are kept in the image, in {inside}.")
    if is_zarr(beside) or os.access(beside.parent, os.W_OK):
        return LabelsProposal(beside, f"Labels are kept beside the image, in {beside}.")
    return _temporary(name, f"{beside.parent} cannot be written")


def _local(source: str | None) -> Path | None:
    if not source:
        return None
    text = source.removeprefix("file://")
    if URL.match(text):
        return None
    path = Path(text).expanduser().absolute()
    return path if path.exists() else None


def _can_be_inside(image: Path, inside: Path) -> bool:
    if is_zarr(inside):
        return True
    if not is_label_of_image(inside) or is_zarr(default_labels_path(image)):
        return False
    labels = inside.parent
    is_understood = is_zarr(labels) or find_spec(READER) is not None
    return is_understood and os.access(labels if labels.exists() else image, os.W_OK)


def _temporary(name: str, reason: str) -> LabelsProposal:
    folder = Path(mkdtemp(prefix="napari-sam-"))
    path = folder / f"{_plain(name)}.labels.ome.zarr"
    text = f"{reason}: labels are kept for now in {path}. Choose a place that lasts."
    return LabelsProposal(path, text, is_temporary=True)


def _plain(name: str) -> str:
    """A name that every file system takes."""
    return UNSAFE.sub("-", name).strip("-.") or "image"
