"""Where labels live, and what must not be overwritten there.

    slide.labels.ome.zarr/               the label pyramid: a store of its own
    slide.labels.ome.zarr.napari-sam/    its journal and its lock

    slide.ome.zarr/labels/nuclei/        the label pyramid, inside of its image
    slide.ome.zarr.napari-sam/labels/nuclei.journal.jsonl

The first is the default: with a labels/ group inside, plain napari cannot open the
image any more. The journal stays out of the store, since zarr warns of files in it
that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from napari_sam.errors import LabelError
from napari_sam.zarr_nodes import (
    SUFFIXES,
    URL,
    ZarrNode,
    is_url,
    outermost_store,
    read_node,
)


@dataclass(frozen=True, slots=True)
class LabelLocation:
    """The folder of a label volume, and the outermost zarr store that it is in."""

    path: Path
    store: Path

    @property
    def image(self) -> Path | None:
        """The image's group, where the labels are inside of it."""
        return None if self.path == self.store else self.path.parent.parent

    @property
    def folder(self) -> Path:
        """Where what is not OME-Zarr is kept, of all labels in the store."""
        return self.store.with_name(f"{self.store.name}.napari-sam")

    @property
    def journal(self) -> Path:
        """The file of what happened to these labels."""
        return self._companion("journal.jsonl")

    @property
    def lock(self) -> Path:
        """The file that the one writer of these labels holds."""
        return self._companion("lock")

    @property
    def drafts(self) -> Path:
        """A folder for label volumes that are being made or replaced."""
        return self._companion("drafts")

    @property
    def run_folder(self) -> Path:
        """A folder for an automatic run, until it is complete."""
        return self._companion("everything")

    def _companion(self, ending: str) -> Path:
        inner = self.path.relative_to(self.store)
        if inner == Path():
            inner = Path("labels")
        return self.folder / inner.parent / f"{inner.name}.{ending}"


def default_labels_path(source: str | PathLike[str] | None) -> Path:
    """Propose where the labels of an image go: into a store beside it.

    Not in the image's own labels/ group, because plain napari cannot open an image
    that has one. Images that are not on local disk (arrays, URLs) get a
    store in the current folder.
    """
    if source is None or not str(source):
        return Path("labels.ome.zarr")
    text = str(source).removeprefix("file://")
    if URL.match(text):
        inner = SUFFIXES.sub("", text.split("?")[0].rstrip("/").rsplit("/", 1)[-1])
        return Path(f"{inner or 'image'}.labels.ome.zarr")
    path = Path(text)
    store = outermost_store(path)
    names = [SUFFIXES.sub("", store.name), *path.relative_to(store).parts]
    return store.with_name(f"{'.'.join(names)}.labels.ome.zarr")


def find_location(path: Any, source: str | None = None) -> LabelLocation:
    """Settle where labels go.

    Parameters
    ----------
    path
        A folder for a store of its own, or IMAGE/labels/NAME inside of an image.
    source
        Where the image is, which must not be overwritten.

    Raises
    ------
    LabelError
        No labels can be there: a URL, the image itself, another part of a store.
    """
    if not isinstance(path, str | PathLike):
        raise LabelError(f"Labels need the path of a folder, got {path!r}.")
    if is_url(str(path)):
        raise LabelError(
            f"Labels that are edited need a folder on a local disk, got {path}. Copy "
            "the store there, and back when it is done. Only segmenting everything "
            "writes to a URL."
        )
    target = Path(path).expanduser().resolve()
    if source and not URL.match(source.removeprefix("file://")):
        image = Path(source.removeprefix("file://")).expanduser().resolve()
        if image == target or target in image.parents:  # a level, or a part, of it
            raise LabelError(
                f"The labels would overwrite their own image {image}. Choose another "
                f"folder, such as {default_labels_path(image)}."
            )
    store = outermost_store(target)
    if store != target and not is_label_of_image(target):
        raise LabelError(
            f"{target} is inside of the zarr store {store}, where labels need a path "
            f"IMAGE/labels/NAME under an OME-Zarr image. Choose such a path, or a new "
            f"one beside the store, such as {default_labels_path(store)}."
        )
    return LabelLocation(target, store)


def is_label_of_image(path: Path) -> bool:
    """Whether `path` is labels/NAME of a group with an OME-Zarr image."""
    if path.parent.name != "labels":
        return False
    image = read_node(path.parent.parent)
    return image is not None and image.has_pyramid


def existing_labels(location: LabelLocation) -> ZarrNode | None:
    """The label group at a location, None if it is free.

    Raises
    ------
    LabelError
        Something else is there, which is not ours to continue or to overwrite.
    """
    path = location.path
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return None
    node = read_node(path) if path.is_dir() else None
    if node is None:
        found = "a folder with other files" if path.is_dir() else "a file"
    elif node.is_array:
        found = "a zarr array without OME-Zarr metadata"
    elif not node.has_pyramid:
        found = "a zarr group without an OME-Zarr image"
    elif "image-label" in node.ome or location.image is not None:
        return node
    else:
        found = "an OME-Zarr image, not a label volume"
    raise LabelError(
        f"Labels need a free path or an existing label volume, but {path} is {found}. "
        "It was left as it is: choose another path."
    )
