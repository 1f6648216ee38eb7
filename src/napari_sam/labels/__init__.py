"""Label volumes on disk: `LabelStore`, an OME-Zarr pyramid with a journal.

`store` is what callers see, `view` the part of it that only reads; `place`,
`opening`, `volume`, `metadata` and `geometry` say where and what the volume is, `rules`
and `edits` what changes, `writer` and `pyramid` put it on disk, `journal` and `ledger`
remember it, `lock` keeps others out.
"""

from napari_sam.labels.edits import Edit, OverlapRule
from napari_sam.labels.geometry import LabelGeometry
from napari_sam.labels.ledger import LabelRecord, ObjectSummary
from napari_sam.labels.location import default_labels_path
from napari_sam.labels.store import LabelStore
from napari_sam.labels.volume import LabelOptions
from napari_sam.labels.writer import PixelsPendingError

__all__ = [
    "Edit",
    "LabelGeometry",
    "LabelOptions",
    "LabelRecord",
    "LabelStore",
    "ObjectSummary",
    "OverlapRule",
    "PixelsPendingError",
    "default_labels_path",
]
