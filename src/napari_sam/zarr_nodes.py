"""Zarr stores from outside: by their address and by what is in their folders.

Whether labels may be written somewhere has to be known before zarr opens anything, and
of folders that are no zarr at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from napari_sam.errors import LabelError
from napari_sam.ome_zarr import ome_attributes

URL = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)
SUFFIXES = re.compile(
    r"(\.ome)?\.(zarr|n5|tiff?|btf|tf[28]|png|jpe?g|npy)/?$", re.IGNORECASE
)
"""Endings of the names of images."""

IDENTITY_KEY = "napari-sam"


@dataclass(frozen=True, slots=True)
class ZarrNode:
    """A group or an array of a zarr store on local disk."""

    zarr_format: int
    is_array: bool
    attributes: Mapping[str, Any]

    @property
    def ome(self) -> Mapping[str, Any]:
        """The OME-Zarr metadata, empty if there are none."""
        return ome_attributes(self.attributes)

    @property
    def version(self) -> str:
        """The OME-Zarr version that goes with the zarr format."""
        return "0.5" if self.zarr_format == 3 else "0.4"

    @property
    def identity(self) -> str | None:
        """What ties a label volume to its journal."""
        found = self.attributes.get(IDENTITY_KEY)
        return str(found.get("identity")) if isinstance(found, Mapping) else None

    @property
    def has_pyramid(self) -> bool:
        """Whether the metadata describe an image, or labels."""
        return bool(self.ome.get("multiscales"))


def read_node(folder: Path) -> ZarrNode | None:
    """Read what zarr keeps in this folder, None if it is no part of a zarr store."""
    try:
        if (folder / "zarr.json").is_file():
            node = read_json(folder / "zarr.json")
            is_array = node.get("node_type") == "array"
            return ZarrNode(3, is_array, node.get("attributes") or {})
        is_array = (folder / ".zarray").is_file()
        if not is_array and not (folder / ".zgroup").is_file():
            return None
        attributes = folder / ".zattrs"
        return ZarrNode(
            2, is_array, read_json(attributes) if attributes.is_file() else {}
        )
    except (ValueError, OSError) as error:
        raise LabelError(
            f"The zarr metadata in {folder} cannot be read ({error}). Repair or move "
            "the folder, or choose another folder for the labels."
        ) from error


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object from a file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, Mapping):
        raise ValueError(f"{path.name} holds no JSON object")
    return found


def is_url(path: object) -> TypeGuard[str]:
    """Whether this names something that is not on a local disk."""
    return isinstance(path, str) and URL.match(path) is not None


def outermost_store(path: Path) -> Path:
    """The top of the zarr store that `path` is in, or would be; else `path` itself.

    Between the two lie zarr nodes, folders that are not there yet, and folders inside
    of one that is named .zarr. Any other zarr metadata above do not count: a stray
    zarr.json in a home folder does not make all that is in it one store.
    """
    store, is_linked = path, True
    for folder in (path, *path.parents):
        if is_zarr(folder):
            is_linked = is_linked or SUFFIXES.search(folder.name) is not None
            store = folder if is_linked else store
        elif folder.exists():
            is_linked = False
    return store


def is_zarr(folder: Path) -> bool:
    """Whether zarr keeps metadata in this folder."""
    names = ("zarr.json", ".zgroup", ".zarray")
    return any((folder / name).is_file() for name in names)
