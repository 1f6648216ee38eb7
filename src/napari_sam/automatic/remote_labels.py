"""Labels in an object store, such as S3: made on a local disk, then uploaded whole.

An object store renames nothing, locks nothing, and loses what is half written. So a
run is carried out in a folder of this machine, as always, and the finished volume is
uploaded. Its root metadata are what makes it a volume: those of old labels go first,
the new ones' come last. So a reader finds the old labels, none, or the new ones whole,
and an upload that was cut short is continued with the files that are missing.

Credentials and endpoints are those of fsspec: its configuration files, environment
variables such as FSSPEC_S3_ENDPOINT_URL, or what the store's own library reads.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path
from typing import Any, Self

import fsspec
import platformdirs

from napari_sam.errors import LabelError, LabelWriteError, SamError, one_line
from napari_sam.labels import LabelLocation
from napari_sam.zarr_nodes import ZarrNode

ROOT_FILES = (".zmetadata", ".zattrs", ".zgroup", "zarr.json")
"""What makes a folder a volume, in the order in which it is written."""
FILES_AT_ONCE = 32
COMPANION = "labels.everything"
"""What the table of objects is in, beside the labels, as on a local disk."""


@dataclass(frozen=True, slots=True)
class RemoteLabels:
    """A label volume behind a URL, and where it is made.

    Parameters
    ----------
    url
        Of the volume, a zarr store of its own.
    files
        The file system of fsspec that it is in.
    root
        The volume's name there.
    location
        On this machine, where the run is carried out.
    """

    url: str
    files: Any  # fsspec has no types
    root: str
    location: LabelLocation

    @classmethod
    def at(
        cls, url: str, source: str | None, staging: str | PathLike[str] | None = None
    ) -> Self:
        """Settle where the labels at a URL are made.

        Parameters
        ----------
        url
            Any that fsspec can write to.
        source
            Where the image is, which must not be overwritten.
        staging
            A local folder with room for the labels; None: where programs keep caches.

        Raises
        ------
        LabelError
            No labels can be there.
        """
        url = url.rstrip("/")
        image = (source or "").rstrip("/")
        if url == image or f"{image}/".startswith(f"{url}/"):
            raise LabelError(
                f"The labels would overwrite their own image {image}. Choose another "
                "URL, beside it."
            )
        try:
            files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise LabelError(
                f"Labels at {url} need a library that can write there, got "
                f"{one_line(error)}. For s3:// install napari-sam-zarr[s3]."
            ) from error
        parent = Path(staging or Path(platformdirs.user_cache_dir("napari-sam")))
        name = f"{root.rsplit('/', 1)[-1]}-{sha256(url.encode()).hexdigest()[:12]}"
        folder = parent.expanduser().resolve() / ("" if staging else "staging") / name
        path = folder / "labels.ome.zarr"
        labels = cls(url, files, root, LabelLocation(path, path))
        labels._check_alone()
        return labels

    def identity(self) -> str | None:
        """What ties the volume there to the run that made it; None: there is none."""
        node = self._node()
        return None if node is None else node.identity

    def check_replaceable(self, own: str | None, *, overwrite: bool) -> None:
        """Raise a LabelError unless the volume can be put there.

        Parameters
        ----------
        own
            The identity of the run's own labels.
        overwrite
            Whether other labels may be replaced.
        """
        node = self._node()
        if node is None:
            with self._reached():
                is_free = not self._names() or self._record.exists()
            if is_free:
                return
            found = "other files"
        elif node.is_array or not node.has_pyramid or "image-label" not in node.ome:
            found = "zarr that is no label volume"
        elif overwrite or (own is not None and node.identity == own):
            return
        else:
            raise LabelError(
                f"There are labels at {self.url} already, which segmenting everything "
                "would replace. Choose another place, or overwrite them "
                "(overwrite=True, --overwrite)."
            )
        raise LabelError(
            f"Labels need a free place or an existing label volume, but there is "
            f"{found} at {self.url}. It was left as it is: choose another place."
        )

    def check_writable(self) -> None:
        """Raise a LabelWriteError if nothing can be written there: before the work."""
        probe = f"{self._beside}/writable"
        with self._written():
            self.files.pipe_file(probe, b"")
            self.files.rm_file(probe)

    def publish(
        self, identity: str, table: Path, step: Callable[[int, int], None]
    ) -> None:
        """Upload the volume that was made, which replaces one that is there.

        Parameters
        ----------
        identity
            Of the volume that was made.
        table
            Of its objects; goes beside the volume.
        step
            Called with how many files are there, and of how many; what it raises
            ends the upload, which a later call continues.
        """
        folder = self.location.path
        names = [
            file.relative_to(folder).as_posix()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        ]
        last = [name for name in ROOT_FILES if name in names]
        done = self._uploaded(identity)
        todo = [name for name in names if name not in done and name not in last]
        count = len(names)
        with self._written():
            self._remove(set(ROOT_FILES) & self._names())
            step(count - len(todo) - len(last), count)
            for first in range(0, len(todo), FILES_AT_ONCE):
                some = todo[first : first + FILES_AT_ONCE]
                self._put(some)
                self._note(some)
                done.update(some)
                step(len(done), count)
            self._remove(self._names() - set(names))
            self.files.put_file(str(table), f"{self._beside}/{table.name}")
            for name in last:
                self._put([name])
        self._record.unlink(missing_ok=True)
        step(count, count)

    def drop_copy(self) -> None:
        """Remove the pixels on this machine, once they are behind the URL."""
        if not self.location.path.exists():
            return
        # Renamed first, so that a kill leaves no half of a volume.
        aside = self.location.drafts / "published"
        aside.parent.mkdir(parents=True, exist_ok=True)
        self.location.path.rename(aside)
        shutil.rmtree(self.location.drafts, ignore_errors=True)

    @property
    def _beside(self) -> str:
        return f"{self.root}.napari-sam/{COMPANION}"

    @property
    def _record(self) -> Path:
        """On this machine: the volume that is being uploaded, and its files so far."""
        return self.location.folder / "upload.txt"

    def _uploaded(self, identity: str) -> set[str]:
        """The files of a volume that are there for certain; begins its record."""
        with suppress(OSError):
            known, *names = self._record.read_text(encoding="utf-8").split("\n")
            if known == identity:
                # The last line may be cut short; those before it are whole.
                return set(names[:-1])
        self._record.write_text(f"{identity}\n", encoding="utf-8")
        return set()

    def _note(self, names: Iterable[str]) -> None:
        with self._record.open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in names)

    def _put(self, names: Iterable[str]) -> None:
        here = [str(self.location.path / name) for name in names]
        there = [f"{self.root}/{name}" for name in names]
        self.files.put(here, there)

    def _remove(self, names: Iterable[str]) -> None:
        if there := [f"{self.root}/{name}" for name in sorted(names)]:
            self.files.rm(there)

    def _names(self) -> set[str]:
        """Files that are there now."""
        self.files.invalidate_cache()
        with suppress(FileNotFoundError):
            found = self.files.find(self.root)
            below = f"{self.root}/"
            return {name.removeprefix(below) for name in found if below in name}
        return set()

    def _node(self) -> ZarrNode | None:
        """The zarr group or array that is there."""
        with self._reached():
            if (new := self._json("zarr.json")) is not None:
                is_array = new.get("node_type") == "array"
                return ZarrNode(3, is_array, new.get("attributes") or {})
            if self._json(".zarray") is not None:
                return ZarrNode(2, is_array=True, attributes={})
            if self._json(".zgroup") is None:
                return None
            return ZarrNode(2, is_array=False, attributes=self._json(".zattrs") or {})

    def _json(self, name: str, folder: str | None = None) -> dict[str, Any] | None:
        self.files.invalidate_cache()
        try:
            content = self.files.cat_file(f"{folder or self.root}/{name}")
        except FileNotFoundError:
            return None
        found: dict[str, Any] = json.loads(content)
        return found

    def _check_alone(self) -> None:
        """Raise a LabelError inside of another store, which would not list it."""
        parts = self.root.split("/")
        for end in range(len(parts) - 1, 1, -1):
            above = "/".join(parts[:end])
            with self._reached():
                is_zarr = any(
                    self._json(name, above) is not None
                    for name in ("zarr.json", ".zgroup", ".zarray")
                )
            if is_zarr:
                raise LabelError(
                    f"{self.url} is inside of the zarr store {above}, where labels can "
                    "be put on a local disk only. Choose a place beside the store."
                )

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn what the store's library raises into one of our errors."""
        try:
            yield
        except (SamError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise LabelError(
                f"{self.url} needs to be a place that can be reached, got "
                f"{one_line(error)}. Check the address, the credentials and the "
                "endpoint."
            ) from error

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except (SamError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise LabelWriteError(
                getattr(error, "errno", None),
                f"The labels could not be put to {self.url} ({one_line(error)}). That "
                "needs a bucket that exists, and the right to write to it. Nothing is "
                f"lost: what was found is in {self.location.path.parent}; the same "
                "call continues with it",
            ) from error
