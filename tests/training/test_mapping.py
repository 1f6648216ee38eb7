"""Learning an instance decoder alone: prompts are answered to the bit as before."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_scene import CONFIG, discs, write_discs

from napari_sam.errors import TrainingError
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.metadata import ModelMetadata
from napari_sam.training import loop
from napari_sam.training.config import DataSource, Network, Optimisation
from napari_sam.training.export import export
from napari_sam.training.loop import Trainer
from napari_sam.training.mapping import InstanceMapping
from napari_sam.training.run import Goal, RunFiles, train

pytestmark = pytest.mark.usefixtures("small_network")

METADATA = ModelMetadata("given", "fp", image_size=64, window_size=48)


def test_a_decoder_is_added_and_the_rest_stays_to_the_bit(tmp_path: Path) -> None:
    torch.manual_seed(2)
    given = tmp_path / "given.safetensors"
    export(new_tiny_sam(METADATA), given, {"training": "{}", "evaluation": "{}"})
    data = (DataSource(write_discs(tmp_path / "discs", count=3), leave_out=1),)
    config = replace(CONFIG, data=data, network=Network(start=str(given)))
    files = RunFiles(tmp_path / "out.safetensors")
    train(config, files, goal=Goal.INSTANCES, device="cpu")
    before, after = load_file(given), load_file(files.output)
    assert {key.split(".")[0] for key in after.keys() - before.keys()} == {
        "instance_decoder"
    }
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    fields = load_model(files.output, "cpu").metadata.file_metadata
    assert (fields["training"], fields["evaluation"]) == ("{}", "{}")
    assert json.loads(fields["instances_training"])["task"] == "instances"


def test_the_decoder_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "GENTLE_STEPS", 1)
    config = replace(
        CONFIG,
        steps=25,
        network=Network(image_size=64, window_size=64),
        optimisation=Optimisation(learning_rate=3e-3),
    )
    task = InstanceMapping(new_tiny_sam(METADATA), config, [discs()], [discs()])
    run = Trainer(task, config)
    before = task.examine(run.averaged)["left_out_maps"]
    run.run(tmp_path / "run.pt")
    assert task.examine(run.averaged)["left_out_maps"] < 0.9 * before


def test_an_encoder_without_stages_is_refused() -> None:
    sam = new_tiny_sam(METADATA)
    sam.image_encoder = ImageEncoderViT(
        img_size=64,
        patch_size=16,
        embed_dim=16,
        num_heads=2,
        windows=(2, None),
        out_chans=32,
    )
    with pytest.raises(TrainingError, match="learns on the encoder of vit_t"):
        InstanceMapping(sam, CONFIG, [discs()])
