"""Teaching SAM: the data, the losses and the loop that made the embedded default.

    config, config_files    a run as one value, and as TOML; recipes
    run                     a run from its config to a file of weights
    start, loop, export     the network at its beginning, what a step does, the result
    checkpoints, log, curve     the state of a run on disk, and how it learns

What is learned:

    segmenting      to answer prompts, and to say where objects are, together
    mapping         only to say where objects are
    masked_pixels   to guess pixels that are hidden
    prompting, losses   prompts in, and how good what comes out is
    maps            what an instance decoder should say of crops
    validation      examinations on what is left out

What from:

    planes, pictures    images with labels, and without
    crops, colours, windows     pieces of them, changed, as the encoder wants them
    scene_crops         synthetic ones
    simulated_prompts, mask_prompts     what is prompted about them

The public names are loaded on first use: reading a config loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.training.config import CURRICULUM as CURRICULUM
    from napari_sam.training.config import DataSource as DataSource
    from napari_sam.training.config import Network as Network
    from napari_sam.training.config import Optimisation as Optimisation
    from napari_sam.training.config import Phase as Phase
    from napari_sam.training.config import TrainingConfig as TrainingConfig
    from napari_sam.training.config_files import is_recipe as is_recipe
    from napari_sam.training.config_files import read_config as read_config
    from napari_sam.training.loop import Report as Report
    from napari_sam.training.run import Goal as Goal
    from napari_sam.training.run import RunFiles as RunFiles
    from napari_sam.training.run import train as train
    from napari_sam.training.start import DEFAULT_IMAGE_SIZE as DEFAULT_IMAGE_SIZE

_HOMES = {
    "CURRICULUM": "config",
    "DataSource": "config",
    "Goal": "run",
    "DEFAULT_IMAGE_SIZE": "start",
    "Network": "config",
    "Optimisation": "config",
    "Phase": "config",
    "Report": "loop",
    "RunFiles": "run",
    "TrainingConfig": "config",
    "is_recipe": "config_files",
    "read_config": "config_files",
    "train": "run",
}

__all__ = [
    "CURRICULUM",
    "DEFAULT_IMAGE_SIZE",
    "DataSource",
    "Goal",
    "Network",
    "Optimisation",
    "Phase",
    "Report",
    "RunFiles",
    "TrainingConfig",
    "is_recipe",
    "read_config",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
