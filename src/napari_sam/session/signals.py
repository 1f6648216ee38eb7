"""What a session announces; everything that draws it listens to these alone."""

from __future__ import annotations

from psygnal import Signal

from napari_sam.labels import Edit


class SessionSignals:
    """The signals of one session, which all parts of it emit."""

    prompts_changed = Signal(tuple)
    candidates_changed = Signal(tuple, int)
    labels_changed = Signal(Edit)
    plane_changed = Signal(tuple)
