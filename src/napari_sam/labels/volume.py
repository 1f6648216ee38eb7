"""Make, open and replace the zarr pyramid of a label volume.

A new pyramid is built in the folder beside the store and renamed to its path when it
is whole, so that there is never half of one, nor an old one lost to a failure.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numcodecs  # type: ignore[import-untyped]
import numpy as np
import zarr
from filelock import FileLock
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore

from napari_sam.atomic_files import sync_file, sync_folder
from napari_sam.errors import LabelError, LabelWriteError
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.location import LabelLocation
from napari_sam.labels.ome_zarr import (
    LabelMetadata,
    label_attributes,
)
from napari_sam.labels.pyramid import LabelLevel, LabelPyramid
from napari_sam.ome_zarr import ZARR_FORMATS, read_multiscale
from napari_sam.zarr_nodes import IDENTITY_KEY, ZarrNode, read_node


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """How to open labels; sizes are in pixels and count for new volumes only."""

    version: str | None = None  # "0.4" or "0.5"; None: what is there, else "0.5"
    overwrite: bool = False  # start anew, even if there are labels
    restore: bool = False  # write the pixels anew from the journal
    chunk_size: int = 512
    shard_size: int = 2048  # side of a file's square, version 0.5 only
    coarsest_size: int = 512  # a level with no side above this is the last

    def __post_init__(self) -> None:
        if self.version not in {None, *ZARR_FORMATS}:
            raise LabelError(
                f"Labels need OME-Zarr version 0.4 or 0.5, got {self.version!r}."
            )
        if self.overwrite and self.restore:
            raise LabelError(
                "Labels can be overwritten or restored from their journal, not both."
            )
        sizes = (self.chunk_size, self.shard_size, self.coarsest_size)
        if min(sizes) < 1 or self.shard_size % self.chunk_size:
            raise LabelError(
                "Labels need sizes of at least 1 and a shard_size that is a multiple "
                f"of chunk_size, got chunk_size={self.chunk_size}, shard_size="
                f"{self.shard_size}, coarsest_size={self.coarsest_size}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class LabelVolume:
    """An open label pyramid, with its metadata."""

    metadata: LabelMetadata
    geometry: LabelGeometry
    pyramid: LabelPyramid


def create_volume(
    location: LabelLocation,
    geometry: LabelGeometry,
    options: LabelOptions,
    identity: str,
) -> None:
    """Write the metadata of an empty label volume; no pixels.

    `location` has to be free. A LabelWriteError leaves it free.
    """
    draft = location.drafts / "new"
    try:
        staged_volume(location, geometry, options, identity)
        sync_tree(draft)
        publish_staged(location)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise LabelWriteError(
            error.errno,
            f"A label volume could not be made at {location.path} ({error}). Labels "
            "need a folder that can be written, with room; choose one, or make room",
        ) from error


def staged_volume(
    location: LabelLocation,
    geometry: LabelGeometry,
    options: LabelOptions,
    identity: str,
) -> Path:
    """Write the metadata of an empty volume where drafts are; returns its folder.

    Its pixels may be written there, before `publish_staged` shows them to anyone.
    """
    image = None if location.image is None else read_node(location.image)
    version = settled_version(options.version, image, location)
    draft = location.drafts / "new"
    shutil.rmtree(draft, ignore_errors=True)
    count = level_count(geometry, options, image)
    attributes = label_attributes(
        geometry, label_name(location), version, count, inside=image is not None
    )
    attributes[IDENTITY_KEY] = {"identity": identity}
    group = zarr.create_group(
        LocalStore(draft), zarr_format=format_of(version), attributes=attributes
    )
    for level in range(count):
        create_level(group, geometry, options, level)
    return draft


def publish_staged(location: LabelLocation) -> None:
    """Move a flushed draft to its location, which has to be free, and register it.

    An OSError leaves it free.
    """
    location.path.parent.mkdir(parents=True, exist_ok=True)
    if location.path.exists():  # an empty folder, which not every system renames onto
        location.path.rmdir()
    (location.drafts / "new").rename(location.path)
    try:
        sync_folder(location.path.parent)
        image = None if location.image is None else read_node(location.image)
        if image is not None:
            register(location, image)
    except OSError:
        shutil.rmtree(location.path, ignore_errors=True)
        raise


def settled_version(
    requested: str | None, image: ZarrNode | None, location: LabelLocation
) -> str:
    """The OME-Zarr version of new labels: inside of an image, the image's."""
    if image is None:
        return requested or "0.5"
    version = image.version
    if requested not in {None, version}:
        raise LabelError(
            f"Labels inside of {location.image} need its OME-Zarr version {version}, "
            f"got {requested}. Leave the version out, or put the labels beside "
            "the image."
        )
    return version


