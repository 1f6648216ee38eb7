"""Open zarr: OME-Zarr images, bare arrays and groups, local or through fsspec.

Opening reads metadata only. Over HTTP nothing is listed: what cannot be found by
name, such as the arrays of a bare group without consolidated metadata, needs to be
named in the URL.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import zarr
from zarr.errors import ZarrUserWarning
from zarr.storage import FsspecStore, LocalStore

from napari_sam.axes import rename_unknown
from napari_sam.errors import ForeignErrors, ImageError
from napari_sam.images.stored import StoredImage, nothing_to_close, unique_state
from napari_sam.images.zarr_groups import find_group_image
from napari_sam.images.zarr_stores import local_store, url_store
from napari_sam.ome_zarr import (
    OLD_AXES,
    RGB_COLOURS,
    UNKNOWN,
    CoordinateTransform,
    Multiscale,
    read_multiscale,
)

DIGITS = re.compile(r"\d+")

FARTHEST_PARENT = 2
"""Folders above an array in which the metadata of its image are looked for."""


def open_zarr_path(path: Path, part: int | str | None = None) -> StoredImage:
    """Open a folder, or a zip file, that holds zarr; `part` chooses an image in it."""
    needed = f"{path} needs to be a zarr array or group"
    remedy = "Name the folder that holds zarr.json, .zarray or .zgroup."
    with ExitStack() as on_failure:
        with ForeignErrors(ImageError, needed, remedy):
            store, root = local_store(path)
            on_failure.callback(store.close)
            node = zarr.open(store=store, path=root, mode="r")
        stored = open_zarr_node(node, str(path.absolute()), store.close, part)
        on_failure.pop_all()  # from here on the image closes the store
    return stored


def open_zarr_url(url: str, part: int | str | None = None) -> StoredImage:
    """Open zarr that lies behind any URL that fsspec knows, such as https and s3."""
    needed = f"{url} needs to be a zarr array or group that can be reached"
    remedy = "Check the address, and that it names the group itself."
    with ForeignErrors(ImageError, needed, remedy):
        node = zarr.open(store=url_store(url), mode="r")
    return open_zarr_node(node, source=url, part=part)


def open_zarr_node(
    node: zarr.Array[Any] | zarr.Group,
    source: str | None = None,
    close: Callable[[], None] = nothing_to_close,
    part: int | str | None = None,
) -> StoredImage:
    """Open an array or group that someone has opened already.

    Parameters
    ----------
    node
        Of any store.
    source
        Path or URL; None for that of the node's store.
    close
        Releases what the node's store holds.
    part
        Path or number of the image in a group of several.
    """
    source = source or _source_of(node)
    where = source or f"zarr {node.store_path}"
    notices: tuple[str, ...] = ()
    if isinstance(node, zarr.Array):
        multiscale = _multiscale_around(node, source)
        nodes = [node]
    else:
        found = find_group_image(node, where, part)
        node, multiscale, notices = found.group, found.multiscale, found.notices
        nodes = _arrays_of(node, multiscale, where)
    axes = _letters_of(multiscale) if multiscale else None
    if axes is None or len(axes) != nodes[0].ndim:
        multiscale, axes = None, _axes_of(nodes[0])
    if axes is not None and len(axes) != nodes[0].ndim:
        axes = None  # they are about some other array: go by the rule
    described = (multiscale.name if multiscale else None) or "image"
    name = _short_name(source) if source else described
    # In-memory stores have no lasting address, so each opening counts as its own.
    state = _metadata_digest(node, nodes) if source else unique_state()
    return StoredImage(
        arrays=tuple(_of_one_type(nodes)),
        axes=axes,
        is_rgb=_is_rgb(multiscale, axes, nodes[0]),
        **_geometry(multiscale, axes),
        name=name,
        source=source,
        close=close,
        state=state,
        notices=notices,
    )


def _of_one_type(arrays: Sequence[zarr.Array[Any]]) -> list[zarr.Array[Any]]:
    """The levels up to one of another pixel type, as means of labels have."""
    kept = takewhile(lambda array: array.dtype == arrays[0].dtype, arrays)
    return list(kept)


def _multiscale_around(array: zarr.Array[Any], source: str | None) -> Multiscale | None:
    """What the image that an array is a level of says about it, this level first."""
    inner = array.path
    for _ in range(FARTHEST_PARENT):
        inner, _, name = inner.rpartition("/")
        if not name:
            break
        found = _level_in(array.store, inner, array.path[len(inner) :].strip("/"))
        if found is not None:
            return found
    path = Path(source) if source and "://" not in source else None
    if array.path or path is None:
        return None
    for parent in list(path.parents)[:FARTHEST_PARENT]:
        relative = path.relative_to(parent).as_posix()
        found = _level_in(LocalStore(parent, read_only=True), "", relative)
        if found is not None:
            return found
    return None


def _level_in(store: Any, path: str, level: str) -> Multiscale | None:
    """The metadata of a group, if it names such a level, cut down to that level."""
    try:
        attributes = zarr.open_group(store, path=path, mode="r").attrs.asdict()
        multiscale = read_multiscale(attributes, path)
    except Exception:  # noqa: BLE001 - no group, or none that says anything
        return None
    if multiscale is None or level not in multiscale.paths:
        return None
    number = multiscale.paths.index(level)
    transforms = (multiscale.transforms[number],)
    return replace(multiscale, paths=(level,), transforms=transforms)


def _arrays_of(
    group: zarr.Group, multiscale: Multiscale | None, where: str
) -> list[zarr.Array[Any]]:
    """The levels, finest first."""
    if multiscale is None:
        return _pyramid_of_bare_group(group, where)
    arrays = []
    for path in multiscale.paths:
        needed = f"Level {path!r}, which the metadata of {where} name"
        with ForeignErrors(ImageError, f"{needed}, needs to be there"):
            array = group[path]
        if not isinstance(array, zarr.Array):
            raise ImageError(f"{needed}, needs to be an array, got a group.")
        arrays.append(array)
    return arrays


def _pyramid_of_bare_group(group: zarr.Group, where: str) -> list[zarr.Array[Any]]:
    """The arrays of a group without OME metadata, if they make up one image.

    They do if there is only one, or if they have the same axes and type, and each
    has at most as many pixels along every axis as the one before.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)  # foreign files in between
        with ForeignErrors(ImageError, f"Group {where} needs to list its arrays"):
            arrays = dict(group.arrays())
    numbered = sorted(arrays, key=lambda n: ([int(i) for i in DIGITS.findall(n)], n))
    levels = sorted((arrays[name] for name in numbered), key=lambda a: -a.size)
    is_pyramid = levels and all(
        a.dtype == b.dtype
        and a.ndim == b.ndim
        and a.size > b.size
        and all(m >= n for m, n in zip(a.shape, b.shape, strict=True))
        for a, b in pairwise(levels)
    )
    if not is_pyramid:
        found = ", ".join(f"{n} {arrays[n].shape}" for n in numbered[:8]) or "no arrays"
        raise ImageError(
            f"A group needs OME-Zarr metadata, or arrays that are levels of one image, "
            f"got {found} in {where}. Open one array by its path."
        )
    return levels


