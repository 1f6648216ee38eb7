"""A bucket on a server of this machine, and what is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import s3fs
from run_scene import segment

BUCKET = "slides"


def bucket_bytes(url: str) -> dict[str, str]:
    """A checksum of every file of every level, as `array_bytes` has them."""
    files = s3fs.S3FileSystem()
    files.invalidate_cache()
    root = url.removeprefix("s3://")
    names = [name.removeprefix(f"{root}/") for name in files.find(root)]
    return {
        name: sha256(files.cat_file(f"{root}/{name}")).hexdigest()
        for name in sorted(names)
        if "/" in name
    }


def counting_puts(names: list[str], *, failing_from: int | None = None) -> Any:
    """A stand-in for what puts a file; the so-manyeth fails, and all after it."""
    put = s3fs.S3FileSystem._put_file

    async def put_file(self: Any, lpath: str, rpath: str, **options: Any) -> None:
        if failing_from is not None and len(names) >= failing_from:
            raise OSError("the line went dead")
        names.append(rpath)
        await put(self, lpath, rpath, **options)

    return put_file


def dying_puts(count: int) -> Any:
    """The same; the process is gone after so many."""
    put = s3fs.S3FileSystem._put_file
    left = iter(range(count, -1, -1))

    async def put_file(self: Any, lpath: str, rpath: str, **options: Any) -> None:
        if next(left) == 0:
            os._exit(1)
        await put(self, lpath, rpath, **options)

    return put_file


def segment_until_dead(image: Path, url: str, staging: Path, puts: int) -> None:
    """For a process of its own."""
    s3fs.S3FileSystem._put_file = dying_puts(puts)
    segment(image, url, staging=staging)


def moments(count: int) -> Iterator[int]:
    """Some of so many: in the middle of the pixels, and before the last file."""
    yield from (count // 3, count - 1)
