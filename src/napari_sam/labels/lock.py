"""One writer at a time: a lock held as long as labels are open for writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from napari_sam.errors import LabelsLockedError, LabelWriteError, SamError
from napari_sam.labels.location import LabelLocation


def lock_for_writing(place: LabelLocation) -> FileLock:
    """Take the lock of a place, or raise at once.

    Raises
    ------
    LabelsLockedError
        Another writer, here or in another process, has it.
    LabelWriteError
        The folder beside the store, where the lock lives, cannot be written.
    """
    try:
        place.lock.parent.mkdir(parents=True, exist_ok=True)
        # Not per thread: labels may be closed by another thread than opened them.
        lock = FileLock(place.lock, timeout=0, thread_local=False)
        lock.acquire()
    except Timeout as error:
        raise LabelsLockedError(
            f"The labels {place.path} are being written by another program or window. "
            "Close them there first, or open them to read (mode 'r')."
        ) from error
    except (OSError, NotImplementedError) as error:
        forget_folder(place)
        raise LabelWriteError(
            getattr(error, "errno", None),
            f"Labels at {place.path} need a folder beside them that can be written, "
            f"{place.folder} cannot ({error}). Allow writing there, or choose another "
            "place",
        ) from error
    return lock


@contextmanager
def locked_if_opened(place: LabelLocation) -> Iterator[FileLock]:
    """Take the lock, and keep it unless what follows fails; then leave no trace.

    An OSError of what follows becomes a LabelWriteError.
    """
    lock = lock_for_writing(place)
    try:
        yield lock
    except BaseException as error:
        release_without_trace(place, lock)
        if isinstance(error, OSError):
            raise write_error(place, error) from error
        raise


def release_without_trace(place: LabelLocation, lock: FileLock) -> None:
    """Give the lock back; remove its file and folder if nothing else is there."""
    with suppress(OSError):
        if list(place.lock.parent.iterdir()) == [place.lock]:
            place.lock.unlink()
    lock.release()
    forget_folder(place)


def forget_folder(place: LabelLocation) -> None:
    """Remove the folder beside the store if nothing is in it."""
    with suppress(OSError):
        for folder in (place.lock.parent, *place.lock.parent.parents):
            if not folder.is_relative_to(place.folder):
                break
            os.rmdir(folder)


def write_error(place: LabelLocation, error: OSError) -> SamError:
    """What to tell when labels could not be opened for writing."""
    if isinstance(error, SamError):
        return error
    return LabelWriteError(
        error.errno,
        f"The labels {place.path} could not be opened for writing ({error}). What was "
        "accepted is safe in the journal. Make room or allow writing there and open "
        "them again, or open them to read (mode 'r')",
    )
