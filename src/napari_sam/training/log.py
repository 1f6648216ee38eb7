"""A run's learning curve on disk: a JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

REPORT_EVERY = 20  # steps; the values of a line are the means since the one before


class Reported(Protocol):
    """What a line is about."""

    @property
    def step(self) -> int:
        """Steps taken."""

    @property
    def used_s(self) -> float:
        """Time used."""

    @property
    def values(self) -> Mapping[str, float]:
        """Losses and the like of the step."""

    @property
    def marks(self) -> Mapping[str, float]:
        """Of the examination after it, if there was one."""


class TrainingLog:
    """Writes losses every `REPORT_EVERY` steps, and examinations when they are made.

    Parameters
    ----------
    path
        Of the file, such as `run.jsonl`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: dict[str, list[float]] = {}

    def cut_after(self, step: int) -> None:
        """Drop lines of steps after `step`: they are about to be made again."""
        lines = []
        if step and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    is_kept = json.loads(line)["step"] <= step
                except (ValueError, KeyError, TypeError):
                    is_kept = False  # the run was cut off while it wrote this
                if is_kept:
                    lines.append(line + "\n")
        self.path.write_text("".join(lines), encoding="utf-8")

    def add(self, report: Reported) -> None:
        """Take note of a step."""
        for name, value in report.values.items():
            self._values.setdefault(name, []).append(value)
        if report.step % REPORT_EVERY and not report.marks:
            return
        means = {
            name: round(sum(values) / len(values), 5)
            for name, values in self._values.items()
        }
        marks = {name: round(value, 5) for name, value in report.marks.items()}
        minutes = round(report.used_s / 60, 3)
        line = {"step": report.step, "minutes": minutes, **means, **marks}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._values = {}
