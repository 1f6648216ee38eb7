"""What a prediction may cost, and how it reports its progress.

A large object takes up to hundreds of windows. A callback is called before each of
them, and ends the work by raising `Cancelled`, or any other error: nothing is half done
between two windows, and what was encoded so far stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_sam.geometry import Box


@dataclass(frozen=True, slots=True)
class WindowProgress:
    """A window that is about to be predicted in."""

    level: int
    window: Box  # in pixels of the level
    windows: int  # used before, for this prediction
    encodes: int  # that those took; the others were in the cache
    most_windows: int  # that may be; most predictions take one; 0: not known yet


ProgressCallback = Callable[[WindowProgress], None]
"""Called before each window, in the thread that predicts; may raise `Cancelled`."""


@dataclass(frozen=True, slots=True)
class WindowBudget:
    """How much may be spent on one prediction.

    Parameters
    ----------
    windows
        That may be used; to use one again is free.
    watch
        Called before each window.
    only_encoded
        Use no windows but those whose embeddings are in memory.
    """

    windows: int
    watch: ProgressCallback | None = None
    only_encoded: bool = False
