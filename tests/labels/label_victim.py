"""A process that labels until it is killed, or dies by itself at a given moment.

Every operation is announced by one byte once it was accepted. What it does follows
from the seed alone, so that the test can do the same in numpy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from numpy_labels import SHAPE, NumpyLabels, Operation, perform, random_operation
from zarr.storage import LocalStore

from napari_sam.labels import LabelGeometry, LabelOptions, LabelStore, journal

GEOMETRY = LabelGeometry.of_shape("zyx", SHAPE)
OPTIONS = {
    "0.4": LabelOptions("0.4", chunk_size=24, shard_size=24, coarsest_size=16),
    "0.5": LabelOptions("0.5", chunk_size=16, shard_size=32, coarsest_size=16),
}


def operations(seed: int, model: NumpyLabels) -> Iterator[Operation]:
    """An endless, reproducible session; the model is where it has come to."""
    random = Random(seed)
    while True:
        operation = random_operation(random, model)
        if model.perform(operation):
            yield operation


def label_until_killed(
    path: Path, version: str, seed: int, announce: Connection, moment: int | None
) -> None:
    """Label; with a `moment`, die before the so-manyeth write of any kind."""
    os.fsync = lambda _: None  # what a kill leaves does not depend on it
    store = LabelStore.open(path, GEOMETRY, options=OPTIONS[version])
    if moment is not None:
        die_at(moment)
    edits: list[int] = []
    for operation in operations(seed, NumpyLabels()):
        perform(store, edits, operation)
        os.write(announce.fileno(), b".")


def die_at(moment: int) -> None:
    """Count writes of blocks, of journal lines, and flushes; end at one of them."""
    left = [moment]

    def counted(write: Callable[..., Any], half: bool = False) -> Callable[..., Any]:
        @wraps(write)
        def write_or_die(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if half:
                    args[0]._file.write(args[1][: len(args[1]) // 2])
                os._exit(1)
            return write(*args, **options)

        return write_or_die

    LocalStore.set = counted(LocalStore.set)
    LocalStore.delete = counted(LocalStore.delete)
    journal.Journal._write = counted(journal.Journal._write, half=True)
    os.fsync = counted(os.fsync)
