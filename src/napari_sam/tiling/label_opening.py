"""Open a label volume: make it, continue it, replace it, or write it anew.

The journal's first line and the volume carry one identity. It tells a volume whose
journal this is from one that was put in its place, which must not be changed by a
journal that is about something else.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import uuid4

from napari_sam.errors import LabelError, SamError
from napari_sam.tiling.journal import Journal
from napari_sam.tiling.label_geometry import LabelGeometry
from napari_sam.tiling.label_ledger import Ledger
from napari_sam.tiling.label_place import LabelPlace, existing_labels
from napari_sam.tiling.label_metadata import read_node
from napari_sam.tiling.label_volume import (
    LabelOptions,
    LabelVolume,
    create_volume,
    mark_identity,
    open_volume,
    register,
    set_aside,
    settle_drafts,
)

logger = logging.getLogger("napari_sam")


@dataclass(frozen=True, slots=True, eq=False)
class OpenLabels:
    """A label volume with its history."""

    volume: LabelVolume
    journal: Journal
    ledger: Ledger


def open_for_reading(place: LabelPlace, geometry: LabelGeometry | None) -> OpenLabels:
    """Open labels without changing anything; a LabelError if there are none."""
    volume = existing_volume(place, writable=False)
    if volume is None:
        raise LabelError(
            f"There are no labels at {place.path}. Check the path, or open it for "
            "writing to make them."
        )
    check_fits(place, volume, geometry)
    journal = Journal(place.journal, writable=False)
    ledger = Ledger(journal.entries())
    if ledger.identity != volume.metadata.identity:
        ledger = Ledger()
    return OpenLabels(volume, journal, ledger)


def open_for_writing(
    place: LabelPlace, geometry: LabelGeometry | None, options: LabelOptions
) -> OpenLabels:
    """Open labels, made if there are none; the caller holds their lock."""
    settle_drafts(place)
    try:
        if options.overwrite and (existing_labels(place) or place.journal.exists()):
            needed_geometry(place, geometry)
            set_aside(place, journal=True)
        if options.restore:
            return restored(place, geometry, options)
        volume = existing_volume(place, writable=True, version=options.version)
        if volume is None:
            return created(place, needed_geometry(place, geometry), options)
        check_fits(place, volume, geometry)
        return continued(place, volume)
    finally:
        settle_drafts(place)


def existing_volume(
    place: LabelPlace, *, writable: bool, version: str | None = None
) -> LabelVolume | None:
    """The volume at a place, None if the place is free."""
    node = existing_labels(place)
    if node is None:
        return None
    return open_volume(place, node, writable=writable, version=version)


def made_volume(
    place: LabelPlace, geometry: LabelGeometry, options: LabelOptions, identity: str
) -> LabelVolume:
    """Make a volume, and open it."""
    create_volume(place, geometry, options, identity)
    node = read_node(place.path)
    if node is None:
        raise LabelError(f"The labels {place.path} vanished while they were made.")
    return open_volume(place, node, writable=True)


def created(
    place: LabelPlace, geometry: LabelGeometry, options: LabelOptions
) -> OpenLabels:
    """Make a volume where there is none."""
    journal = Journal(place.journal, writable=True)
    try:
        ledger = Ledger(journal.entries())
        if ledger.operations:
            raise LabelError(
                f"The journal {place.journal} tells of labels, but their volume "
                f"{place.path} is gone. Put it back; or write it anew from the journal "
                "with `restore=True`; or start without them with `overwrite=True`."
            )
        if ledger.identity is None:
            begin(journal, ledger, uuid4().hex, origin="created")
        identity = ledger.identity or ""
        return OpenLabels(made_volume(place, geometry, options, identity), journal, ledger)
    except SamError:
        journal.close()
        if not Ledger(journal.entries()).operations:
            place.journal.unlink(missing_ok=True)
        raise


def continued(place: LabelPlace, volume: LabelVolume) -> OpenLabels:
    """Go on with a volume: with its journal, or with a new one if it has none."""
    journal = Journal(place.journal, writable=True)
    try:
        ledger = Ledger(journal.entries())
        identity = volume.metadata.identity
        if identity is None or ledger.identity != identity:
            journal.close()
            retire(place, ledger)
            journal, ledger = Journal(place.journal, writable=True), Ledger()
            found, highest = identity or uuid4().hex, volume.pyramid.highest_id()
            begin(journal, ledger, found, origin="adopted", highest_id=highest)
            if identity is None:
                mark_identity(place, found)
        elif place.image is not None and (image := read_node(place.image)):
            register(place, image)
        return OpenLabels(volume, journal, ledger)
    except (SamError, OSError):
        journal.close()
        raise


def restored(
    place: LabelPlace, geometry: LabelGeometry | None, options: LabelOptions
) -> OpenLabels:
    """Make the volume anew, empty, with a journal that asks for all of its pixels."""
    journal = Journal(place.journal, writable=True)
    try:
        ledger = Ledger(journal.entries())
        if ledger.identity is None or ledger.origin != "created":
            raise LabelError(
                f"Labels can be restored from a journal that tells of them from the "
                f"start, {place.journal} does not. Put the volume {place.path} back "
                "from a copy."
            )
        if geometry is None:
            volume = existing_volume(place, writable=False)
            geometry = None if volume is None else volume.geometry
        geometry = needed_geometry(place, geometry)
        set_aside(place, journal=False)
        ledger.follow(journal.append("restore", {}, durable=True))
        identity = ledger.identity
        return OpenLabels(made_volume(place, geometry, options, identity), journal, ledger)
    except SamError:
        journal.close()
        raise


def begin(
    journal: Journal, ledger: Ledger, identity: str, *, origin: str, highest_id: int = 0
) -> None:
    """Write the first line of a journal."""
    data = {"identity": identity, "origin": origin, "highest_id": highest_id}
    ledger.follow(journal.append("volume", data, durable=True))


def retire(place: LabelPlace, ledger: Ledger) -> None:
    """Make room for another journal; keep one that tells of anything."""
    if not ledger.operations:
        place.journal.unlink(missing_ok=True)
        return
    kept = place.journal.with_suffix(f".{ledger.identity}.jsonl")
    place.journal.replace(kept)
    logger.warning(
        "The journal of %s is about other labels than the ones that are there now. It "
        "was kept as %s.",
        place.path,
        kept,
    )


def needed_geometry(place: LabelPlace, geometry: LabelGeometry | None) -> LabelGeometry:
    """The geometry, or a LabelError if it is not known."""
    if geometry is None:
        raise LabelError(
            f"There are no labels at {place.path} yet. Give the geometry of the image "
            "to make them."
        )
    return geometry


def check_fits(
    place: LabelPlace, volume: LabelVolume, geometry: LabelGeometry | None
) -> None:
    """Raise a LabelError if the volume is one of another image."""
    found = volume.geometry
    if geometry is None or (found.axes, found.volume_shape) == (
        geometry.axes,
        geometry.volume_shape,
    ):
        return
    raise LabelError(
        f"The labels {place.path} have axes {found.axes!r} and shape "
        f"{found.volume_shape}, the image needs {geometry.axes!r} and "
        f"{geometry.volume_shape}. Choose another place, or the image that they are of."
    )
