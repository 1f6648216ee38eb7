"""The result of a run as a file of weights, with what a loader and a reader need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from napari_sam.atomic_files import replace_atomically
from napari_sam.errors import CheckpointError
from napari_sam.model import Sam
from napari_sam.training.config import TrainingConfig
from napari_sam.training.config_files import config_tables


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run took.

    Parameters
    ----------
    task
        "segment", "mae" or "instances".
    steps, minutes
        Taken and used.
    device
        "cpu" or the name of the GPU.
    planes
        How many were learned from.
    """

    task: str
    steps: int
    minutes: float
    device: str
    planes: int


def run_metadata(config: TrainingConfig, facts: RunFacts) -> dict[str, str]:
    """What the weights say about the run that made them."""
    run = {
        "task": facts.task,
        "steps": facts.steps,
        "minutes": round(facts.minutes, 1),
        "seed": config.seed,
        "planes": facts.planes,
        "device": facts.device,
        "torch": torch.__version__,
    }
    names = [source.path.name for source in config.data]
    names += ["scenes"] if config.scenes_share else []
    return {
        "training": json.dumps(run),
        "training_config": json.dumps(config_tables(config)),
        "training_data": ", ".join(names),
    }


def added_metadata(before: Mapping[str, str], run: Mapping[str, str]) -> dict[str, str]:
    """What weights say that were given an instance decoder afterwards.

    How the rest of them was made, and how good it is, stays true.
    """
    return {**before, **{f"instances_{key}": value for key, value in run.items()}}


def export(sam: Sam, path: Path, metadata: Mapping[str, str]) -> None:
    """Write weights as float16 safetensors, whole or not at all.

    Parameters
    ----------
    sam
        The trained network.
    path
        The file to be written.
    metadata
        Further facts, see `run_metadata`.
    """
    facts = {
        "name": sam.metadata.name,
        "image_size": json.dumps(sam.image_encoder.img_size),
        "window_size": json.dumps(sam.window_size),
        "pixel_mean": json.dumps(sam.metadata.pixel_mean),
        "pixel_std": json.dumps(sam.metadata.pixel_std),
        "mask_threshold": json.dumps(sam.metadata.mask_threshold),
    }
    if sam.metadata.window_sizes:
        facts["window_sizes"] = json.dumps(sam.metadata.window_sizes)
    if sam.metadata.object_share is not None:
        facts["object_share"] = json.dumps(sam.metadata.object_share)
    if sam.metadata.instance_share is not None:
        facts["instance_share"] = json.dumps(sam.metadata.instance_share)
    state = {
        key: (value.half() if value.is_floating_point() else value).cpu().contiguous()
        for key, value in sam.state_dict().items()
    }
    _write(path, state, {**metadata, **facts})


def write_metadata(path: Path, changes: Mapping[str, str]) -> None:
    """Change what a file of weights says about itself; the weights stay.

    Parameters
    ----------
    path
        A safetensors file.
    changes
        New values by key; others stay.

    Raises
    ------
    CheckpointError
        The file is no safetensors file.
    """
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"Facts can be written into a safetensors file; {path} is none: {error}."
        ) from error
    _write(path, state, {**metadata, **changes})


def _write(path: Path, state: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    with replace_atomically(path) as partial:
        save_file(dict(state), partial, dict(facts))
