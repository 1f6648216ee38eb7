"""`napari-sam train`: teach a network from annotated images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from rich.progress import (
    BarColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from napari_sam.cli.reporting import INTERRUPTED, Bars, note, show
from napari_sam.errors import TrainingError
from napari_sam.evaluation import read_dataset
from napari_sam.training import (
    CURRICULUM,
    DEFAULT_IMAGE_SIZE,
    DataSource,
    Goal,
    Network,
    Optimisation,
    Phase,
    Report,
    RunFiles,
    TrainingConfig,
    is_recipe,
    read_config,
    train,
)

_T = TypeVar("_T")

DEFAULT_MINUTES = 60.0
TUNING_RATE = 1e-4
"""Learning rate from given weights: lower than a new network's."""

TUNING_PHASES = (Phase(size=256, batch=4, prompts=10),)
LEFT_OUT_SHARE = 0.1
REPORT_LINES = 20
"""That a run prints without a terminal, besides those about examinations."""


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """The options of the command line; None: as the config says, or the default.

    Parameters
    ----------
    sources
        One config file or recipe such as "default", or folders of data.
    data
        What the paths in a config are relative to.
    start, encoder, name, image_size, window_size
        See `Network`.
    steps, minutes, seed, learning_rate, scenes_share
        See `TrainingConfig`.
    leave_out
        Planes of each folder to validate on; None: a tenth.
    """

    sources: Sequence[str]
    data: Path | None = None
    start: str | None = None
    encoder: bool = False
    name: str | None = None
    image_size: int | None = None
    window_size: int | None = None
    steps: int | None = None
    minutes: float | None = None
    seed: int | None = None
    learning_rate: float | None = None
    scenes_share: float | None = None
    leave_out: int | None = None


def run_train(request: TrainRequest, files: RunFiles, goal: Goal, device: str) -> int:
    """Train with a bar or lines of progress; return the exit code."""
    config = config_of(request, goal)
    with _Shown() as shown:
        try:
            facts = train(
                config, files, goal=goal, device=device, on_step=shown.after_step
            )
        except KeyboardInterrupt:
            going_on = files.state.exists()
            shown.close()
            note(
                f"interrupted; the same command goes on from {files.state}."
                if going_on
                else "interrupted before anything was saved.",
                "error",
            )
            return INTERRUPTED
    show(f"{facts.steps} steps in {facts.minutes:.1f} min on {facts.device}")
    for name, value in shown.marks.items():
        show(f"{name} {value:.3f}")
    show(f"Learning curve: {files.curve}, {files.picture.name}")
    show(f"Weights: {files.output}")
    return 0


def config_of(request: TrainRequest, goal: Goal = Goal.SEGMENT) -> TrainingConfig:
    """The run of the command line.

    Raises
    ------
    TrainingError
        Options that contradict each other, or a config that cannot be read.
    """
    first = request.sources[0]
    is_config = is_recipe(first) or Path(first).suffix.lower() == ".toml"
    if is_config and (len(request.sources) > 1 or request.leave_out is not None):
        raise TrainingError(
            f"{first} is a config, which says what the data are; leave out other "
            "sources and --leave-out."
        )
    if request.steps is not None and request.minutes is not None:
        raise TrainingError("The length needs --steps or --minutes, got both.")
    if is_config:
        config = read_config(first, request.data)
    else:
        config = _config_of_folders(request, goal)
    network = _changed(
        config.network,
        start=request.start,
        encoder=request.encoder or None,
        name=request.name,
        image_size=request.image_size,
        window_size=request.window_size,
    )
    rate = request.learning_rate
    if request.steps is not None or request.minutes is not None:
        config = replace(config, steps=request.steps, minutes=request.minutes)
    return _changed(
        config,
        network=network,
        seed=request.seed,
        scenes_share=request.scenes_share,
        optimisation=_changed(config.optimisation, learning_rate=rate),
    )


def _changed(value: _T, **changes: Any) -> _T:
    """The value with those changes that are not None."""
    given = {key: x for key, x in changes.items() if x is not None}
    return replace(value, **given)  # type: ignore[type-var]


def _config_of_folders(request: TrainRequest, goal: Goal) -> TrainingConfig:
    """The defaults for folders of data."""
    root = request.data or Path()
    data = tuple(
        DataSource(root / folder, leave_out=_left_out(request, root / folder, goal))
        for folder in request.sources
    )
    is_new = request.start is None
    largest = request.image_size or DEFAULT_IMAGE_SIZE
    phases: tuple[Phase, ...] = CURRICULUM if is_new else TUNING_PHASES
    if is_new:
        phases = tuple(replace(x, size=min(x.size, largest)) for x in phases)
    rate = Optimisation().learning_rate if is_new else TUNING_RATE
    return TrainingConfig(
        data=data,
        minutes=DEFAULT_MINUTES,
        cycles=16 if is_new else 1,
        phase=phases,
        network=Network(),
        optimisation=Optimisation(learning_rate=rate),
    )


def _left_out(request: TrainRequest, folder: Path, goal: Goal) -> int:
    if request.leave_out is not None:
        return request.leave_out
    if goal is Goal.MAE:
        return 0
    return math.floor(LEFT_OUT_SHARE * len(read_dataset(folder).planes))


class _Shown(Bars):
    """Progress on stderr: a bar on a terminal, else a line now and then."""

    def __init__(self) -> None:
        super().__init__(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.marks: dict[str, float] = {}
        self._bar = self.bars.add_task("", total=1.0)
        self._next_line = 0.0

    def after_step(self, report: Report) -> None:
        """Show where the run is."""
        self.marks.update(report.marks)
        values = {**report.values, **self.marks}
        figures = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
        line = f"step {report.step}: {figures}"
        self.bars.update(self._bar, completed=report.progress, description=line)
        is_due = report.progress >= self._next_line or bool(report.marks)
        if is_due and not self.is_terminal:
            note(f"{line} ({100 * report.progress:.0f} %)")
            self._next_line = report.progress + 1 / REPORT_LINES