def _letters_of(multiscale: Multiscale) -> str | None:
    """The axes in letters that mean something here."""
    if multiscale.axes is None:
        return None
    letters = (axis if axis in OLD_AXES else UNKNOWN for axis in multiscale.axes)
    return rename_unknown("".join(letters))


def _axes_of(array: zarr.Array[Any]) -> str | None:
    """The axes by zarr 3 dimension names, or xarray's."""
    names: Any = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, Sequence) or len(names) != array.ndim:
        return None
    words = {"time": "t", "channel": "c", "band": "c", "sample": "s", "samples": "s"}
    lowered = [str(name).lower() for name in names]
    letters = "".join(words.get(name, name) for name in lowered)
    is_named = len(letters) == array.ndim and "y" in letters and "x" in letters
    return rename_unknown(letters) if is_named else None


def _is_rgb(
    multiscale: Multiscale | None, axes: str | None, array: zarr.Array[Any]
) -> bool | None:
    """Whether OME-Zarr channels are colours: three of uint8, and red, green, blue.

    Many writers of stained slides give no colours; then three channels of uint8 are
    taken for colours too.
    """
    if multiscale is None or axes is None or "c" not in axes:
        return None
    is_like_rgb = array.dtype == "uint8" and array.shape[axes.index("c")] == 3
    return is_like_rgb and multiscale.colours in (None, RGB_COLOURS)


def _geometry(multiscale: Multiscale | None, axes: str | None) -> dict[str, Any]:
    """Pixel sizes, units, offsets and level factors, as far as they are known.

    A scale of 0 says nothing, as converters write it for a single time point; that of
    a flipped axis is negative, and its pixels are as large.
    """
    finest = multiscale.transforms[0] if multiscale else None
    if multiscale is None or axes is None or finest is None:
        return {}
    if len(finest.scale) != len(axes):
        return {}
    sizes = {n: abs(s) for n, s in zip(axes, finest.scale, strict=True) if s}
    offsets = dict(zip(axes, finest.translation, strict=True))
    # Axes that were always the same have no units.
    units = dict(zip(axes, multiscale.units, strict=False))
    return {
        "pixel_size": {n: size for n, size in sizes.items() if n != "c"},
        "translation": {n: offset for n, offset in offsets.items() if n != "c"},
        "units": {n: unit for n, unit in units.items() if unit and n in sizes},
        "factors": _factors(multiscale.transforms, finest, axes),
    }


def _factors(
    transforms: Sequence[CoordinateTransform | None],
    finest: CoordinateTransform,
    axes: str,
) -> tuple[dict[str, float], ...] | None:
    """Size of each level's pixels over the finest's, by axis, as far as it is known."""
    if any(t is None or len(t.scale) != len(axes) for t in transforms):
        return None
    return tuple(
        {
            name: abs(size / first)
            for name, size, first in zip(axes, t.scale, finest.scale, strict=True)
            if size and first
        }
        for t in transforms
        if t is not None
    )


def _source_of(node: zarr.Array[Any] | zarr.Group) -> str | None:
    """The path or URL of a node; None for stores in memory and ones we do not know."""
    store = node.store
    if isinstance(store, LocalStore):
        return str(Path(store.root).absolute() / node.path)
    if isinstance(store, FsspecStore):
        return str(store.fs.unstrip_protocol(f"{store.path}/{node.path}".rstrip("/")))
    return None


def _short_name(source: str) -> str:
    """The last part of a path or URL that means something, without its endings."""
    parts = [part for part in re.split(r"[/\\]", source) if part]
    named = [part for part in parts if ".zarr" in part] or parts[-1:]
    return re.sub(r"(\.ome)?\.(zarr|zip|ozx).*$", "", named[-1]) if named else "image"


def _metadata_digest(
    node: zarr.Array[Any] | zarr.Group, arrays: Sequence[zarr.Array[Any]]
) -> str:
    """Names the metadata: changes when the image is written anew in another shape."""
    described = [node.attrs.asdict(), *(a.metadata.to_dict() for a in arrays)]
    text = json.dumps(described, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
