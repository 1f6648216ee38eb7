"""What an answer may cost, and who is told while it comes about.

A large object takes up to hundreds of windows. A watcher hears of each before it is
looked at, and ends the work by raising `Cancelled`, or any other error: nothing is
half done between two windows, and what was encoded so far stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_sam.geometry import Box


@dataclass(frozen=True, slots=True)
class WindowProgress:
    """A window that is about to be looked at."""

    level: int
    window: Box  # in pixels of the level
    windows: int  # looked at before, for this answer
    encodes: int  # that those took; the others were in the cache
    most_windows: int  # that may be; most answers take one; 0: not known yet


ProgressCallback = Callable[[WindowProgress], None]
"""Is told of every look, in the thread that predicts; may raise `Cancelled`."""


@dataclass(frozen=True, slots=True)
class WindowBudget:
    """How much may be spent on one answer.

    Parameters
    ----------
    windows
        That may be looked at; looking at one again is free.
    watch
        Who is told of every look.
    only_encoded
        Look at nothing but windows whose embeddings are in memory.
    """

    windows: int
    watch: ProgressCallback | None = None
    only_encoded: bool = False
