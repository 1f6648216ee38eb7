"""Discs of their own grey, a network of a small window, and short runs."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from napari_sam.training.config import (
    DataSource,
    Network,
    Phase,
    Prompting,
    TrainingConfig,
    Validation,
)
from napari_sam.training.loop import Trainer
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.segmenting import Segmenting
from napari_sam.training.start import start_network

SMALL = Phase(1.0, size=32, batch=2, prompts=2, object_size=(8, 16))
CONFIG = TrainingConfig(
    data=(DataSource(Path("discs")),),
    steps=2,
    phase=(SMALL,),
    network=Network(name="toy", image_size=64, window_size=64),
    prompting=Prompting(box_share=0.3, point_box_share=0.2, mask_share=0.2),
    validation=Validation(every=2, crops=2, prompts=3, size=48),
)


def disc_arrays(side: int = 90) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Nine bright discs: (side, side, 3) pixels, (side, side) ids."""
    rows, columns = np.mgrid[:side, :side]
    labels = np.zeros((side, side), dtype=np.uint8)
    for i, (y, x) in enumerate(itertools.product((20, 45, 70), repeat=2)):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= 10**2] = i + 1
    grey = (labels > 0).astype(np.uint8) * 150 + 40
    return np.repeat(grey[..., None], 3, axis=2), labels


def discs() -> TrainingPlane:
    return TrainingPlane.of_arrays("discs", *disc_arrays())


def write_discs(folder: Path, count: int = 1) -> Path:
    """A data set of `count` images of discs."""
    pixels, labels = disc_arrays()
    for kind, array in (("images", pixels), ("labels", labels)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(array).save(folder / kind / f"{number:02d}.png")
    return folder


def trainer(config: TrainingConfig = CONFIG, **changes: Any) -> Trainer:
    config = replace(config, **changes)
    task = Segmenting(start_network(config), config, [discs()], [discs()])
    return Trainer(task, config)


def weights(run: Trainer) -> torch.Tensor:
    """All parameters and statistics of a run's network, its helpers and its average."""
    states = [run.task.modules.state_dict(), run.average.state_dict()]
    return torch.cat([x.double().flatten() for s in states for x in s.values()])
