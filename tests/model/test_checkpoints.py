"""Files of weights: the good are read, the rest is refused in one clear line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import xxhash
from checkpoint_scene import KEY, Toy, assert_toy, saved, toy_state
from safetensors.torch import save_file

from napari_sam.errors import CheckpointError, DownloadError
from napari_sam.model import checkpoints, registry
from napari_sam.model.checkpoints import (
    load_model,
    read_checkpoint,
)
from napari_sam.model.devices import choose_device
from napari_sam.model.metadata import PIXEL_MEAN, PIXEL_STD, ModelMetadata
from napari_sam.model.sam_registry import sam_model_registry

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"


@pytest.fixture
def toy_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "build_sam", Toy)


@pytest.mark.parametrize(
    "content",
    [
        toy_state(),
        {"model": toy_state(), "epoch": 3},
        {"state_dict": toy_state("module."), "optimizer": {"lr": 0.1}},
        {"model_state": toy_state("sam."), "decoder_state": {"x": torch.ones(1)}},
        {"model": {"state_dict": toy_state("module.sam.")}},
    ],
    ids=["plain", "model", "data parallel", "torch-em", "nested"],
)
def test_weights_are_found_in_what_training_programs_write(
    content: Any, tmp_path: Path
) -> None:
    assert_toy(saved(tmp_path, content))


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    assert_toy(saved(tmp_path, toy_state(), "a.safetensors"))
    save_file(toy_state(), tmp_path / "b.pth")
    assert_toy(tmp_path / "b.pth")


def test_float16_becomes_float32_and_integers_stay(tmp_path: Path) -> None:
    content = {KEY: torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}
    save_file(content, tmp_path / "half.safetensors")
    for path in (saved(tmp_path, content), tmp_path / "half.safetensors"):
        state = read_checkpoint(path).state
        assert state[KEY].dtype == torch.float32
        assert state["n"].dtype == torch.int64


def test_the_fingerprint_is_the_hash_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, toy_state())
    metadata = read_checkpoint(path).metadata
    assert metadata.fingerprint == xxhash.xxh3_128(path.read_bytes()).hexdigest()
    other = saved(tmp_path, {KEY: torch.zeros(2, 3)}, "other.pt")
    assert read_checkpoint(other).metadata.fingerprint != metadata.fingerprint


def test_a_file_without_metadata_gets_those_of_the_published_models(
    tmp_path: Path,
) -> None:
    metadata = read_checkpoint(saved(tmp_path, toy_state())).metadata
    assert metadata == ModelMetadata("weights", metadata.fingerprint)
    assert (metadata.pixel_mean, metadata.pixel_std) == (PIXEL_MEAN, PIXEL_STD)


def test_the_metadata_in_safetensors_is_taken_over(tmp_path: Path) -> None:
    fields = {
        "name": "cells",
        "image_size": "512",
        "pixel_mean": "[10, 20, 30.5]",
        "pixel_std": "[1, 2, 3]",
        "mask_threshold": "0.5",
        "training_data": "synthetic",
    }
    save_file(toy_state(), tmp_path / "x.safetensors", metadata=fields)
    metadata = read_checkpoint(tmp_path / "x.safetensors").metadata
    assert (metadata.name, metadata.image_size) == ("cells", 512)
    assert metadata.mask_threshold == 0.5
    assert (metadata.pixel_mean, metadata.pixel_std) == ((10, 20, 30.5), (1, 2, 3))
    assert metadata.file_metadata == fields


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_size", "big"),
        ("image_size", "-5"),
        ("image_size", "0.5"),
        ("image_size", "nan"),
        ("image_size", "inf"),
        ("mask_threshold", "nan"),
        ("pixel_mean", "[1, 2]"),
        ("pixel_mean", "7"),
        ("pixel_mean", "[1, 2, NaN]"),
        ("pixel_std", "one, two, three"),
        ("pixel_std", "[1, 2, 0]"),
    ],
)
def test_metadata_that_makes_no_sense_is_named(
    key: str, value: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    save_file(toy_state(), path, metadata={key: value})
    with pytest.raises(CheckpointError, match=f"says {key}="):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.ones(2)], "holds list"),
        (torch.ones(2), "holds Tensor"),
        ({}, "holds nothing"),
        ({"epoch": 3, KEY: torch.ones(2)}, "holds int under 'epoch'"),
        ({KEY: torch.eye(3).to_sparse()}, "sparse"),
        ({KEY: torch.ones(2, device="meta")}, "sparse, quantised or empty"),
        ({KEY: torch.ones(1).expand(10**15)}, "claims the shape"),
    ],
    ids=["list", "tensor", "nothing", "number", "sparse", "meta", "expanded"],
)
def test_contents_that_are_no_state_dict_are_named(
    content: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(saved(tmp_path, content))


def test_a_name_that_is_neither_model_nor_file_lists_the_models() -> None:
    with pytest.raises(CheckpointError, match=r"Did you mean 'vit_b'\?") as caught:
        load_model("vit-b")
    assert "vit_h" in str(caught.value)


def test_a_path_that_is_not_there_or_no_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no file of weights"):
        load_model(tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(CheckpointError, match="No such file"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.usefixtures("toy_network")
def test_a_path_is_loaded_ready_to_use(tmp_path: Path) -> None:
    model = load_model(str(saved(tmp_path, toy_state())), "cpu")
    assert not model.training
    assert model.metadata.name == "weights"


@pytest.mark.usefixtures("toy_network")
def test_a_name_is_loaded_from_the_cache_and_calls_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.CACHE_VARIABLE, str(tmp_path))
    row = registry.get_row("vit_b_lm")
    path = registry.weights_path(row)
    path.parent.mkdir(parents=True)
    saved(path.parent, toy_state(), path.name)
    with pytest.raises(DownloadError, match="is not the published file of 'vit_b_lm'"):
        load_model("vit_b_lm", "cpu")
    fingerprint = xxhash.xxh3_128(path.read_bytes()).hexdigest()
    checksums = (registry.Checksum("xxh128", fingerprint),)
    mine = replace(row, name="mine", checksums=checksums)
    monkeypatch.setattr(registry, "REGISTRY", (mine,))
    metadata = load_model("mine", "cpu").metadata
    assert (metadata.name, metadata.fingerprint) == ("mine", fingerprint)


@pytest.mark.usefixtures("toy_network")
def test_scripts_for_segment_anything_find_their_registry(tmp_path: Path) -> None:
    path = saved(tmp_path, toy_state())
    model = sam_model_registry["vit_b"](checkpoint=str(path))
    assert model.metadata.name == "weights"
    assert set(sam_model_registry) == {"default", "vit_h", "vit_l", "vit_b", "vit_t"}


def test_auto_takes_the_best_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    for cuda, mps in ((True, True), (False, True), (False, False)):
        monkeypatch.setattr(torch.cuda, "is_available", lambda c=cuda: c)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda m=mps: m)
        chosen.append(choose_device("auto").type)
    assert chosen == ["cuda", "mps", "cpu"]


@pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused_before_anything_is_read(
    device: str,
) -> None:
    with pytest.raises(CheckpointError, match="A model needs a device of this machine"):
        load_model("no such file", device)


@pytest.mark.parametrize("name", ["mini", "vit_t"])
def test_the_golden_weights_load_strictly(name: str) -> None:
    if not (GOLDEN / f"{name}.pth").is_file():
        pytest.skip(f"no reference weights at {GOLDEN}")
    model = load_model(GOLDEN / f"{name}.pth", "cpu")
    assert model.metadata.name == name
    assert model.window_size == 1024
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize("change", ["missing", "unknown", "of the wrong shape"])
def test_keys_that_do_not_fit_are_named(change: str, tmp_path: Path) -> None:
    if not (GOLDEN / "mini.pth").is_file():
        pytest.skip(f"no reference weights at {GOLDEN}")
    state = dict(read_checkpoint(GOLDEN / "mini.pth").state)
    key = "mask_decoder.iou_prediction_head.layers.2.bias"
    if change == "missing":
        del state[key]
    elif change == "unknown":
        key = "mask_decoder.extra.bias"
        state[key] = torch.ones(1)
    else:
        state[key] = torch.ones(17)
    with pytest.raises(CheckpointError, match=f"1 {change}: {key}"):
        load_model(saved(tmp_path, state), "cpu")
