"""What is kept of a run beside its labels, so that the same call continues it.

slide.labels.ome.zarr.napari-sam/labels.everything/
    run.json       what the run depends on
    tiles/         what was found so far; gone once the labels are complete
    objects.csv    what is in the labels
    written.json   which labels that is, and whether anything is missing
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_sam.atomic_files import write_atomically
from napari_sam.automatic.plan import RunPlan, RunRequest
from napari_sam.automatic.remote_labels import RemoteLabels
from napari_sam.automatic.tiles.tile import TileFailure
from napari_sam.automatic.tiles.tile_files import failure_from_json
from napari_sam.errors import LabelError
from napari_sam.labels import BulkLabels, LabelLocation

DAMAGE = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class AutomaticReport:
    """What a run came to.

    Parameters
    ----------
    labels
        The label volume: its folder, or its URL.
    objects_file
        A table of its objects: id, plane, score, box, area.
    objects
        How many objects there are; their ids are 1 to this.
    tiles
        How many tiles are done.
    windows
        How many windows the model got.
    skipped
        Windows that were left out, as flat background.
    failures
        Windows of which nothing is known; the same call tries their tiles again.
    object_size
        Side of a typical object, given or estimated, in pixels of level 0.
    """

    labels: Path | str
    objects_file: Path
    objects: int
    tiles: int
    windows: int
    skipped: int
    failures: tuple[TileFailure, ...]
    object_size: float

    @property
    def is_complete(self) -> bool:
        """Whether no part is missing."""
        return not self.failures


@dataclass(frozen=True, slots=True)
class WrittenLabels:
    """Labels that a run has moved to their location, or was about to.

    Parameters
    ----------
    identity
        What ties them to their journal.
    is_placed
        Whether they got there for certain.
    report
        What was in them.
    """

    identity: str
    is_placed: bool
    report: AutomaticReport


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of the run beside labels; its caller holds the lock of the labels.

    Parameters
    ----------
    location
        Of the labels or, where those go to an object store, of their local copy.
    remote
        That object store.
    """

    location: LabelLocation
    remote: RemoteLabels | None = None

    @property
    def path(self) -> Path:
        """The folder."""
        return self.location.run_folder

    @property
    def labels(self) -> Path | str:
        """The final location of the volume."""
        return self.location.path if self.remote is None else self.remote.url

    @property
    def objects_file(self) -> Path:
        """The table of objects."""
        return self.path / "objects.csv"

    def sweep(self) -> None:
        """Remove what a kill left half written."""
        for leftover in self.path.glob("*.partial"):
            leftover.unlink(missing_ok=True)

    def plan(self) -> RunPlan | None:
        """The plan of the run that is here, None if there is none that can be read."""
        fields = self._text("run.json")
        try:
            return None if fields is None else RunPlan.from_json(fields)
        except DAMAGE:
            return None

    def begin(self, plan: RunPlan) -> None:
        """Keep the plan of a new run."""
        write_atomically(self.path / "run.json", plan.to_json().encode())

    def written(self) -> WrittenLabels | None:
        """The labels that the run has written, None if none."""
        text = self._text("written.json")
        try:
            return None if text is None else self._written(json.loads(text))
        except DAMAGE:
            return None

    def note_written(self, written: WrittenLabels) -> None:
        """Keep which labels were written."""
        fields = asdict(written)
        for name in ("labels", "objects_file"):  # they may be moved
            del fields["report"][name]
        write_atomically(
            self.path / "written.json", json.dumps(fields, indent=1).encode()
        )

    def drop_tiles(self) -> None:
        """Remove what was found: it is in the labels."""
        shutil.rmtree(self.path / "tiles", ignore_errors=True)

    def clear(self) -> None:
        """Remove the run."""
        # The plan goes first: what is left of a run without one counts for nothing.
        (self.path / "run.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def finished(self) -> AutomaticReport | None:
        """The report of a run of which nothing is left to do."""
        if self.remote is None:
            return self.made()
        written = self._complete()
        if written is None or self.remote.identity() != written.identity:
            return None
        return written.report

    def made(self) -> AutomaticReport | None:
        """The report of complete labels that are on this machine."""
        written = self._complete()
        if written is None or BulkLabels.identity_at(self.location) != written.identity:
            return None
        return written.report

    def check_remote(self, *, overwrite: bool) -> None:
        """Raise a SamError if the labels cannot be put where they are to go."""
        if self.remote is not None:
            written = self.written()
            own = None if written is None else written.identity
            self.remote.check_replaceable(own, overwrite=overwrite)
            self.remote.check_writable()

    def check_replaceable(self) -> None:
        """Raise a LabelError if there are labels that are more than this run's own."""
        location = self.location
        identity = BulkLabels.identity_at(location)
        if identity is None and not location.journal.exists():
            return
        written = self.written()
        if written is None or not self._is_there(written):
            # A journal alone, without edits, is what a kill between the two leaves.
            if identity is None and not BulkLabels.was_edited(location):
                return
            raise LabelError(
                f"There are labels at {location.path} already, which segmenting "
                "everything would replace. Choose another place, or overwrite them "
                "(overwrite=True, --overwrite)."
            )
        if BulkLabels.was_edited(location):
            raise LabelError(
                f"The labels {location.path} were edited since this run wrote them, "
                "and writing them again would drop the edits. Choose another place, or "
                "overwrite them (overwrite=True, --overwrite)."
            )

    def check_same(self, plan: RunPlan, request: RunRequest) -> None:
        """Raise a LabelError if the run that is here is for another request."""
        if plan.request == request:
            return
        have, want = asdict(plan.request), asdict(request)
        names = ", ".join(name for name in have if have[name] != want[name])
        raise LabelError(
            f"{self.path} holds another run, with another {names}. Ask for the same "
            "again to go on with it, choose another place for the labels, or start "
            "anew (overwrite=True, --overwrite). A dask array is another image each "
            "time it is opened: go on with the same opened image."
        )

    def _complete(self) -> WrittenLabels | None:
        written = self.written()
        if written is None or not written.is_placed or not written.report.is_complete:
            return None
        return written

    def _is_there(self, written: WrittenLabels) -> bool:
        if BulkLabels.identity_at(self.location) == written.identity:
            return True
        return self.remote is not None and self.remote.identity() == written.identity

    def _written(self, fields: Mapping[str, Any]) -> WrittenLabels:
        report = dict(fields["report"])
        report["failures"] = tuple(map(failure_from_json, report["failures"]))
        return WrittenLabels(
            fields["identity"],
            fields["is_placed"],
            AutomaticReport(self.labels, self.objects_file, **report),
        )

    def _text(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
