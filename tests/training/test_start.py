"""Starting from weights: what learns, and what stays the same to the bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_scene import CONFIG, disc_arrays, discs, trainer, weights

from napari_sam.errors import TrainingError
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.training import loop
from napari_sam.training.config import Network, Optimisation, Prompting
from napari_sam.training.export import export
from napari_sam.training.loop import Trainer
from napari_sam.training.segmenting import Segmenting

pytestmark = pytest.mark.usefixtures("small_network")

FACTS = ModelMetadata(
    "given",
    "fp",
    image_size=64,
    window_size=48,
    window_sizes=(32, 48),
    object_share=0.25,
    pixel_mean=(1.0, 2.0, 3.0),
)


def parts_that_changed(before: Sam, after: Sam) -> set[str]:
    later = after.state_dict()
    return {
        key.split(".")[0]
        for key, value in before.state_dict().items()
        if not torch.equal(value, later[key])
    }


@pytest.fixture
def given(tmp_path: Path, small_network: None) -> Path:
    torch.manual_seed(4)
    path = tmp_path / "given.safetensors"
    export(new_tiny_sam(FACTS), path, {})
    return path


def test_from_weights_only_the_mask_decoder_learns(given: Path, tmp_path: Path) -> None:
    run = trainer(network=Network(start=str(given)))
    result = run.run(tmp_path / "run.pt")
    assert parts_that_changed(load_model(given, "cpu"), result) == {"mask_decoder"}


def test_on_request_everything_learns(given: Path, tmp_path: Path) -> None:
    run = trainer(network=Network(start=str(given), encoder=True))
    result = run.run(tmp_path / "run.pt")
    changed = parts_that_changed(load_model(given, "cpu"), result)
    assert changed == {"image_encoder", "prompt_encoder", "mask_decoder"}
    assert result.instance_decoder is not None


def test_the_facts_of_the_start_are_kept_unless_others_are_given(given: Path) -> None:
    kept = trainer(network=Network(start=str(given))).task.sam.metadata
    assert (kept.name, kept.window_sizes, kept.object_share) == (
        "given",
        (32, 48),
        0.25,
    )
    assert kept.pixel_mean == (1.0, 2.0, 3.0)
    other = Network(start=str(given), name="mine", window_size=64)
    changed = trainer(network=other).task.sam.metadata
    assert (changed.name, changed.window_size) == ("mine", 64)


def test_another_image_size_than_the_start_has_is_refused(given: Path) -> None:
    with pytest.raises(TrainingError, match=r"64 pixels, the config wants 128"):
        trainer(network=Network(start=str(given), image_size=128))


def test_the_state_of_a_run_is_a_start_too(tmp_path: Path) -> None:
    averaged = trainer().run(tmp_path / "run.pt")
    network = Network(start=str(tmp_path / "run.pt"), image_size=64, window_size=48)
    loaded = trainer(network=network).task.sam
    assert not parts_that_changed(averaged, loaded)
    assert (loaded.window_size, loaded.metadata.name) == (48, "trained")


def vit() -> Sam:
    """A ViT of a window of 64 pixels, with the small decoder."""
    small = new_tiny_sam(FACTS)
    small.image_encoder = ImageEncoderViT(
        img_size=64,
        patch_size=16,
        embed_dim=16,
        num_heads=2,
        windows=(2, None),
        out_chans=32,
    )
    return small


@pytest.mark.parametrize("encoder", [False, True])
def test_a_vit_learns_from_crops_smaller_than_its_window(
    tmp_path: Path, encoder: bool
) -> None:
    torch.manual_seed(1)
    path = tmp_path / "vit.safetensors"
    export(vit(), path, {})
    network = Network(start=str(path), encoder=encoder)
    run = trainer(network=network)
    result = run.run(tmp_path / "run.pt")
    assert isinstance(result.image_encoder, ImageEncoderViT)
    assert weights(run).isfinite().all()
    changed = parts_that_changed(load_model(path, "cpu"), result)
    assert ("image_encoder" in changed) == encoder


@pytest.mark.slow
def test_a_run_lowers_its_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "GENTLE_STEPS", 1)
    rate = Optimisation(learning_rate=4e-3)
    boxes = Prompting(1.0, 0.0, 0.0, correction_share=0.0)
    run = trainer(steps=25, prompting=boxes, optimisation=rate)
    fixed = run.task.draw(999, replace(CONFIG.phase[0], batch=8))

    def loss() -> tuple[float, float]:
        with torch.no_grad():
            _, told = run.task.loss(fixed, 0, 0.0)
        return float(told["loss"]), float(told["maps"])

    before = loss()
    run.run(tmp_path / "run.pt")
    after = loss()
    assert after[0] < 0.92 * before[0]
    assert after[1] < 0.99 * before[1]


def test_planes_without_objects_are_refused() -> None:
    from napari_sam.training.planes import TrainingPlane  # noqa: PLC0415

    pixels, labels = disc_arrays()
    empty = TrainingPlane.of_arrays("empty", pixels, labels * 0)
    with pytest.raises(TrainingError, match="planes with objects, got 1 with none"):
        Trainer(Segmenting(new_tiny_sam(FACTS), CONFIG, [empty]), CONFIG)
    assert Segmenting(new_tiny_sam(FACTS), CONFIG, [empty, discs()])
