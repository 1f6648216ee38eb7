"""Sends tiles, on a thread of its own: the newest view first, stale ones never."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Thread

from napari_sam.jupyter_widget.tiles import TileKey

MOST_VIEWS = 8
"""A page that was reloaded leaves a view behind that nobody sees any more."""

MOST_AHEAD = 8
"""Tiles on their way to the browser: on a slow line, more would be stale on arrival."""

PATIENCE_S = 2.0
"""A kernel that runs a cell does not hear that tiles have arrived; they go on then."""


class TileServer:
    """Makes one tile after the other, and takes newer requests in between.

    Tiles are counted as they are sent, and the browser says which have arrived:

        sent      1 2 3 ... 9 10 |          10 - 2 = 8 are on their way: wait, and
        arrived   1 2            |          serve what is in view by then

    Parameters
    ----------
    serve
        Makes a tile and sends it; on the server's thread.
    failed
        Called with the error of a tile; on the server's thread.
    """

    def __init__(
        self,
        serve: Callable[[TileKey], None],
        failed: Callable[[TileKey, Exception], None],
    ) -> None:
        self._serve = serve
        self._failed = failed
        self._wanted: dict[str, list[TileKey]] = {}
        self._newest = ""
        self._sent = 0
        self._arrived = 0
        self._changed = Condition()
        self._is_closed = False
        self._thread = Thread(target=self._run, name="napari-sam tiles", daemon=True)
        self._thread.start()

    def want(self, view: str, keys: Sequence[TileKey]) -> None:
        """Serve these instead of what the view wanted before."""
        with self._changed:
            if view != self._newest:
                # The one before may be a page that is gone, with what was on its way.
                self._newest, self._arrived = view, self._sent
            self._wanted.pop(view, None)
            if keys:
                self._wanted[view] = list(keys)
            while len(self._wanted) > MOST_VIEWS:
                del self._wanted[next(iter(self._wanted))]
            self._changed.notify()

    def count_sent(self) -> int:
        """The number of a tile that is sent now, counted from 1."""
        with self._changed:
            self._sent += 1
            return self._sent

    def count_arrived(self, number: int) -> None:
        """A tile has arrived, and so have those before it."""
        with self._changed:
            self._arrived = min(max(self._arrived, number), self._sent)
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
            while not self._is_closed:
                if not self._wanted:
                    self._changed.wait()
                elif self._sent - self._arrived < MOST_AHEAD:
                    return self._take()
                elif not self._changed.wait(PATIENCE_S):
                    self._arrived = self._sent
            return None

    def _take(self) -> TileKey:
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
