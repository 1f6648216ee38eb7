"""What was given to `open_image`: a path, a URL, an array; opened by its format."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import fsspec
import zarr

from napari_sam.errors import ImageError
from napari_sam.images.from_memory import open_arrays
from napari_sam.images.from_raster import open_npy, open_picture
from napari_sam.images.from_tiff import open_tiff
from napari_sam.images.from_zarr import (
    open_zarr_node,
    open_zarr_path,
    open_zarr_url,
)
from napari_sam.images.stored import ForeignErrors, StoredImage, is_lazy_array

URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+(://|::)")
TIFF_ENDING = re.compile(
    r"\.(tiff?|btf|tf[28]|svs|ndpi|scn|qptiff|lsm)$", re.IGNORECASE
)
PICTURE_ENDING = re.compile(
    r"\.(png|jpe?g|jp2|gif|bmp|webp|pgm|ppm|tga|avif)$", re.IGNORECASE
)
ENDINGS = re.compile(r"(\.ome)?\.[A-Za-z0-9]+$")
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NPY_START = b"\x93NUM"


def find_image(source: object) -> StoredImage:
    """Open anything that `open_image` takes, reading metadata only."""
    if isinstance(source, StoredImage):
        return source
    if isinstance(source, zarr.Array | zarr.Group):
        return open_zarr_node(source)
    if isinstance(source, str) and URL.match(source):
        return _open_url(source)
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source).expanduser())
    if is_lazy_array(source):
        return open_arrays((source,))
    if isinstance(source, Sequence):
        if all(is_lazy_array(level) for level in source):
            return open_arrays(source)
        raise ImageError(
            "A pyramid needs to be a list of arrays, finest first, got a list with "
            f"{', '.join(sorted({type(level).__name__ for level in source}))}."
        )
    raise ImageError(
        "An image needs to be a path, a URL, a zarr array or group, a dask or numpy "
        f"array, or a list of arrays, got {type(source).__name__}."
    )


def _open_path(path: Path) -> StoredImage:
    """Open a file or folder by what is in it, not by its name."""
    with ForeignErrors(ImageError, f"{path} needs to be a file or folder to read"):
        is_folder, facts = path.is_dir(), path.stat()
        start = b"" if is_folder else _first_bytes(path)
    if is_folder:
        return open_zarr_path(path)
    path = path.absolute()
    name, state = ENDINGS.sub("", path.name), f"{facts.st_mtime_ns}-{facts.st_size}"
    if start in TIFF_STARTS:
        return open_tiff(path, name, str(path), state)
    if start == NPY_START:
        return open_npy(path, name, state)
    if zipfile.is_zipfile(path):
        return open_zarr_path(path)
    return open_picture(lambda: path, name, str(path), state)


def _first_bytes(path: Path) -> bytes:
    """The bytes by which most formats differ."""
    with path.open("rb") as file:
        return file.read(4)


def _check_far_end(file: BinaryIO) -> None:
    """Read the last byte: a server that sends files as a whole only fails here.

    The first byte is read before, and with it a file that is small enough to be
    fetched at once, which needs no parts.
    """
    file.read(1)
    file.seek(-1, os.SEEK_END)
    file.read(1)
    file.seek(0)


def _open_url(url: str) -> StoredImage:
    """Open what lies behind a URL by its ending; zarr has none that is sure."""
    if url.startswith("file://"):
        return _open_path(Path(url2pathname(urlsplit(url).path)))
    address = re.split(r"[?#]", url)[0].rstrip("/")
    name = ENDINGS.sub("", unquote(address).rsplit("/", maxsplit=1)[-1])
    if TIFF_ENDING.search(address):
        needed = f"{url} needs to be a file that can be read in parts"
        with ForeignErrors(ImageError, needed, "Download it, or try OME-Zarr."):
            file = fsspec.open(url, "rb").open()
            _check_far_end(file)
        return open_tiff(file, name, url, state=url)
    if not PICTURE_ENDING.search(address):
        return open_zarr_url(url)

    @cache
    def download() -> bytes:
        with fsspec.open(url, "rb") as file:
            content: bytes = file.read()
        return content

    return open_picture(lambda: BytesIO(download()), name, url, state=url)
