"""The accepted objects, as a lazy Labels layer over the store's zarr arrays.

Nothing here is ever held whole, and nobody can paint in it: napari would write to disk
past the journal, and holds a whole plane while it does.

napari 0.9 keeps the coarsest level of a 2D pyramid for itself, also through
`refresh()`. Setting the layer's data anew is the public way to make it forget; it
costs a little more, so it is done at once only where that level is on show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import zarr
from napari.layers import Labels
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_sam.axes import PLANE
from napari_sam.napari_plugin.layers.label_array import as_shown
from napari_sam.napari_plugin.layers.placement import Placement

if TYPE_CHECKING:
    from napari.components import ViewerModel

REFRESH_MS = 100
"""Edits that come closer together are drawn at once."""

SETTLE_MS = 400
"""The coarsest level and the thumbnail follow once there were no edits for so long."""


class Pyramid(Protocol):
    """What a layer is drawn from, such as a label store."""

    @property
    def levels(self) -> Sequence[zarr.Array[Any]]:
        """(stack axes, y, x), the finest first."""


class LabelPresenter:
    """Draws a pyramid of labels over its image; `close` it with the session.

    Parameters
    ----------
    viewer
        Where to add the layer.
    store
        The labels, or what stands for them.
    placement
        Of the image.
    name
        What the layer is called at first; the user may call it otherwise.

    Attributes
    ----------
    layer
        The Labels layer; also after it was removed, so that `show` brings it back.
    removed
        Emits when somebody has taken the layer out of the viewer.
    """

    removed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        store: Pyramid,
        placement: Placement,
        name: str,
    ) -> None:
        self._viewer = viewer
        self._data = as_shown(
            store.levels,
            f"{placement.stack_axes}{PLANE}",
            placement.axes,
            placement.channel_count,
        )
        self._is_stale = False
        self.layer = self._make(placement, name)
        self._refresh_timer = self._timer(REFRESH_MS, self._refresh)
        self._settle_timer = self._timer(SETTLE_MS, self._settle)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def is_shown(self) -> bool:
        """Whether the layer is in the viewer."""
        return self.layer in self._viewer.layers

    def show(self) -> Labels:
        """Add the layer to the viewer, on top, unless it is there."""
        if not self.is_shown:
            self._viewer.add_layer(self.layer)
            self._keep_uneditable()
            if self._is_stale:
                self.refresh()
        return self.layer

    def refresh(self) -> None:
        """Draw what is on disk now; soon, and once for many calls."""
        self._is_stale = True
        if not self.is_shown:
            return
        if not self._refresh_timer.isActive():
            self._refresh_timer.start()
        self._settle_timer.start()

    def follow(self, placement: Placement) -> None:
        """Take over the image layer's transform, which the user may have changed."""
        for name, value in placement.transform().items():
            setattr(self.layer, name, value)

    def close(self) -> None:
        """Take the layer out of the viewer, and stop."""
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._stop()
        if self.is_shown:
            self._viewer.layers.remove(self.layer)

    def _make(self, placement: Placement, name: str) -> Labels:
        is_pyramid = len(self._data) > 1
        layer = Labels(
            self._data if is_pyramid else self._data[0],
            multiscale=is_pyramid,
            name=name,
            **placement.transform(),
            **placement.names(),
        )
        layer.editable = False
        # napari takes a layer of one level for editable again when the view changes.
        layer.events.editable.connect(self._keep_uneditable)
        return layer

    def _timer(self, interval_ms: int, on_timeout: Any) -> QTimer:
        timer = QTimer()
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(on_timeout)
        return timer

    def _stop(self) -> None:
        self._refresh_timer.stop()
        self._settle_timer.stop()

    def _refresh(self) -> None:
        if self.layer.multiscale and self.layer.data_level == len(self._data) - 1:
            self._settle()
        else:
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)

    def _settle(self) -> None:
        self._settle_timer.stop()
        self._is_stale = False
        if self.layer.multiscale:
            self.layer.data = self._data
        else:
            self.layer.refresh(extent=False, highlight=False)
        self._keep_uneditable()

    def _keep_uneditable(self, event: object = None) -> None:
        if self.layer.editable:
            self.layer.editable = False

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer:
            self._stop()
            self.removed.emit()
