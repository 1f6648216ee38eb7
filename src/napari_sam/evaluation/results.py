"""Results of planes on disk: what is finished is kept, whatever happens next.

REPORT/planes/settings.json          the options; others need another folder
REPORT/planes/SET/NAME/0-3.json      one file a plane, written whole or not at all

A result also names the image and the labels that it is about. Where these are others
by now, it counts for nothing, and the plane is evaluated again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from napari_sam.atomic_files import write_atomically
from napari_sam.errors import EvaluationError
from napari_sam.evaluation.datasets import AnnotatedPlane
from napari_sam.evaluation.protocol import (
    EvaluatedObject,
    PlaneResult,
    PromptScores,
    Timings,
)


class ResultsFolder:
    """The results of finished planes.

    Parameters
    ----------
    root
        The report's folder; made if it is not there.
    settings
        All that the results depend on besides the images.

    Raises
    ------
    EvaluationError
        The folder holds results of other settings.
    """

    def __init__(self, root: Path, settings: Mapping[str, Any]) -> None:
        self._folder = root / "planes"
        self._folder.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(json.dumps(settings))
        path = self._folder / "settings.json"
        if not path.exists():
            write_atomically(path, json.dumps(wanted, indent=1).encode())
            return
        there = _parsed(path)
        if there != wanted:
            differing = sorted(
                key for key in {*there, *wanted} if there.get(key) != wanted.get(key)
            )
            raise EvaluationError(
                f"{root} holds results of other settings ({', '.join(differing)}). "
                "Name another folder, or delete this one."
            )

    def load(self, plane: AnnotatedPlane) -> PlaneResult | None:
        """What was found about a plane, None where it is not finished."""
        path = self._path(plane)
        if not path.exists():
            return None
        facts = _parsed(path)
        if facts.get("source") != plane.fingerprint():
            return None
        try:
            return plane_result(facts)
        except (KeyError, TypeError, ValueError) as error:
            raise _not_ours(path, error) from error

    def save(self, plane: AnnotatedPlane, result: PlaneResult) -> None:
        """Keep what was found about a plane."""
        path = self._path(plane)
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {"source": plane.fingerprint(), **asdict(result)}
        write_atomically(path, json.dumps(facts).encode())

    def _path(self, plane: AnnotatedPlane) -> Path:
        indices = "-".join(str(index) for index in plane.plane)
        return self._folder / plane.dataset / plane.name / f"{indices or 'plane'}.json"


def weights_of(root: Path) -> str:
    """The fingerprint of the model that a report's results are about."""
    return str(_parsed(root / "planes" / "settings.json")["model"])


def plane_result(facts: Mapping[str, Any]) -> PlaneResult:
    """A result as `asdict` and JSON leave it -> the result."""
    return PlaneResult(
        facts["dataset"],
        facts["name"],
        tuple(facts["plane"]),
        tuple(_object_result(entry) for entry in facts["objects"]),
        tuple(facts["background_scores"]),
        Timings(**facts["timings"]),
    )


def _object_result(facts: Mapping[str, Any]) -> EvaluatedObject:
    y0, x0, y1, x1 = facts["box"]
    shown = facts["shown"]
    return EvaluatedObject(
        facts["label"],
        facts["area"],
        (y0, x0, y1, x1),
        tuple((y, x, label) for y, x, label in facts["points"]),
        tuple(PromptScores(**entry) for entry in facts["clicks"]),
        PromptScores(**facts["tight_box"]),
        PromptScores(**facts["loose_box"]),
        shown and (tuple(shown[0]), tuple(shown[1])),
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _not_ours(path, error) from error
    return parsed


def _not_ours(path: Path, error: Exception) -> EvaluationError:
    return EvaluationError(
        f"{path} needs to be what an evaluation wrote: {error}. Delete it, and the "
        "plane is evaluated again."
    )
