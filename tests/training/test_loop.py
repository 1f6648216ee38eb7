"""Short runs of training on made-up discs, in a window of 64 pixels."""

import itertools
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam.errors import GeometryError
from napari_sam.model.checkpoints import load_model
from napari_sam.model.facts import ModelFacts
from napari_sam.prompts import Click
from napari_sam.training import loop
from napari_sam.training.__main__ import export, main
from napari_sam.training.dataset import AnnotatedImage, CropOptions
from napari_sam.training.loop import Phase, Trainer, TrainingOptions
from napari_sam.training.prompting import correcting_clicks

FACTS = ModelFacts("toy", "untrained", image_size=64)
CROPS = CropOptions(object_size=(8, 16))
SMALL = Phase(1.0, size=32, batch=2, prompts=2)
OPTIONS = TrainingOptions(minutes=1 / 60, phases=(SMALL,), crops=CROPS)


@pytest.fixture(autouse=True)
def steps_of_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is a second later than the one before."""
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))


def discs() -> AnnotatedImage:
    rows, columns = np.mgrid[:90, :90]
    labels = np.zeros((90, 90), dtype=np.uint16)
    for i, (y, x) in enumerate(itertools.product((20, 45, 70), repeat=2)):
        labels[(rows - y) ** 2 + (columns - x) ** 2 <= 10**2] = i + 1
    grey = (labels > 0).astype(np.uint8) * 150 + 40
    return AnnotatedImage("discs", np.repeat(grey[..., None], 3, axis=2), labels)


def trainer(**changes: object) -> Trainer:
    return Trainer([discs()], replace(OPTIONS, **changes), FACTS)


def weights(run: Trainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in run.modules.parameters()])


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.pt"
    first = trainer()
    before = weights(first)
    first.run(checkpoint)
    assert (first.step, first.used_s) == (1, 1.0)
    assert not torch.equal(weights(first), before)
    second = trainer(minutes=2 / 60)
    second.run(checkpoint)
    assert (second.step, second.used_s) == (2, 2.0)
    assert not torch.equal(weights(second), weights(first))
    third = trainer(minutes=2 / 60)
    third.run(checkpoint)
    assert third.step == 2
    torch.testing.assert_close(weights(third), weights(second))
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_two_runs_of_one_seed_begin_alike(tmp_path: Path) -> None:
    torch.testing.assert_close(weights(trainer()), weights(trainer()))
    assert not torch.equal(weights(trainer(seed=2)), weights(trainer()))


@pytest.mark.parametrize("box_share", [0.0, 1.0])
def test_corrections_and_whole_windows_are_trained_too(
    tmp_path: Path, box_share: float
) -> None:
    run = trainer(
        minutes=2 / 60,
        phases=(replace(SMALL, share=0.5), Phase(0.5, size=64, batch=1, prompts=3)),
        correction_share=1.0,
        correction_from=-1.0,
        crops=replace(CROPS, box_share=box_share),
    )
    before = run.sam.prompt_encoder.mask_downscaling[0].weight.detach().clone()
    sam = run.run(tmp_path / "run.pt")
    assert run.step == 2
    assert not sam.training
    assert all(p.isfinite().all() for p in sam.parameters())
    after = sam.prompt_encoder.mask_downscaling[0].weight
    assert not torch.equal(after, before)


def test_no_thread_outlives_a_run(tmp_path: Path) -> None:
    trainer().run(tmp_path / "run.pt")
    assert not [t for t in threading.enumerate() if t.name.startswith("crops")]


def test_an_error_while_drawing_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise MemoryError("no crop today")

    monkeypatch.setattr(loop.CropSampler, "_draw", fail)
    with pytest.raises(MemoryError, match="no crop today"):
        trainer().run(tmp_path / "run.pt")


def test_crops_larger_than_the_window_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"at most the window's 64, got .* 128"):
        trainer(phases=(replace(SMALL, size=128),))


def test_an_exported_network_answers_as_the_trained_one(tmp_path: Path) -> None:
    sam = trainer().run(tmp_path / "run.pt")
    path = tmp_path / "toy.safetensors"
    export(sam, path, {"training_data": "discs"})
    loaded = load_model(path, device="cpu")
    assert (loaded.facts.name, loaded.window_size) == ("toy", 64)
    assert loaded.facts.metadata["training_data"] == "discs"
    assert loaded.facts.pixel_mean == sam.facts.pixel_mean
    pixels = discs().pixels_hwc[:64, :64]
    answers = [
        model.predict(model.encode(pixels), [Click(20, 20)])[0].logits_hw
        for model in (sam, loaded)
    ]
    np.testing.assert_allclose(*answers, atol=0.05, rtol=0.05)
    assert not path.with_suffix(".part").exists()


def test_the_command_trains_and_exports(tmp_path: Path) -> None:
    data, output = tmp_path / "data", tmp_path / "toy.safetensors"
    for kind, array in (
        ("images", discs().pixels_hwc),
        ("labels", discs().labels_hw.astype(np.uint8)),
    ):
        (data / kind).mkdir(parents=True)
        Image.fromarray(array).save(data / kind / "one.png")
    main(
        [
            *(str(data), "--output", str(output)),
            *(
                "--image-size",
                "64",
                "--window",
                "64",
                "--minutes",
                "0.01",
                "--device",
                "cpu",
            ),
        ]
    )
    facts = load_model(output, device="cpu").facts
    run = json.loads(facts.metadata["training"])
    assert run["steps"] == 1
    assert [phase["size"] for phase in run["options"]["phases"]] == [64, 64, 64]
    assert facts.metadata["training_data"] == "data"


def test_a_correcting_click_is_on_a_wrong_pixel() -> None:
    target = np.zeros((2, 8, 8), dtype=bool)
    target[:, 2:6, 2:6] = True
    answer = target.copy()
    answer[0, 5, 3] = False
    answer[1, 0, 7] = True
    clicks, labels = correcting_clicks(answer, target, stride=2)
    np.testing.assert_array_equal(clicks, [[7, 11], [15, 1]])
    np.testing.assert_array_equal(labels, [True, False])


def test_where_nothing_is_wrong_the_object_is_clicked() -> None:
    target = np.zeros((1, 4, 4), dtype=bool)
    target[0, 1, 2] = True
    clicks, labels = correcting_clicks(target, target, stride=1)
    np.testing.assert_array_equal(clicks, [[2, 1]])
    assert labels.tolist() == [True]