def format_of(version: str) -> Any:
    """The zarr format of an OME-Zarr version."""
    return ZARR_FORMATS[version]


def label_name(location: LabelLocation) -> str:
    """What viewers show for labels here."""
    return location.path.name.removesuffix(".zarr").removesuffix(".ome")


def level_count(
    geometry: LabelGeometry, options: LabelOptions, image: ZarrNode | None
) -> int:
    """Number of levels; inside of an image as many as it has, as OME-Zarr demands."""
    multiscale = image and read_multiscale(image.attributes, "the image")
    if multiscale:
        return len(multiscale.paths)
    longest, count = max(geometry.shape), 1
    while longest > options.coarsest_size:
        longest, count = -(-longest // 2), count + 1
    return count


def create_level(
    group: zarr.Group, geometry: LabelGeometry, options: LabelOptions, level: int
) -> None:
    """Write the metadata of one level."""
    step = 2**level
    height, width = (-(-side // step) for side in geometry.shape)
    chunk = tuple(min(side, options.chunk_size) for side in (height, width))
    single = (1,) * len(geometry.stack_shape)
    layout: dict[str, Any]
    if group.metadata.zarr_format == 3:
        shard = tuple(
            min(options.shard_size // c * c, -(-side // c) * c)
            for c, side in zip(chunk, (height, width), strict=True)
        )
        layout = {
            "shards": None if shard == chunk else (*single, *shard),
            "dimension_names": tuple(geometry.axes),
            "compressors": BloscCodec(cname="zstd", clevel=3, shuffle="shuffle"),
        }
    else:
        layout = {
            "chunk_key_encoding": {"name": "v2", "separator": "/"},
            "compressors": numcodecs.Blosc(cname="zstd", clevel=3, shuffle=1),
        }
    group.create_array(
        str(level),
        shape=(*geometry.stack_shape, height, width),
        chunks=(*single, *chunk),
        dtype=np.uint32,
        fill_value=0,
        **layout,
    )


def register(location: LabelLocation, image: ZarrNode) -> None:
    """Put labels inside of an image on the list of its labels/ group; keep the rest."""
    folder, name = location.path.parent, location.path.name
    with FileLock(location.folder / "groups.lock", timeout=60):
        node = read_node(folder)
        names = list(node.ome.get("labels") or ()) if node is not None else []
        if node is not None and name in names:
            return
        group = zarr.open_group(
            LocalStore(folder),
            mode="a",
            zarr_format=format_of(image.version),
            use_consolidated=False,
        )
        if image.zarr_format == 3:
            kept = dict(node.ome) if node is not None else {}
            ome = {"version": "0.5", **kept, "labels": [*names, name]}
            group.attrs["ome"] = ome
        else:
            group.attrs["labels"] = [*names, name]
        for above in {location.image, location.store} - {None}:
            consolidate_again(above)


def consolidate_again(folder: Path | None) -> None:
    """Refresh the copy of all metadata that some stores keep at their root."""
    node = None if folder is None else read_node(folder)
    if folder is None or node is None:
        return
    if node.zarr_format == 3:
        has_copy = b'"consolidated_metadata"' in (folder / "zarr.json").read_bytes()
    else:
        has_copy = (folder / ".zmetadata").is_file()
    if has_copy:
        with warnings.catch_warnings():  # zarr warns that format 3 has none of it yet
            warnings.simplefilter("ignore")
            version = format_of(node.version)
            zarr.consolidate_metadata(LocalStore(folder), zarr_format=version)


def open_volume(
    location: LabelLocation,
    node: ZarrNode,
    *,
    writable: bool,
    version: str | None = None,
) -> LabelVolume:
    """Open the label volume at a location; reads metadata only."""
    metadata = LabelMetadata.of(node, location.path)
    if version not in {None, metadata.version}:
        raise LabelError(
            f"The labels {location.path} have OME-Zarr version {metadata.version}, "
            f"version {version} was requested. Leave the version out to go on "
            "with them, or choose another path."
        )
    levels = open_levels(location, metadata, writable=writable)
    geometry = LabelGeometry(
        metadata.axes,
        levels[0].array.shape[:-2],
        levels[0].shape,
        metadata.scales[0],
        metadata.units,
        metadata.translation,
    )
    return LabelVolume(metadata, geometry, LabelPyramid(levels))


def open_levels(
    location: LabelLocation, metadata: LabelMetadata, *, writable: bool
) -> list[LabelLevel]:
    """Open the arrays of a label volume, finest first."""
    try:
        arrays = open_arrays(location.path, metadata.paths, writable=writable)
    except (OSError, ValueError, KeyError) as error:
        raise LabelError(
            f"The labels {location.path} lack a level that their metadata name, or "
            f"have a damaged one ({error}). `restore=True` writes them anew from the "
            "journal."
        ) from error
    levels = []
    for array, path, scale in zip(arrays, metadata.paths, metadata.scales, strict=True):
        step = level_step(scale, metadata.scales[0])
        levels.append(LabelLevel(array, location.path / path, step))
        check_level(location, levels[-1], arrays[0])
    return levels


def open_arrays(
    folder: Path, paths: Iterable[str], *, writable: bool
) -> list[zarr.Array[Any]]:
    """Open arrays of a group."""
    store, mode = LocalStore(folder, read_only=not writable), "r+" if writable else "r"
    return [zarr.open_array(store, path=path, mode=mode) for path in paths]


def level_step(scale: tuple[float, ...], finest: tuple[float, ...]) -> tuple[int, int]:
    """Pixels of level 0 from one pixel of a level to the next, in y and x."""
    y, x = (round(a / b) for a, b in zip(scale[-2:], finest[-2:], strict=True))
    return max(y, 1), max(x, 1)


def check_level(
    location: LabelLocation, level: LabelLevel, finest: zarr.Array[Any]
) -> None:
    """Raise a LabelError if a level is not a sample of the finest one in y and x."""
    shape, whole = level.array.shape, finest.shape
    steps = (*(1 for _ in whole[:-2]), *level.step)
    fits = len(shape) == len(whole) and all(
        full // step <= side <= -(-full // step)
        for side, full, step in zip(shape, whole, steps, strict=True)
    )
    if not fits or level.array.dtype.kind not in "iu":
        raise LabelError(
            f"Labels need whole numbers, and levels that are smaller by a whole step "
            f"in y and x only; {level.folder} of {location.path} has "
            f"{level.array.dtype} {shape}, level 0 has {whole}. Copy it to a new label "
            "volume."
        )


def mark_identity(location: LabelLocation, identity: str) -> None:
    """Tie a label volume from elsewhere to its journal."""
    group = zarr.open_group(
        LocalStore(location.path), mode="r+", use_consolidated=False
    )
    group.attrs[IDENTITY_KEY] = {"identity": identity}


def set_aside(location: LabelLocation, *, journal: bool) -> None:
    """Move the labels and, if wanted, their journal out of the way of new ones.

    The labels go first and come back last: as long as they are missing from their
    path, nothing has replaced them.
    """
    aside = location.drafts / "old"
    aside.mkdir(parents=True)
    if location.path.exists():
        location.path.rename(aside / "labels")
    if journal and location.journal.exists():
        location.journal.rename(aside / "journal")


def settle_drafts(location: LabelLocation) -> None:
    """End a replacement: drop the old labels if there are new ones, else undo it."""
    aside = location.drafts / "old"
    if (aside / "labels").exists() and not location.path.exists():
        if (aside / "journal").exists():
            (aside / "journal").replace(location.journal)
        (aside / "labels").rename(location.path)
    shutil.rmtree(location.drafts, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Wait until every file and folder in a folder survives a power cut."""
    for root, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(root, name))
        sync_folder(Path(root))
