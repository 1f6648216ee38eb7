"""The state of a run on disk: everything it takes to go on as if nothing happened."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_sam.atomic_files import replace_atomically
from napari_sam.errors import CheckpointError, TrainingError
from napari_sam.training.config import TrainingConfig
from napari_sam.training.config_files import config_tables

FORMAT = "napari-sam training 1"
LENGTH = ("steps", "minutes")
"""What may change between the parts of a run; more of it lets a run go on."""


def save_state(path: Path, state: Mapping[str, Any], config: TrainingConfig) -> None:
    """Write a run's state, whole or not at all."""
    about = {"format": FORMAT, "config": json.dumps(_fixed(config))}
    with replace_atomically(path) as partial, partial.open("wb") as file:
        torch.save({**about, **state}, file)


def load_state(
    path: Path, config: TrainingConfig, device: torch.device
) -> dict[str, Any]:
    """Read a run's state; nothing in the file is ever run.

    Raises
    ------
    CheckpointError
        The file is cut off, or no state of a run.
    TrainingError
        It is that of another run.
    """
    remedy = "Delete it to start anew, or give another one with --checkpoint"
    try:
        # A zip's table of contents is at its end: a file that was cut off has none.
        if not zipfile.is_zipfile(path):
            raise CheckpointError(f"{path} is cut off, or no checkpoint. {remedy}.")
        state = torch.load(path, weights_only=True, map_location=device)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(f"{path} is damaged: {reason[:200]} {remedy}.") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is no checkpoint of `napari-sam train`. {remedy}."
        )
    before, now = json.loads(state["config"]), _fixed(config)
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if changed:
        raise TrainingError(
            f"A run goes on with what it began with, but {path} has another "
            f"{', '.join(changed)}. {remedy}."
        )
    return state


def averaged_state(path: Path) -> dict[str, Tensor] | None:
    """The averaged network in a run's state; None where the file is something else."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        return None  # whoever reads it as weights says what is wrong with it
    average = state.get("average") if isinstance(state, dict) else None
    if not isinstance(average, Mapping):
        return None
    prefix = "module."
    return {
        key.removeprefix(prefix): value
        for key, value in average.items()
        if key.startswith(prefix)
    }


def _fixed(config: TrainingConfig) -> dict[str, Any]:
    """What has to be the same, as JSON has it."""
    length = replace(config, steps=1, minutes=None)
    tables = config_tables(length)
    return {key: value for key, value in tables.items() if key not in LENGTH}
