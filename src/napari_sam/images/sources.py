"""What was given to `open_image`: a path, a URL, an array; opened by its format."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from glob import glob, has_magic
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import fsspec
import zarr
from PIL import Image as Pillow

from napari_sam.errors import ForeignErrors, ImageError
from napari_sam.images.foreign_formats import foreign_format
from napari_sam.images.from_files import counted_order, open_files
from napari_sam.images.from_memory import is_pyramid, open_arrays
from napari_sam.images.from_raster import (
    open_npy,
    open_npz,
    open_picture,
    open_pillow,
)
from napari_sam.images.from_tiff import Part, open_tiff
from napari_sam.images.from_zarr import (
    open_zarr_node,
    open_zarr_path,
    open_zarr_url,
)
from napari_sam.images.stored import StoredImage, is_lazy_array

PROTOCOL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*$")
URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+(://|::)")
TIFF_ENDING = re.compile(
    r"\.(tiff?|btf|tf[28]|svs|ndpi|scn|qptiff|lsm)$", re.IGNORECASE
)
PICTURE_ENDING = re.compile(
    r"\.(png|jpe?g|jp2|gif|bmp|webp|pgm|ppm|tga|avif)$", re.IGNORECASE
)
ARRAY_ENDING = re.compile(r"\.(zarr|npy|npz)$", re.IGNORECASE)
ENDINGS = re.compile(r"(\.ome)?\.[A-Za-z0-9]+$")
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NPY_START = b"\x93NUM"


def find_image(source: object, part: Part = None) -> StoredImage:
    """Open anything that `open_image` takes, reading metadata only.

    Parameters
    ----------
    source
        As of `open_image`; a path may end in "::" and what would be the part.
    part
        Which image of a file of several, by number or name; None: the first.
    """
    if isinstance(source, StoredImage):
        return source
    if not isinstance(source, str | os.PathLike):
        if part is not None:
            raise ImageError(
                f"series={part!r} chooses among the images of a file, and this is "
                f"{type(source).__name__}."
            )
        return _open_object(source)
    if part is None and isinstance(source, str):
        source, part = split_part(source)
    if isinstance(source, str) and URL.match(source):
        return replace(_open_url(source, part), part=part)
    return replace(_open_path(Path(source).expanduser(), part), part=part)


def is_image_name(name: str) -> bool:
    """Whether a file of this name is an image that is read; hidden ones are none."""
    endings = (TIFF_ENDING, PICTURE_ENDING, ARRAY_ENDING)
    return not name.startswith(".") and any(e.search(name) for e in endings)


def split_part(source: str) -> tuple[str, Part]:
    """`FILE::NAME` as file and name; a path or URL without a name as it is.

    What comes before "::" in a chain of fsspec, such as zip::, is no file.
    """
    address, mark, name = source.rpartition("::")
    is_chain = "://" in name or (PROTOCOL.match(address) and not Path(address).exists())
    if not mark or is_chain or Path(source).exists():
        return source, None
    return address, name


def _open_object(source: object) -> StoredImage:
    """Open what is in memory already, or stands for files that are open."""
    if isinstance(source, zarr.Array | zarr.Group):
        return open_zarr_node(source)
    if isinstance(source, Pillow.Image):
        return open_pillow(source)
    if is_pyramid(source):
        return open_arrays(list(source))
    if is_lazy_array(source):
        return open_arrays((source,))
    if isinstance(source, Sequence):
        return _open_list(source)
    raise ImageError(
        "An image needs to be a path, a URL, a zarr array or group, a dask or numpy "
        f"array, or a list of arrays, got {type(source).__name__}."
    )


def _open_list(sources: Sequence[object]) -> StoredImage:
    """Open a list of paths: the planes of a stack."""
    paths = [source for source in sources if isinstance(source, str | os.PathLike)]
    if not paths or len(paths) != len(sources):
        kinds = sorted({type(source).__name__ for source in sources})
        found = f"one of {', '.join(kinds)}" if kinds else "an empty one"
        raise ImageError(
            "An image needs at least one array: a list of arrays is a pyramid or a "
            f"stack, a list of paths the planes of a stack; got {found}."
        )
    files = [p if isinstance(p, str) and URL.match(p) else Path(p) for p in paths]
    name = ENDINGS.sub("", str(files[0]).replace("\\", "/").rsplit("/", maxsplit=1)[-1])
    return open_files(files, find_image, name, None)


def _open_glob(pattern: Path) -> StoredImage:
    """Open the files that a pattern such as cells/*.tif names."""
    files = counted_order([Path(found) for found in glob(str(pattern))])
    if not files:
        raise ImageError(f"{pattern} needs to name at least one file, got none.")
    return open_files(files, find_image, pattern.parent.name or "stack", str(pattern))


def _planes_in(folder: Path) -> list[Path]:
    """The pictures in a folder that is no zarr, in order."""
    files = [
        path
        for path in folder.iterdir()
        if is_image_name(path.name) and not ARRAY_ENDING.search(path.name)
    ]
    return counted_order(files)


def _open_path(path: Path, part: Part) -> StoredImage:
    """Open a file or folder by what is in it, not by its name."""
    if not path.exists() and has_magic(str(path)):
        return _open_glob(path)
    with ForeignErrors(ImageError, f"{path} needs to be a file or folder to read"):
        is_folder = path.is_dir()
        facts, start = path.stat(), b"" if is_folder else _first_bytes(path)
    path = path.absolute()
    if is_folder:
        planes = [] if _is_zarr(path) else _planes_in(path)
        if planes:
            return open_files(planes, find_image, path.name, str(path))
        return open_zarr_path(path, part)
    return _open_file(path, start, f"{facts.st_mtime_ns}-{facts.st_size}", part)


def _open_file(path: Path, start: bytes, state: str, part: Part) -> StoredImage:
    name = ENDINGS.sub("", path.name)
    if start[:4] in TIFF_STARTS:
        return open_tiff(path, name, str(path), state, part)
    if start[:4] == NPY_START:
        return open_npy(path, name, str(path), state)
    if zipfile.is_zipfile(path):
        if _holds_arrays(path):
            return open_npz(path, name, state, part)
        return open_zarr_path(path, part)
    _refuse_foreign(start, path.name, str(path))
    return open_picture(lambda: path, name, str(path), state)


def _refuse_foreign(start: bytes, name: str, source: str) -> None:
    """Raise an ImageError that says what reads the file, if that is known."""
    known = foreign_format(start, name)
    if known is not None:
        raise ImageError(
            f"{source} is {known.name}, which is not read here. {known.advice}."
        )


def _holds_arrays(path: Path) -> bool:
    """Whether a zip file is numpy's, .npz."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def _is_zarr(folder: Path) -> bool:
    """Whether a folder has the metadata of zarr, of either version."""
    names = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
    return any((folder / name).exists() for name in names)


def _first_bytes(path: Path) -> bytes:
    """The bytes by which most formats differ."""
    with path.open("rb") as file:
        return file.read(256)


def _check_far_end(file: BinaryIO) -> None:
    """Read the last byte: a server that sends files as a whole only fails here.

    The first byte is read before, and with it a file that is small enough to be
    fetched at once, which needs no parts.
    """
    file.read(1)
    file.seek(-1, os.SEEK_END)
    file.read(1)
    file.seek(0)


def _open_url(url: str, part: Part) -> StoredImage:
    """Open what lies behind a URL by its ending; zarr has none that is sure."""
    if url.startswith("file://"):
        return _open_path(Path(url2pathname(urlsplit(url).path)), part)
    address = re.split(r"[?#]", url)[0].rstrip("/")
    name = ENDINGS.sub("", unquote(address).rsplit("/", maxsplit=1)[-1])
    if TIFF_ENDING.search(address):
        needed = f"{url} needs to be a file that can be read in parts"
        with ForeignErrors(ImageError, needed, "Download it, or try OME-Zarr."):
            file = fsspec.open(url, "rb").open()
            _check_far_end(file)
        return open_tiff(file, name, url, url, part)
    is_array = address.lower().endswith(".npy")
    if not PICTURE_ENDING.search(address) and not is_array:
        _refuse_foreign(b"", address, url)
        return open_zarr_url(url, part)

    @cache
    def download() -> bytes:
        with fsspec.open(url, "rb") as file:
            content: bytes = file.read()
        return content

    if is_array:
        return open_npy(BytesIO(download()), name, url, state=url)
    return open_picture(lambda: BytesIO(download()), name, url, state=url)
