"""Stores of zarr as users have them: folders, zip files, buckets that hide what is not.

A zip file may hold the zarr at its top, or in a folder, as a right-click makes it. A
bucket that may not be listed answers 403, not 404, for a key that is not there.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from zarr.storage import FsspecStore, LocalStore, ZipStore

from napari_sam.errors import ImageError

ROOT_NAMES = ("zarr.json", ".zgroup", ".zarray")
FORBIDDEN = 403


class BucketStore(FsspecStore):
    """A store for which "forbidden" means "not there".

    Where a whole bucket is forbidden, there is no metadata, and nothing opens.
    """

    async def get(self, key: str, *rest: Any, **more: Any) -> Any:
        """As of zarr's stores; None for a key that is not there."""
        try:
            return await super().get(key, *rest, **more)
        except PermissionError:
            return None
        except Exception as error:
            if getattr(error, "status", None) == FORBIDDEN:
                return None
            raise


def local_store(path: Path) -> tuple[LocalStore | ZipStore, str]:
    """The store of a folder or zip file, and the path of the zarr in it."""
    if path.is_dir():
        return LocalStore(path, read_only=True), ""
    with zipfile.ZipFile(path) as archive:
        root = zip_root(archive, str(path))
    return ZipStore(path, mode="r", read_only=True), root


def url_store(url: str) -> FsspecStore:
    """The store behind a URL; of a zip file, the zarr in it."""
    if url.lower().split("?")[0].endswith(".zip") and "::" not in url:
        with fsspec.open(url, "rb") as file:
            root = _root_of(file, url)
        url = f"zip://{root}::{url}"
    return BucketStore.from_url(url, read_only=True)


def _root_of(file: BinaryIO, url: str) -> str:
    with zipfile.ZipFile(file) as archive:
        return zip_root(archive, url)


def zip_root(archive: zipfile.ZipFile, where: str) -> str:
    """The folder in an archive that holds the zarr, "" for its top."""
    folders = {
        name.rpartition("/")[0]
        for name in archive.namelist()
        if name.rpartition("/")[2] in ROOT_NAMES and not name.startswith("__MACOSX")
    }
    if not folders or "" in folders:
        return ""
    tops = sorted(f for f in folders if not any(f.startswith(f"{o}/") for o in folders))
    if len(tops) > 1:
        raise ImageError(
            f"{where} holds {len(tops)} zarr folders, {', '.join(tops[:8])}. Unpack it "
            "and open one of them."
        )
    return tops[0]
