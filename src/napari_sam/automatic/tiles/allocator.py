"""Make the C library hold on to what a long run uses again and again.

A window is encoded in blocks of some megabytes, which are taken and freed hundreds of
times. glibc hands the larger of them back to the system each time, which has to
clear every page again: in dask's workers, which are set to give back most, that
takes as long as two thirds of the arithmetic. And glibc keeps a heap for each thread:
what lies between blocks that are still in use stays with the process, a fifth more
than a run on a large image needs.

So blocks come from a single heap, and as much of it stays as a window takes.
`benchmarks/allocator.py` measures it.

A program may decide this for itself, a library may not: the command line does, and so
do the workers of a run.
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

LARGE_BYTES = 2**25
"""Blocks from this size on are the system's; more than this glibc does not take."""

KEPT_BYTES = 2**28
"""What stays at the end of the heap when it is free."""


def keep_memory() -> None:
    """Keep freed memory for the next window, where the C library is glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # others have it for show, or not at all
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
