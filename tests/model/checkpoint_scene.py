"""Files of weights: a toy network's, and what is not to be run."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_sam.model.checkpoints import read_checkpoint
from napari_sam.model.metadata import ModelMetadata

KEY = "mask_decoder.iou_token.weight"


class Toy(nn.Module):
    """A network of one parameter that remembers what it was built from."""

    def __init__(self, state: dict[str, Tensor], metadata: ModelMetadata) -> None:
        super().__init__()
        self.weight = nn.Parameter(state[KEY])
        self.metadata = metadata


class Bystander:
    """Some class of a training program."""


class Marker:
    """A pickle that would make a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def toy_state(prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{KEY}": torch.arange(6.0).reshape(2, 3)}


def saved(folder: Path, content: Any, name: str = "weights.pt") -> Path:
    torch.save(content, folder / name)
    return folder / name


def assert_toy(path: Path) -> None:
    state = read_checkpoint(path).state
    assert list(state) == [KEY]
    torch.testing.assert_close(state[KEY], toy_state()[KEY])


def legacy(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def tar_file() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    return buffer.getvalue()
