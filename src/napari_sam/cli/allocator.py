"""Make the C library give back the memory of long runs.

glibc keeps a heap for each thread, and what lies between blocks that are still in use
stays with the process. Threads that read, compute and write hand arrays of a few
hundred kilobytes to each other for hours, and a fifth more memory than the run needs
is what that comes to on a large image. Blocks of that size are better asked of the
system, one by one, and all others of a single heap.

A program may decide this for itself, a library may not: only the command line does.
"""

from __future__ import annotations

import ctypes
import sys

# From glibc's malloc.h.
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8

LARGE_BYTES = 2**18
"""Blocks from this size on are the system's, which gets them back at once."""


def give_memory_back() -> None:
    """Let freed memory go back to the system, where the C library is glibc."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # others have it for show, or not at all
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
