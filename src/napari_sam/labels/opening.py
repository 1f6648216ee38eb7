"""Open a label volume: make it, continue it, replace it, or write it anew.

The journal's first line and the volume carry one identity. It tells a volume whose
journal this is from one that replaced it, which must not be changed by a journal that
is about something else.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import uuid4

from napari_sam.errors import LabelError, SamError
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.journal import Journal
from napari_sam.labels.ledger import Ledger
from napari_sam.labels.location import LabelLocation, existing_labels
from napari_sam.labels.volume import (
    LabelOptions,
    LabelVolume,
    create_volume,
    mark_identity,
    open_volume,
    register,
    set_aside,
    settle_drafts,
)
from napari_sam.zarr_nodes import read_node

logger = logging.getLogger("napari_sam")


Contents = tuple[LabelGeometry, int]  # and the highest id


@dataclass(frozen=True, slots=True, eq=False)
class OpenLabels:
    """A label volume with its history."""

    volume: LabelVolume
    journal: Journal
    ledger: Ledger


def open_for_reading(
    location: LabelLocation, geometry: LabelGeometry | None
) -> OpenLabels:
    """Open labels without changing anything; a LabelError if there are none."""
    volume = existing_volume(location, writable=False)
    if volume is None:
        raise LabelError(
            f"There are no labels at {location.path}. Check the path, or open it for "
            "writing to make them."
        )
    check_fits(location, shape_of(volume), geometry)
    journal = Journal(location.journal, writable=False)
    ledger = Ledger(journal.entries())
    if ledger.identity != volume.metadata.identity:
        ledger = Ledger()
    return OpenLabels(volume, journal, ledger)


def open_for_writing(
    location: LabelLocation, geometry: LabelGeometry | None, options: LabelOptions
) -> OpenLabels:
    """Open labels, made if there are none; the caller holds their lock."""
    settle_drafts(location)
    try:
        if options.overwrite and (
            existing_labels(location) or location.journal.exists()
        ):
            needed_geometry(location, geometry)
            set_aside(location, journal=True)
        if options.restore:
            return restored(location, geometry, options)
        volume = existing_volume(location, writable=True, version=options.version)
        if volume is None:
            return created(location, needed_geometry(location, geometry), options)
        check_fits(location, shape_of(volume), geometry)
        return continued(location, volume)
    finally:
        settle_drafts(location)


def existing_volume(
    location: LabelLocation, *, writable: bool, version: str | None = None
) -> LabelVolume | None:
    """The volume at a location, None if it is free."""
    node = existing_labels(location)
    if node is None:
        return None
    return open_volume(location, node, writable=writable, version=version)


def made_volume(
    location: LabelLocation,
    geometry: LabelGeometry,
    options: LabelOptions,
    identity: str,
) -> LabelVolume:
    """Make a volume, and open it."""
    create_volume(location, geometry, options, identity)
    node = read_node(location.path)
    if node is None:
        raise LabelError(f"The labels {location.path} vanished while they were made.")
    return open_volume(location, node, writable=True)


def created(
    location: LabelLocation, geometry: LabelGeometry, options: LabelOptions
) -> OpenLabels:
    """Make a volume where there is none."""
    journal = Journal(location.journal, writable=True)
    try:
        ledger = Ledger(journal.entries())
        if ledger.operations:
            raise LabelError(
                f"The journal {location.journal} holds labels, but their volume "
                f"{location.path} is gone. Put it back; or write it anew from the "
                "journal with `restore=True`; or start without them with "
                "`overwrite=True`."
            )
        if ledger.identity is None:
            begin(journal, ledger, uuid4().hex, "created", (geometry, 0))
        identity = ledger.identity or ""
        return OpenLabels(
            made_volume(location, geometry, options, identity), journal, ledger
        )
    except (SamError, OSError):
        drop_unused(journal)
        raise


def continued(location: LabelLocation, volume: LabelVolume) -> OpenLabels:
    """Go on with a volume: with its journal, or with a new one if it has none."""
    journal = Journal(location.journal, writable=True)
    try:
        ledger = Ledger(journal.entries())
        identity = volume.metadata.identity
        if identity is None or ledger.identity != identity:
            retire(location, journal, ledger)
            journal, ledger = Journal(location.journal, writable=True), Ledger()
            contents = volume.geometry, volume.pyramid.highest_id()
            begin(journal, ledger, identity or uuid4().hex, "adopted", contents)
            if identity is None and ledger.identity is not None:
                mark_identity(location, ledger.identity)
        elif location.image is not None and (image := read_node(location.image)):
            register(location, image)
        return OpenLabels(volume, journal, ledger)
    except (SamError, OSError):
        drop_unused(journal)
        raise


def restored(
    location: LabelLocation, geometry: LabelGeometry | None, options: LabelOptions
) -> OpenLabels:
    """Make the volume anew, empty, with all of its journal pending."""
    journal = Journal(location.journal, writable=True)
    try:
        ledger = Ledger(journal.entries())
        if ledger.identity is None or ledger.origin != "created":
            raise LabelError(
                f"Labels can be restored from a journal that holds them from the "
                f"start, {location.journal} does not. Put the volume {location.path} "
                "back from a copy."
            )
        node = existing_labels(location)
        if node is not None and node.identity != ledger.identity:
            raise LabelError(
                f"The journal {location.journal} is not about the labels at "
                f"{location.path}, which restoring them would replace. Move one "
                "of the two away."
            )
        if geometry is None:
            volume = existing_volume(location, writable=False)
            geometry = None if volume is None else volume.geometry
        geometry = needed_geometry(location, geometry)
        check_fits(location, (ledger.axes, ledger.shape), geometry)
        set_aside(location, journal=False)
        ledger.follow(journal.append("restore", {}, durable=True))
        identity = ledger.identity
        return OpenLabels(
            made_volume(location, geometry, options, identity), journal, ledger
        )
    except (SamError, OSError):
        drop_unused(journal)
        raise


def begin(
    journal: Journal, ledger: Ledger, identity: str, origin: str, found: Contents
) -> None:
    """Write the first line of a journal."""
    geometry, highest_id = found
    data = {
        "identity": identity,
        "origin": origin,
        "axes": geometry.axes,
        "shape": geometry.volume_shape,
        "highest_id": highest_id,
    }
    ledger.follow(journal.append("volume", data, durable=True))


def drop_unused(journal: Journal) -> None:
    """Close a journal; remove it if it holds nothing."""
    journal.close()
    if len(journal) <= 1:
        journal.path.unlink(missing_ok=True)


def retire(location: LabelLocation, journal: Journal, ledger: Ledger) -> None:
    """Make room for another journal; keep one that holds anything."""
    drop_unused(journal)
    if not location.journal.exists():
        return
    kept = location.journal.with_suffix(f".{ledger.identity}.jsonl")
    location.journal.replace(kept)
    logger.warning(
        "The journal of %s is about other labels than the ones that are there now. It "
        "was kept as %s.",
        location.path,
        kept,
    )


def needed_geometry(
    location: LabelLocation, geometry: LabelGeometry | None
) -> LabelGeometry:
    """The geometry, or a LabelError if it is not known."""
    if geometry is None:
        raise LabelError(
            f"There are no labels at {location.path} yet. Give the geometry of the "
            "image to make them."
        )
    return geometry


def shape_of(volume: LabelVolume) -> tuple[str, tuple[int, ...]]:
    """The axes and the shape of a volume."""
    return volume.geometry.axes, volume.geometry.volume_shape


def check_fits(
    location: LabelLocation,
    found: tuple[str | None, tuple[int, ...]],
    geometry: LabelGeometry | None,
) -> None:
    """Raise a LabelError if labels with these axes and shape are of another image."""
    if geometry is None or found == (geometry.axes, geometry.volume_shape):
        return
    raise LabelError(
        f"The labels {location.path} have axes {found[0]!r} and shape {found[1]}, the "
        f"image needs {geometry.axes!r} and {geometry.volume_shape}. Choose another "
        "path, or the image that they are of."
    )
