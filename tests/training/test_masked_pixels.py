"""Pre-training: hidden pixels are guessed, and the result is a start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_scene import CONFIG, trainer, weights

from napari_sam.errors import TrainingError
from napari_sam.model.checkpoints import load_model
from napari_sam.training.config import Augmentation, Network, Optimisation, Phase
from napari_sam.training.export import export
from napari_sam.training.loop import Trainer
from napari_sam.training.masked_pixels import PATCH, MaskedPixels, _flattened
from napari_sam.training.planes import TrainingPlane
from napari_sam.training.start import start_network

pytestmark = pytest.mark.usefixtures("small_network")

OFF = ("inversion", "grey", "swap", "blur", "noise", "dark", "stretch", "rotation")
PLAIN = Augmentation(zoom=(1, 1), **dict.fromkeys(OFF, 0.0))
RUN = replace(
    CONFIG,
    steps=2,
    phase=(Phase(size=64, batch=4),),
    augmentation=PLAIN,
    optimisation=Optimisation(learning_rate=5e-3),
)


def waves() -> TrainingPlane:
    """Stripes that repeat after a patch: what is seen says what is hidden."""
    row = 127 + 100 * np.sin(2 * np.pi * np.arange(160) / PATCH)
    grey = row[None].repeat(160, axis=0).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    return TrainingPlane("waves", pixels, None, (), 0, 20.0, (), 1.0)


def pretrainer(**changes: Any) -> Trainer:
    config = replace(RUN, **changes)
    task = MaskedPixels(start_network(config), config, [waves()], [waves()])
    return Trainer(task, config)


@pytest.mark.slow
def test_the_loss_falls_on_a_few_images(tmp_path: Path) -> None:
    losses: list[float] = []
    run = pretrainer(steps=60)
    before = run.task.examine(run.averaged)["left_out_loss"]
    run.run(tmp_path / "run.pt", on_step=lambda r: losses.append(r.values["loss"]))
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:10])
    assert run.task.examine(run.averaged)["left_out_loss"] < 0.9 * before


def test_three_of_four_patches_are_hidden() -> None:
    batch = pretrainer().task.draw(0, Phase(size=128, batch=3))
    assert batch.images_bchw.shape == (3, 3, 128, 128)
    np.testing.assert_array_equal(batch.hidden_bhw.sum(axis=(1, 2)), [12, 12, 12])
    assert (batch.hidden_bhw[0] != batch.hidden_bhw[1]).any()


def test_hidden_pixels_are_not_seen() -> None:
    run = pretrainer()
    task = run.task
    seen: list[torch.Tensor] = []
    hook = lambda _, inputs: seen.append(inputs[0].clone())  # noqa: E731
    task.sam.image_encoder.register_forward_pre_hook(hook)
    batch = task.draw(0, RUN.phase[0])
    with torch.no_grad():
        task.loss(batch, 0, 0.0)
    hidden = batch.hidden_bhw.repeat(PATCH, axis=1).repeat(PATCH, axis=2)
    shown = seen[0].permute(0, 2, 3, 1)
    assert (shown[torch.from_numpy(hidden)] == 0).all()
    assert (shown[torch.from_numpy(~hidden)] != 0).any()


def test_hidden_pixels_are_the_target() -> None:
    task = pretrainer().task
    batch = task.draw(0, RUN.phase[0])
    changed = batch.images_bchw.copy()
    hidden = batch.hidden_bhw.repeat(PATCH, axis=1).repeat(PATCH, axis=2)[:, None]
    changed[np.broadcast_to(hidden, changed.shape)] //= 3
    with torch.no_grad():
        one, other = (
            task.loss(replace(batch, images_bchw=images), 0, 0.0)[0]
            for images in (batch.images_bchw, changed)
        )
    assert one != other


def test_flat_patches_are_not_blown_up() -> None:
    noise = 1e-4 * torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert _flattened(noise + 5, 32).abs().max() < 0.1
    steep = torch.arange(32.0).expand(1, 3, 32, 32)
    flat = _flattened(steep, 32)
    assert flat.mean().abs() < 1e-3
    assert flat.std() == pytest.approx(1, abs=0.01)


def test_only_the_encoder_learns(tmp_path: Path) -> None:
    run = pretrainer()
    start = {k: v.clone() for k, v in run.task.sam.state_dict().items()}
    run.run(tmp_path / "run.pt")
    after = run.task.sam.state_dict()
    changed = {k for k, value in start.items() if not torch.equal(value, after[k])}
    assert {key.split(".")[0] for key in changed} == {"image_encoder"}


def test_the_result_is_a_start_for_everything(tmp_path: Path) -> None:
    result = pretrainer().run(tmp_path / "run.pt")
    export(result, tmp_path / "pretrained.safetensors", {})
    start = Network(start=str(tmp_path / "pretrained.safetensors"), encoder=True)
    run = trainer(network=start)
    loaded = load_model(tmp_path / "pretrained.safetensors", "cpu")
    key = "layers.0.blocks.0.conv1.c.weight"
    trained = result.image_encoder.state_dict()[key]
    half = trained.half().float()
    assert torch.equal(run.task.sam.image_encoder.state_dict()[key], half)
    assert torch.equal(loaded.image_encoder.state_dict()[key], half)
    run.run(tmp_path / "tuned.pt")
    assert weights(run).isfinite().all()


def test_the_state_of_the_other_goal_is_refused(tmp_path: Path) -> None:
    pretrainer(steps=1).run(tmp_path / "run.pt")
    with pytest.raises(TrainingError, match=r"network and goal .*run.pt is of others"):
        trainer(RUN).run(tmp_path / "run.pt")


def test_crops_that_are_not_whole_patches_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"multiple of 32 pixels, got \[48\]"):
        pretrainer(phase=(Phase(size=48),))
