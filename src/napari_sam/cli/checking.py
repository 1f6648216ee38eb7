"""What can be wrong with a request, found before anything is made.

Loading a model takes seconds and segmenting takes minutes, so a slip in the last
line of a prompts file must not come to light at the end of them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam.cli.reporting import warn
from napari_sam.cli.request import RequestError, Rule, SegmentRequest, Source
from napari_sam.errors import ImageWarning, PromptError
from napari_sam.images import Image, open_image
from napari_sam.labels import LabelLocation, default_labels_path, find_location
from napari_sam.prompt_files import ObjectPrompts, read_prompts
from napari_sam.session import check_object
from napari_sam.zarr_nodes import outermost_store

PICTURE_ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif")
FILE_ENDINGS = (*PICTURE_ENDINGS, ".npy", ".npz", ".zip", ".h5", ".json", ".geojson")
"""Of names that promise a file, where labels are a folder."""


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """A request that can be carried out, as far as that can be known beforehand."""

    image: Image
    objects: tuple[ObjectPrompts, ...]  # each with its plane
    location: LabelLocation
    level: int | None
    pictures: tuple[tuple[tuple[int, ...], Path], ...]  # plane and file


def make_plan(request: SegmentRequest) -> SegmentPlan:
    """Check a request against its files; makes and changes nothing.

    Raises
    ------
    SamError
        What cannot be, and why.
    """
    objects = read_prompts(request.prompts)
    if not objects:
        raise PromptError(f"{request.prompts} names no objects: its list is empty.")
    _check_rule(request, objects)
    image = opened_image(request.source)
    if request.level is not None and request.level >= len(image.levels):
        raise RequestError(
            f"The image has levels 0 to {len(image.levels) - 1}, got --level "
            f"{request.level}."
        )
    try:
        checked = tuple(
            check_object(index, item, image) for index, item in enumerate(objects)
        )
    except PromptError as error:
        raise PromptError(f"{request.prompts}: {error}") from error
    location = _checked_location(request, image)
    pictures = _pictures(request, checked, image, location)
    return SegmentPlan(image, checked, location, request.level, pictures)


def opened_image(source: Source) -> Image:
    """Open the image of a command, and tell what is left out of its file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImageWarning)  # said below, as a line
        image = open_image(
            source.path,
            axes=source.axes,
            channels=source.channels,
            contrast_limits=source.contrast,
            series=source.series,
            fill=source.fill,
        )
    for notice in image.notices:
        warn(notice)
    return image


def check_label_name(path: Path) -> None:
    """Raise a RequestError for a name that says the labels are a file."""
    if path.suffix.lower() in FILE_ENDINGS and not path.is_dir():
        stem = path.name.split(".")[0]
        raise RequestError(
            f"Labels are a folder, OME-Zarr, got --output {path.name}. Call it "
            f"{stem}.ome.zarr."
        )


def _check_rule(request: SegmentRequest, objects: Sequence[ObjectPrompts]) -> None:
    with_id = [item.label_id for item in objects if item.label_id is not None]
    if request.target.rule is Rule.MERGE and with_id:
        raise RequestError(
            f"--rule merge chooses ids itself, but {request.prompts} gives id "
            f"{with_id[0]}. Leave the ids out, or use another rule."
        )


def _checked_location(request: SegmentRequest, image: Image) -> LabelLocation:
    """Where the labels go; nothing that is read lies in there."""
    path = request.target.path or default_labels_path(image.source)
    location = find_location(path, image.source)
    for what, read in (("image", image.source), ("prompts", str(request.prompts))):
        if read is not None and "://" not in read and _is_inside(read, location.path):
            raise RequestError(
                f"The {what} {read} would be overwritten: it is inside of the output "
                f"{location.path}. Choose another output."
            )
    check_label_name(location.path)
    check_writable(location.store.parent, f"The output {location.path}")
    return location


def _is_inside(path: str | Path, folder: Path) -> bool:
    return Path(path).expanduser().resolve().is_relative_to(folder)


def check_writable(folder: Path, what: str) -> None:
    """Raise a RequestError unless files can be made in a folder, or it can be made."""
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    try:
        # Permissions do not say it all: a whole disk can be read-only.
        with tempfile.TemporaryFile(dir=existing):
            return
    except OSError as error:
        reason = error.strerror or str(error)
        raise RequestError(
            f"{what} needs a folder that can be written, {existing} cannot "
            f"({reason}). Allow writing there, or choose another folder."
        ) from error


def _pictures(
    request: SegmentRequest,
    objects: Sequence[ObjectPrompts],
    image: Image,
    location: LabelLocation,
) -> tuple[tuple[tuple[int, ...], Path], ...]:
    """The planes to draw, and the file of each."""
    if request.overlay is None:
        return ()
    planes = sorted({item.plane for item in objects})
    file = request.overlay.expanduser()
    # The file of the command line is there in any case, with the first plane.
    further = [
        file.with_name(f"{file.stem}.{_plane_name(plane, image)}{file.suffix}")
        for plane in planes[1:]
    ]
    files = [file, *further][: len(planes)]
    taken = [str(request.prompts), *([image.source] if image.source else [])]
    for picture in files:
        check_picture(picture, [Path(path) for path in taken if "://" not in path])
        if _is_inside(picture, location.path) or _is_inside(picture, location.folder):
            raise RequestError(
                f"The overlay {picture} cannot be inside of the labels "
                f"{location.path}. Choose a file beside them."
            )
    return tuple(zip(planes, files, strict=True))


def _plane_name(plane: tuple[int, ...], image: Image) -> str:
    """A plane in a file's name, such as t0-z12."""
    pairs = zip(image.stack_axes, plane, strict=True)
    return "-".join(f"{axis}{index}" for axis, index in pairs)


def check_picture(file: Path, taken: Sequence[Path]) -> None:
    """Raise a RequestError unless a picture can be written, over nothing in `taken`."""
    if file.suffix.lower() != ".png":
        raise RequestError(f"The overlay is a PNG: call it FILE.png, got {file}.")
    if not file.parent.is_dir():
        raise RequestError(
            f"The overlay {file} needs its folder {file.parent}, which is not there. "
            "Make it first."
        )
    if file.is_dir():
        raise RequestError(f"The overlay {file} needs to be a file, it is a folder.")
    resolved = file.resolve()
    if any(resolved == path.expanduser().resolve() for path in taken):
        raise RequestError(
            f"The overlay would overwrite {file}, which is read. Choose another file."
        )
    if outermost_store(resolved) != resolved:
        raise RequestError(
            f"The overlay {file} cannot be inside of a zarr store. Choose a file "
            "beside it."
        )
    check_writable(file.parent, f"The overlay {file}")
