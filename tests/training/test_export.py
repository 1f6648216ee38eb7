"""Weights on disk: what was trained is what is loaded, with its facts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from training_scene import CONFIG, disc_arrays, trainer, write_discs

from napari_sam.errors import CheckpointError, TrainingError
from napari_sam.model.checkpoints import load_model
from napari_sam.prompts import Click
from napari_sam.training.config import DataSource
from napari_sam.training.config_files import config_from
from napari_sam.training.export import export, write_metadata
from napari_sam.training.run import Goal, RunFiles, train

pytestmark = pytest.mark.usefixtures("small_network")


@pytest.mark.slow
def test_an_exported_network_answers_as_the_trained_one(tmp_path: Path) -> None:
    sam = trainer(steps=1).run(tmp_path / "run.pt")
    path = tmp_path / "toy.safetensors"
    export(sam, path, {"training_data": "discs"})
    loaded = load_model(path, device="cpu")
    assert (loaded.metadata.name, loaded.window_size) == ("toy", 64)
    assert loaded.metadata.file_metadata["training_data"] == "discs"
    pixels = disc_arrays()[0][:64, :64]
    answers = [
        model.predict(model.encode(pixels), [Click(20, 20)])[0].logits_hw
        for model in (sam, loaded)
    ]
    np.testing.assert_allclose(*answers, atol=0.05, rtol=0.05)
    assert sorted(x.name for x in tmp_path.iterdir()) == ["run.pt", "toy.safetensors"]


def test_window_sizes_and_object_share_come_back(tmp_path: Path) -> None:
    network = replace(CONFIG.network, window_sizes=(32, 64), object_share=0.3)
    path = tmp_path / "toy.safetensors"
    export(trainer(network=network).task.sam, path, {})
    metadata = load_model(path, device="cpu").metadata
    assert (metadata.window_sizes, metadata.object_share) == ((32, 64), 0.3)


def test_metadata_change_and_weights_stay(tmp_path: Path) -> None:
    path = tmp_path / "toy.safetensors"
    export(trainer().task.sam, path, {"a": "1", "b": "2"})
    before = load_model(path, device="cpu").state_dict()
    write_metadata(path, {"b": "3", "evaluation": "{}"})
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert (metadata["a"], metadata["b"], metadata["evaluation"]) == ("1", "3", "{}")
    assert metadata["name"] == "toy"
    after = load_model(path, device="cpu").state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


def test_metadata_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights, but a text of some length")
    with pytest.raises(CheckpointError, match="text is none"):
        write_metadata(tmp_path / "text", {})


@pytest.mark.slow
@pytest.mark.parametrize("goal", [Goal.SEGMENT, Goal.MAE])
def test_a_run_writes_weights_with_all_that_made_them(
    tmp_path: Path, goal: Goal
) -> None:
    data = (DataSource(write_discs(tmp_path / "discs", count=3), leave_out=1),)
    config = replace(CONFIG, data=data, seed=5)
    files = RunFiles(tmp_path / "out" / "toy.safetensors")
    facts = train(config, files, goal=goal, device="cpu")
    assert (facts.steps, facts.planes, facts.device) == (2, 2, "cpu")
    metadata = load_model(files.output, device="cpu").metadata.file_metadata
    run = json.loads(metadata["training"])
    assert (run["task"], run["steps"], run["seed"]) == (goal, 2, 5)
    assert metadata["training_data"] == "discs"
    assert config_from(json.loads(metadata["training_config"])) == config
    assert sorted(x.name for x in files.output.parent.iterdir()) == [
        "toy.checkpoint.pt",
        "toy.log.jsonl",
        "toy.log.png",
        "toy.safetensors",
    ]
    lines = files.curve.read_text().splitlines()
    assert len(lines) == 1


def test_a_folder_in_the_place_of_the_output_is_told_first(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="writes files"):
        train(CONFIG, RunFiles(tmp_path), device="cpu")
