"""Label volumes on disk: `LabelStore`, an OME-Zarr pyramid with a journal.

store       what callers see; view is the part of it that only reads
location    where labels may be, and what else is kept there
opening     labels made, continued, restored; lock keeps other writers out
geometry    axes, shape and scale, as the image has them
volume      the arrays of a volume; ome_zarr its metadata
edits       changes as values; edit_plans works them out
writer      an edit: into the journal, then into the pyramid, block by block
ledger      which objects there are, by the journal
bulk        a whole volume at once, of an automatic run
"""

from napari_sam.labels.bulk import BulkLabels
from napari_sam.labels.edits import Edit, OverlapRule
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.journal import Entry
from napari_sam.labels.ledger import ObjectSummary
from napari_sam.labels.location import (
    LabelLocation,
    default_labels_path,
    existing_labels,
    find_location,
    is_label_of_image,
)
from napari_sam.labels.lock import lock_for_writing
from napari_sam.labels.store import LabelStore
from napari_sam.labels.volume import LabelOptions
from napari_sam.labels.writer import PixelsPendingError

__all__ = [
    "BulkLabels",
    "Edit",
    "Entry",
    "LabelGeometry",
    "LabelLocation",
    "LabelOptions",
    "LabelStore",
    "ObjectSummary",
    "OverlapRule",
    "PixelsPendingError",
    "default_labels_path",
    "existing_labels",
    "find_location",
    "is_label_of_image",
    "lock_for_writing",
]
