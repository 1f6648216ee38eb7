"""What an annotator passes to its screen reaches the window's thread by one signal.

    session's thread    show(state)  show_tile(tile)  report(error)
                             |  the newest state; all tiles and errors
    window's thread          +-- _arrived --> draw(state), add_tile, show_error

However fast states come, only the newest is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from qtpy.QtCore import QObject, Qt, Signal

from napari_sam.annotator import AnnotatorState
from napari_sam.automatic import Tile
from napari_sam.labels import Edit


class QueuedScreen(QObject):
    """A `Screen` for any thread; it calls back in the one that it was made in.

    Parameters
    ----------
    draw
        Gets the newest state.
    add_tile
        Gets each tile that a run has found, None where all are to be cleared.
    show_error
        Gets each error.
    """

    _arrived = Signal()

    def __init__(
        self,
        draw: Callable[[AnnotatorState], None],
        add_tile: Callable[[Tile | None], None],
        show_error: Callable[[BaseException], None],
    ) -> None:
        super().__init__()
        self._draw, self._add_tile, self._show_error = draw, add_tile, show_error
        self._lock = Lock()
        self._state: AnnotatorState | None = None
        self._tiles: list[Tile | None] = []
        self._errors: list[BaseException] = []
        self._is_queued = self._is_delivering = self._is_closed = False
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def is_up_to_date(self) -> bool:
        """Whether all that came has been drawn."""
        with self._lock:
            return not self._is_queued and not self._is_delivering

    def show(self, state: AnnotatorState) -> None:
        """Draw this state, or a newer one."""
        with self._lock:
            self._state = state
            self._queue()

    def change_labels(self, edit: Edit) -> None:
        """Do nothing: the state that says so has the labels drawn anew."""

    def show_tile(self, tile: Tile | None) -> None:
        """Draw a tile; None: clear them."""
        with self._lock:
            self._tiles.append(tile)
            self._queue()

    def report(self, error: BaseException) -> None:
        """Show the user an error."""
        with self._lock:
            self._errors.append(error)
            self._queue()

    def close(self) -> None:
        """Draw nothing any more; errors are still shown to the user."""
        self._is_closed = True
        self._hand_over(*self._take())

    def _queue(self) -> None:
        if not self._is_queued:
            self._is_queued = True
            self._arrived.emit()

    def _take(
        self,
    ) -> tuple[AnnotatorState | None, list[Tile | None], list[BaseException]]:
        with self._lock:
            taken = self._state, self._tiles, self._errors
            self._state, self._tiles, self._errors = None, [], []
            self._is_queued = False
        return taken

    def _deliver(self) -> None:
        # napari's progress bars run the event loop while they are drawn: what comes
        # within is not drawn over by the rest of an older state.
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            self._hand_over(*self._take())
        finally:
            self._is_delivering = False
            with self._lock:
                if self._is_queued:
                    self._arrived.emit()

    def _hand_over(
        self,
        state: AnnotatorState | None,
        tiles: list[Tile | None],
        errors: list[BaseException],
    ) -> None:
        for error in errors:
            self._show_error(error)
        if state is not None and not self._is_closed:
            self._draw(state)
        for tile in tiles:
            # Drawing the state may have closed the image.
            if not self._is_closed:
                self._add_tile(tile)
