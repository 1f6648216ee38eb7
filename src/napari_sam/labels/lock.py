"""One writer at a time: a lock held as long as labels are open for writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from napari_sam.errors import LabelsLockedError, LabelWriteError, SamError
from napari_sam.labels.location import LabelLocation


def lock_for_writing(location: LabelLocation) -> FileLock:
    """Take the lock of a location, or raise at once.

    Raises
    ------
    LabelsLockedError
        Another writer, here or in another process, has it.
    LabelWriteError
        The folder beside the store, where the lock lives, cannot be written.
    """
    try:
        location.lock.parent.mkdir(parents=True, exist_ok=True)
        # Not per thread: labels may be closed by another thread than opened them.
        lock = FileLock(location.lock, timeout=0, thread_local=False)
        lock.acquire()
    except Timeout as error:
        raise LabelsLockedError(
            f"The labels {location.path} are being written by another program or "
            "window. Close them there first, or open them to read (mode 'r')."
        ) from error
    except (OSError, NotImplementedError) as error:
        forget_folder(location)
        raise LabelWriteError(
            getattr(error, "errno", None),
            f"Labels at {location.path} need a folder beside them that can be written, "
            f"{location.folder} cannot ({error}). Allow writing there, or choose "
            "another folder",
        ) from error
    return lock


@contextmanager
def locked_if_opened(location: LabelLocation) -> Iterator[FileLock]:
    """Take the lock, and keep it unless what follows fails; then leave no trace.

    An OSError of what follows becomes a LabelWriteError.
    """
    lock = lock_for_writing(location)
    try:
        yield lock
    except BaseException as error:
        release_without_trace(location, lock)
        if isinstance(error, OSError):
            raise write_error(location, error) from error
        raise


def release_without_trace(location: LabelLocation, lock: FileLock) -> None:
    """Give the lock back; remove its file and folder if nothing else is there."""
    with suppress(OSError):
        if list(location.lock.parent.iterdir()) == [location.lock]:
            location.lock.unlink()
    lock.release()
    forget_folder(location)


def forget_folder(location: LabelLocation) -> None:
    """Remove the folder beside the store if nothing is in it."""
    with suppress(OSError):
        for folder in (location.lock.parent, *location.lock.parent.parents):
            if not folder.is_relative_to(location.folder):
                break
            os.rmdir(folder)


def write_error(location: LabelLocation, error: OSError) -> SamError:
    """The error of labels that could not be opened for writing."""
    if isinstance(error, SamError):
        return error
    return LabelWriteError(
        error.errno,
        f"The labels {location.path} could not be opened for writing ({error}). What "
        "was accepted is safe in the journal. Make room or allow writing there and "
        "open them again, or open them to read (mode 'r')",
    )
