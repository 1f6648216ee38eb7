"""`napari-sam train`, as a user runs it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_scene import run
from PIL import Image as Pillow

from napari_sam.cli.train import TrainRequest, config_of
from napari_sam.errors import TrainingError
from napari_sam.model.checkpoints import load_model
from napari_sam.prompts import Click
from napari_sam.training.run import Goal

QUICK = """
steps = 1
[[data]]
path = "cells"
leave_out = 1
[[phase]]
size = 64
batch = 1
prompts = 2
[validation]
crops = 1
prompts = 2
size = 64
"""


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Two images with nine discs each."""
    rows, columns = np.mgrid[:90, :90]
    labels = np.zeros((90, 90), dtype=np.uint8)
    for i, (y, x) in enumerate(itertools.product((20, 45, 70), repeat=2)):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= 10**2] = i + 1
    grey = (labels > 0).astype(np.uint8) * 150 + 40
    for kind, array in (("images", grey), ("labels", labels)):
        (tmp_path / "cells" / kind).mkdir(parents=True)
        for name in ("a", "b"):
            Pillow.fromarray(array).save(tmp_path / "cells" / kind / f"{name}.png")
    return tmp_path / "cells"


@pytest.mark.slow
def test_a_folder_of_data_becomes_weights(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "mine.safetensors"
    options = ("--steps", 2, "--image-size", 64, "--window-size", 64, "--device", "cpu")
    assert run("train", cells, "--output", output, *options) == 0
    model = load_model(output, device="cpu")
    assert (model.window_size, model.metadata.name) == (64, "trained")
    assert json.loads(model.metadata.file_metadata["training"])["steps"] == 2
    pixels = np.full((64, 64, 3), 9, np.uint8)
    assert len(model.predict(model.encode(pixels), [Click(20, 20)])) == 3
    told = capsys.readouterr()
    assert "2 steps in" in told.out
    assert f"Weights: {output}" in told.out
    assert "step 2: loss" in told.err


@pytest.mark.slow
def test_from_a_model_only_the_decoder_learns(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.toml").write_text(QUICK)
    output = tmp_path / "mine.safetensors"
    options = ("--from", "default", "--device", "cpu", "--learning-rate", 0.01)
    assert run("train", tmp_path / "run.toml", "--output", output, *options) == 0
    before, after = load_model("default", "cpu"), load_model(output, "cpu")
    changed = {
        key.split(".")[0]
        for key, value in before.state_dict().items()
        if not torch.equal(value, after.state_dict()[key])
    }
    assert changed == {"mask_decoder"}
    assert after.metadata.name == "default"
    assert after.window_sizes == before.window_sizes
    assert "click_iou" in capsys.readouterr().out
    # The same command again has nothing left to do.
    assert run("train", tmp_path / "run.toml", "--output", output, *options) == 0
    assert "1 steps in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (QUICK.replace("size = 64\nbatch", "size = 65\nbatch"), "phase[0].size needs"),
        (QUICK.replace("steps = 1", "steps = 'x'"), "steps needs a whole number"),
        (QUICK.replace("steps = 1", "steps ="), "is no TOML"),
    ],
)
def test_a_bad_config_is_one_line_that_says_where(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    assert run("train", path, "--output", tmp_path / "x.safetensors") == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert str(path) in lines[0]
    assert told in lines[0]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_without_labels_is_one_line_of_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.safetensors"
    assert run("train", tmp_path / "nothing", "--output", output) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "nothing" in lines[0]


def test_an_interrupted_run_says_how_to_go_on(
    cells: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_sam.cli.train.train", stop)
    state = tmp_path / "mine.checkpoint.pt"
    command = ("train", cells, "--output", tmp_path / "mine.safetensors")
    assert run(*command) == 130
    assert "before anything was saved" in capsys.readouterr().err
    state.write_bytes(b"a state")
    assert run(*command) == 130
    assert f"goes on from {state}" in capsys.readouterr().err


def test_options_change_a_config(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(QUICK)
    config = config_of(
        TrainRequest([str(tmp_path / "run.toml")], minutes=3.0, seed=9, start="default")
    )
    assert (config.steps, config.minutes, config.seed) == (None, 3.0, 9)
    assert config.network.start == "default"
    assert config.data[0].path == tmp_path / "cells"


def test_a_tenth_of_a_folder_is_left_out_unless_said_otherwise(cells: Path) -> None:
    for number in range(18):
        for kind in ("images", "labels"):
            source = cells / kind / "a.png"
            (cells / kind / f"{number}.png").write_bytes(source.read_bytes())
    assert config_of(TrainRequest([str(cells)])).data[0].leave_out == 2
    five = TrainRequest([str(cells)], leave_out=5)
    assert config_of(five).data[0].leave_out == 5
    assert config_of(TrainRequest([str(cells)]), Goal.MAE).data[0].leave_out == 0


def test_contradicting_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="got both"):
        config_of(TrainRequest(["default"], steps=1, minutes=1.0))
    with pytest.raises(TrainingError, match="leave out other sources"):
        config_of(TrainRequest(["default", "cells"]))
