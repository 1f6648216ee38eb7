"""A process that segments an image until it is killed, or dies at a given moment."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from run_scene import segment
from zarr.storage import LocalStore

from napari_sam.automatic.estimate import planning
from napari_sam.automatic.run import RunProgress
from napari_sam.automatic.tiles import tile_files
from napari_sam.labels import journal


def segment_until_killed(
    image: Path,
    labels: Path,
    announce: Connection,
    moment: int | None,
    overwrite: bool = False,
) -> None:
    """Segment; with a `moment`, die before the so-manyeth change of the disk."""
    os.fsync = lambda _: None  # what a kill leaves does not depend on it
    planning.WINDOWS_ALONG = 1
    if moment is not None:
        die_at(moment)

    def tell(progress: RunProgress) -> None:
        os.write(announce.fileno(), b".")

    segment(image, labels, on_progress=tell, overwrite=overwrite)


def die_at(moment: int) -> None:
    """Count what changes the disk; end at one of those."""
    left = [moment]

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(change)
        def change_or_die(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os._exit(1)
            return change(*args, **options)

        return change_or_die

    LocalStore.set = counted(LocalStore.set)
    Path.rename = counted(Path.rename)
    Path.replace = counted(Path.replace)
    Path.unlink = counted(Path.unlink)
    journal.Journal._write = counted(journal.Journal._write)
    tile_files.write_atomically = counted(tile_files.write_atomically)
    os.rmdir = counted(os.rmdir)
