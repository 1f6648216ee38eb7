"""Sends tiles, on a thread of its own: the newest view first, stale ones never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Thread

from napari_sam.jupyter_widget.tiles import TileKey

MOST_VIEWS = 8
"""A page that was reloaded leaves a view behind that nobody looks at any more."""


class TileServer:
    """Makes one tile after the other, and looks for newer wishes in between.

    Parameters
    ----------
    serve
        Makes a tile and sends it; on the server's thread.
    failed
        Is told of the error of a tile; on the server's thread.
    """

    def __init__(
        self,
        serve: Callable[[TileKey], None],
        failed: Callable[[TileKey, Exception], None],
    ) -> None:
        self._serve = serve
        self._failed = failed
        self._wanted: dict[str, list[TileKey]] = {}
        self._changed = Condition()
        self._is_closed = False
        self._thread = Thread(target=self._run, name="napari-sam tiles", daemon=True)
        self._thread.start()

    def want(self, view: str, keys: Sequence[TileKey]) -> None:
        """Serve these instead of what the view wanted before."""
        with self._changed:
            self._wanted.pop(view, None)
            if keys:
                self._wanted[view] = list(keys)
            while len(self._wanted) > MOST_VIEWS:
                del self._wanted[next(iter(self._wanted))]
            self._changed.notify()

    def close(self) -> None:
        """Serve nothing any more, and wait for the tile that is being made."""
        with self._changed:
            self._is_closed = True
            self._wanted = {}
            self._changed.notify()
        self._thread.join()

    def _next(self) -> TileKey | None:
        with self._changed:
            while not self._wanted and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            view, keys = next(reversed(self._wanted.items()))
            key = keys.pop(0)
            if not keys:
                del self._wanted[view]
            return key

    def _run(self) -> None:
        while (key := self._next()) is not None:
            try:
                self._serve(key)
            except Exception as error:  # noqa: BLE001 - the next tile may be fine
                self._failed(key, error)
