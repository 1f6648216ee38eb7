"""Which image of a zarr group is meant: a group may hold one, many, or a plate.

    slide.ome.zarr              one image: its levels are arrays in it
    scan.zarr/0, /1, ...        bioformats2raw: a series of images, listed in OME
    plate.zarr/A/1/0            a plate: rows, columns, fields
    data.zarr/images/he         images further down, as SpatialData keeps them

The image that is wanted is named by its path in the group, or by its number in the
series. Where nobody has named one, the first of a series is taken and a notice says
that there are others; of a plate, or where images lie further down, the only one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import zarr

from napari_sam.errors import ForeignErrors, ImageError
from napari_sam.ome_zarr import Multiscale, ome_attributes, read_multiscale

FIRST_IMAGE = "0"
"""Where converters such as bioformats2raw put the first image of a file."""

SERIES_GROUP = "OME"
DEEPEST = 4
"""How far down images are looked for."""

MOST_NAMED = 8


@dataclass(frozen=True, slots=True, eq=False)
class GroupImage:
    """An image in a group.

    Parameters
    ----------
    group
        That holds its levels.
    multiscale
        What it says of them; None: nothing.
    path
        Within the group that was opened.
    notices
        What the user should know.
    """

    group: zarr.Group
    multiscale: Multiscale | None
    path: str = ""
    notices: tuple[str, ...] = ()


def find_group_image(
    group: zarr.Group, where: str, part: int | str | None
) -> GroupImage:
    """The image that is meant.

    Parameters
    ----------
    group
        What was opened.
    where
        Its path or URL, for errors.
    part
        Path or number of an image in it; None: as the module says.

    Raises
    ------
    ImageError
        There is none of that name, or several and none was named.
    """
    if part is not None:
        return _named(group, where, str(part))
    multiscale = read_multiscale(group.attrs.asdict(), where)
    if multiscale is not None:
        return GroupImage(group, multiscale)
    kind, paths = _listed(group, where)
    if kind == "series" and paths:
        notices = _series_notices(paths) if len(paths) > 1 else ()
        return _at(group, where, paths[0], notices)
    if kind == "series":
        paths = list(_images_below(group, where))
    if len(paths) == 1:
        return _at(group, where, paths[0])
    if paths or kind != "series":
        what = f"a {kind}" if kind != "series" else "a group"
        example = paths[0] if paths else "A/1/0"
        raise ImageError(
            f"{where} is {what} of {len(paths)} images: {_some(paths) or 'none'}. "
            f"Choose one field or image, as in {where}::{example}, or "
            f"series={example!r}."
        )
    return GroupImage(group, None)


def _named(group: zarr.Group, where: str, part: str) -> GroupImage:
    _, paths = _listed(group, where)
    if part.isdigit() and part not in paths and int(part) < len(paths):
        part = paths[int(part)]
    with ForeignErrors(ImageError, f"Group {where} needs to be readable"):
        found = group.get(part)
    if not isinstance(found, zarr.Group):
        paths = paths or list(_images_below(group, where))
        has = f"It has {_some(paths)}." if paths else "No images were found in it."
        raise ImageError(f"{where} has no image {part!r}. {has}")
    inner = find_group_image(found, f"{where}/{part}", None)
    path = f"{part}/{inner.path}".rstrip("/")
    return GroupImage(inner.group, inner.multiscale, path, inner.notices)


def _at(
    group: zarr.Group, where: str, path: str, notices: tuple[str, ...] = ()
) -> GroupImage:
    with ForeignErrors(ImageError, f"{where}/{path} needs to be readable"):
        found = group.get(path)
    if not isinstance(found, zarr.Group):
        raise ImageError(
            f"The metadata of {where} name an image {path!r}, which is not there."
        )
    multiscale = read_multiscale(found.attrs.asdict(), f"{where}/{path}")
    return GroupImage(found, multiscale, path, notices)


def _listed(group: zarr.Group, where: str) -> tuple[str, list[str]]:
    """What kind of collection a group is, and the paths of the images that it names."""
    ome = ome_attributes(group.attrs.asdict())
    with ForeignErrors(ImageError, f"Group {where} needs to be readable"):
        if "plate" in ome:
            return "plate", list(_fields(group, ome["plate"]))
        if "well" in ome:
            return "well", [str(i["path"]) for i in ome["well"].get("images", ())]
        series = group.get(SERIES_GROUP)
        if isinstance(series, zarr.Group):
            names = ome_attributes(series.attrs.asdict()).get("series")
            if names:
                return "series", [str(name) for name in names]
        first = group.get(FIRST_IMAGE)
    if isinstance(first, zarr.Group) and _is_image(first, where):
        return "series", list(_numbered(group, where))
    return "series", []


def _numbered(group: zarr.Group, where: str) -> Iterator[str]:
    """0, 1, 2, ... as long as there are images."""
    number = 0
    while True:
        found = group.get(str(number))
        if not isinstance(found, zarr.Group) or not _is_image(found, where):
            return
        yield str(number)
        number += 1


def _fields(group: zarr.Group, plate: Mapping[str, Any]) -> Iterator[str]:
    """The paths of all fields of all wells of a plate."""
    for well in plate.get("wells", ()):
        found = group.get(str(well["path"]))
        if isinstance(found, zarr.Group):
            described = ome_attributes(found.attrs.asdict()).get("well", {})
            for image in described.get("images", ({"path": FIRST_IMAGE},)):
                yield f"{well['path']}/{image['path']}"


def _images_below(group: zarr.Group, where: str, depth: int = DEEPEST) -> Iterator[str]:
    """Paths of groups that say they are images; nothing where none can be listed."""
    try:
        inner = sorted(group.groups())
    except Exception:  # noqa: BLE001 - a store over http cannot list, in many ways
        return
    for name, found in inner:
        if _is_image(found, where):
            yield name
        elif depth > 1:
            for path in _images_below(found, where, depth - 1):
                yield f"{name}/{path}"


def _is_image(group: zarr.Group, where: str) -> bool:
    """Whether a group has levels of an image; labels are none."""
    attributes = group.attrs.asdict()
    if "image-label" in ome_attributes(attributes):
        return False
    return read_multiscale(attributes, where) is not None


def _series_notices(paths: list[str]) -> tuple[str, ...]:
    return (
        f"The group has {len(paths)} images, {_some(paths)}; {paths[0]} is opened. "
        "Choose another one with series=, or --series.",
    )


def _some(paths: list[str]) -> str:
    more = ", ..." if len(paths) > MOST_NAMED else ""
    return ", ".join(paths[:MOST_NAMED]) + more
