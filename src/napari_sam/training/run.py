"""A training run from its config to a file of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from napari_sam.errors import TrainingError
from napari_sam.model import Sam, choose_device
from napari_sam.training.config import TrainingConfig
from napari_sam.training.curve import draw_curves
from napari_sam.training.export import RunFacts, added_metadata, export, run_metadata
from napari_sam.training.log import TrainingLog
from napari_sam.training.loop import Report, Task, Trainer
from napari_sam.training.mapping import InstanceMapping
from napari_sam.training.masked_pixels import MaskedPixels
from napari_sam.training.pictures import open_pictures
from napari_sam.training.planes import TrainingPlane, open_planes
from napari_sam.training.segmenting import Segmenting
from napari_sam.training.start import start_network


class Goal(StrEnum):
    """What is learned."""

    SEGMENT = "segment"  # to answer prompts
    MAE = "mae"  # to guess hidden pixels
    INSTANCES = "instances"  # to say where objects are, as a part of its own


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What a run writes.

    Parameters
    ----------
    output
        The weights, safetensors.
    checkpoint
        The state, from which the run goes on; None: beside the output.
    log
        The learning curve, a JSON object a line, with its picture beside it; None:
        beside the output.
    """

    output: Path
    checkpoint: Path | None = None
    log: Path | None = None

    @property
    def state(self) -> Path:
        """Where the state is."""
        return self.checkpoint or self.output.with_suffix(".checkpoint.pt")

    @property
    def curve(self) -> Path:
        """Where the learning curve is."""
        return self.log or self.output.with_suffix(".log.jsonl")

    @property
    def picture(self) -> Path:
        """Where the learning curve is drawn."""
        return self.curve.with_suffix(".png")


def train(
    config: TrainingConfig,
    files: RunFiles,
    *,
    goal: Goal = Goal.SEGMENT,
    device: str = "auto",
    on_step: Callable[[Report], None] | None = None,
) -> RunFacts:
    """Train, or go on with it, and write the weights.

    Parameters
    ----------
    config
        The run.
    files
        What it writes; an existing checkpoint is gone on from.
    goal
        What is learned.
    device
        As of `load_model`.
    on_step
        Called after every step.

    Raises
    ------
    ImageError, LabelError
        Data that cannot be read.
    CheckpointError
        Weights or a checkpoint that cannot be read.
    TrainingError
        A run that makes no sense, or a checkpoint of another one.
    """
    where = choose_device(device)
    _make_room(files)
    sam = start_network(config)
    task, planes = _task(sam, config, goal)
    trainer = Trainer(task, config, where)
    averaged = trainer.run(files.state, TrainingLog(files.curve), on_step)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else where.type
    facts = RunFacts(goal, trainer.step, trainer.used_s / 60, name, len(planes))
    metadata = run_metadata(config, facts)
    if goal is Goal.INSTANCES:
        metadata = added_metadata(sam.metadata.file_metadata, metadata)
    export(averaged, files.output, metadata)
    draw_curves({config.network.name or goal: files.curve}, files.picture)
    return facts


def _make_room(files: RunFiles) -> None:
    """Fail now, not after hours, where the files cannot be written."""
    for path in (files.output, files.state, files.curve):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise TrainingError(f"A run writes files, and {path} is a folder.")


def _task(
    sam: Sam, config: TrainingConfig, goal: Goal
) -> tuple[Task, list[TrainingPlane]]:
    if goal is Goal.MAE:
        planes, left_out = open_pictures(config.data, config.phase[-1])
        return MaskedPixels(sam, config, planes, left_out), planes
    planes, left_out = open_planes(config.data)
    if goal is Goal.INSTANCES:
        return InstanceMapping(sam, config, planes, left_out), planes
    return Segmenting(sam, config, planes, left_out), planes
