"""The results of tiles on disk: each whole, flushed, and marked as its run's.

    run.json                      the plan
    tiles/PLANE/ROW/COLUMN.tile   what was found in a tile

A tile's file is written under another name, flushed and renamed, so it is there whole
or not at all. It begins with a line of JSON that names the run, the tile and the
checksum of the rest; a file that is damaged, or of another run, counts as not there.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numcodecs  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from napari_sam.atomic_files import write_atomically
from napari_sam.automatic.plan import RunPlan, Tile
from napari_sam.automatic.tiles.tile import TileFailure, TileResult
from napari_sam.automatic.window.window_labels import WindowObjects
from napari_sam.automatic.window.window_objects import WindowResult
from napari_sam.geometry import Box
from napari_sam.predictor import Cell

CODEC = numcodecs.Blosc(cname="zstd", clevel=3, shuffle=1)
DAMAGE = (ValueError, KeyError, TypeError, RuntimeError, EOFError)
"""What reading a file that is not one of ours may raise."""


@dataclass(frozen=True, slots=True)
class TileSummary:
    """A tile's result without its pixels."""

    tile: Tile
    object_count: int
    window_count: int
    empty_count: int
    failures: tuple[TileFailure, ...]

    @classmethod
    def of(cls, result: TileResult) -> TileSummary:
        """The summary of a result that is in memory."""
        return cls(
            result.tile,
            result.object_count,
            result.window_count,
            result.empty_count,
            result.failures,
        )


@dataclass(frozen=True, slots=True)
class TileFiles:
    """The tiles of one run in a folder; may be used by several threads and processes.

    Parameters
    ----------
    folder
        Of the run.
    plan
        The run's.
    digest
        The plan's.
    """

    folder: Path
    plan: RunPlan
    digest: str

    @classmethod
    def of(cls, folder: Path, plan: RunPlan) -> TileFiles:
        """The tiles of a run in its folder."""
        return cls(folder, plan, plan.digest)

    def path(self, tile: Tile) -> Path:
        """Where a tile's result is, or will be."""
        plane = "-".join(map(str, tile.plane)) or "0"
        return self.folder / "tiles" / plane / str(tile.row) / f"{tile.column}.tile"

    def save(self, result: TileResult) -> TileSummary:
        """Keep a result; once this returns, it survives a power cut."""
        payload = _packed(result)
        summary = TileSummary.of(result)
        header = {
            "run": self.digest,
            "size": len(payload),
            "blake2b": blake2b(payload, digest_size=16).hexdigest(),
            "summary": asdict(summary),
        }
        line = json.dumps(header, separators=(",", ":")).encode() + b"\n"
        write_atomically(self.path(result.tile), line + payload)
        return summary

    def summary(self, tile: Tile) -> TileSummary | None:
        """The summary of a tile, None if there is no sound result of it."""
        found = self._read(tile)
        return None if found is None else found[0]

    def load(self, tile: Tile) -> dict[Cell, WindowResult]:
        """The results of a tile by window; none if there is no sound result of it."""
        found = self._read(tile)
        return {} if found is None else _unpacked(self.plan, found[1])

    def _read(self, tile: Tile) -> tuple[TileSummary, bytes] | None:
        try:
            data = self.path(tile).read_bytes()
        except OSError:
            return None
        try:
            line, _, payload = data.partition(b"\n")
            header = json.loads(line)
            summary = _summary(header["summary"])
            is_sound = (
                header["run"] == self.digest
                and summary.tile == tile
                and header["blake2b"] == blake2b(payload, digest_size=16).hexdigest()
            )
        except DAMAGE:
            return None
        return (summary, payload) if is_sound else None


def _packed(result: TileResult) -> bytes:
    """The label images and scores of a tile's windows."""
    if not result.results:
        return b""
    results = list(result.results.values())
    flat = [each.labels_hw.ravel() for each in results]
    arrays: dict[str, NDArray[Any]] = {
        "cells": np.array(list(result.results), dtype=np.int64),
        "counts": np.array([len(each.scores_n) for each in results], dtype=np.int64),
        "scores": np.concatenate([each.scores_n for each in results]),
        "labels": np.frombuffer(CODEC.encode(np.concatenate(flat)), np.uint8),
    }
    stream = BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def _unpacked(plan: RunPlan, payload: bytes) -> dict[Cell, WindowResult]:
    if not payload:
        return {}
    with np.load(BytesIO(payload), allow_pickle=False) as arrays:
        cells, counts = arrays["cells"].tolist(), arrays["counts"].tolist()
        scores = arrays["scores"]
        labels = np.frombuffer(CODEC.decode(arrays["labels"].tobytes()), np.uint16)
    grid, bounds = plan.grid, Box.of_shape(plan.level_shape)
    results: dict[Cell, WindowResult] = {}
    pixel = first = 0
    for (row, column), count in zip(cells, counts, strict=True):
        window = grid.window(row, column)
        found = WindowObjects(
            labels[pixel : pixel + window.area].reshape(window.shape).astype(np.uint32),
            scores[first : first + count],
        )
        results[row, column] = WindowResult.of(
            window, grid.core(row, column), bounds, found
        )
        pixel, first = pixel + window.area, first + count
    return results


def _summary(fields: dict[str, Any]) -> TileSummary:
    """What `asdict` made of a summary, through JSON."""
    tile = fields["tile"]
    return TileSummary(
        Tile(tuple(tile["plane"]), tile["row"], tile["column"]),
        fields["object_count"],
        fields["window_count"],
        fields["empty_count"],
        tuple(failure_from_json(failure) for failure in fields["failures"]),
    )


def failure_from_json(fields: dict[str, Any]) -> TileFailure:
    """What `asdict` made of a failure, through JSON."""
    plane, box = tuple(fields["plane"]), Box(**fields["box"])
    return TileFailure(plane, box, fields["reason"])
