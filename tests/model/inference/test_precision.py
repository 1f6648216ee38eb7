"""Which numbers a device computes with, and what is said where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.cli import segment_automatic
from napari_sam.cli.request import ModelChoice, Precision
from napari_sam.cli.segment_prompts import load_window_model
from napari_sam.errors import CheckpointError
from napari_sam.model.checkpoints import load_model
from napari_sam.model.inference import precision
from napari_sam.model.inference.precision import (
    AUTO,
    TYPES,
    choose_precision,
    precision_in,
    precision_name,
)
from napari_sam.model.sam import Sam

CPU, CUDA, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


def with_trials(monkeypatch: pytest.MonkeyPatch, exact_s: float, low_s: float) -> None:
    times = {torch.float32: exact_s, torch.bfloat16: low_s}
    monkeypatch.setattr(precision, "trial_seconds", times.__getitem__)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [(CPU, torch.float32), (CUDA, torch.float16), (MPS, torch.float32)],
)
def test_each_device_has_its_rule(device: torch.device, dtype: torch.dtype) -> None:
    assert choose_precision(AUTO, device) == dtype


def test_bfloat16_is_taken_on_a_processor_that_is_faster_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_trials(monkeypatch, exact_s=0.002, low_s=0.001)
    assert choose_precision("bfloat16", CPU) == torch.bfloat16


def test_bfloat16_is_refused_where_it_would_be_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_trials(monkeypatch, exact_s=0.002, low_s=0.004)
    with pytest.raises(CheckpointError, match=r"4\.0 ms instead of 2\.0 ms"):
        choose_precision("bfloat16", CPU)


@pytest.mark.parametrize(
    ("name", "device", "message"),
    [
        ("float16", CPU, "float32 or bfloat16, got 'float16'"),
        ("float16", MPS, "On mps, numbers are float32, got 'float16'"),
        ("half", CPU, "got 'half'"),
        ("", CUDA, "A precision is auto, float32, bfloat16, float16, got ''"),
    ],
)
def test_what_a_device_does_not_have_is_refused(
    name: str, device: torch.device, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        choose_precision(name, device)


def test_a_trial_takes_the_least_time() -> None:
    ticks = iter([0, 9, 10, 13, 20, 22, 30, 37, 40, 48])
    assert precision.trial_seconds(torch.float32, lambda: next(ticks)) == 2


def test_the_command_line_offers_what_there_is() -> None:
    assert {choice.value for choice in Precision} == {AUTO, *TYPES}


def test_every_type_has_the_name_that_it_is_chosen_by() -> None:
    assert {precision_name(dtype) for dtype in TYPES.values()} == set(TYPES)


def test_lowered_precision_is_another_model_to_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_trials(monkeypatch, exact_s=2, low_s=1)
    exact = load_model("default", "cpu")
    lowered = load_model("default", "cpu", precision="bfloat16")
    assert exact.fingerprint == exact.metadata.fingerprint
    assert lowered.fingerprint == f"{exact.fingerprint}-bfloat16"
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    first, second = (
        model.encode(pixels).features_chw.astype(np.float32)
        for model in (exact, lowered)
    )
    difference = np.abs(first - second).max() / np.abs(first).max()
    assert 1e-4 < difference < 5e-2


def test_float32_chosen_is_what_a_processor_does_anyway() -> None:
    chosen = load_model("default", "cpu", precision="float32")
    assert chosen.fingerprint == load_model("default", "cpu").fingerprint


def test_a_precision_is_refused_before_weights_are_read() -> None:
    with pytest.raises(CheckpointError, match="float16"):
        load_model("nothing.safetensors", "cpu", precision="float16")


def test_the_command_line_passes_the_precision_on() -> None:
    choice = ModelChoice(device="cpu", precision=Precision.FLOAT16)
    with pytest.raises(CheckpointError, match="float16"):
        load_window_model(choice)
    exact = ModelChoice(device="cpu", precision=Precision.FLOAT32)
    assert load_window_model(exact).precision == torch.float32


def test_workers_are_sent_a_model_whose_precision_was_chosen() -> None:
    chosen = ModelChoice(device="cpu", precision=Precision.FLOAT32)
    assert segment_automatic._model(ModelChoice(), to_workers=True) == "default"
    assert isinstance(segment_automatic._model(chosen, to_workers=True), Sam)


def test_the_fingerprint_names_the_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_trials(monkeypatch, exact_s=2, low_s=1)
    for name in ("float32", "bfloat16"):
        model = load_model("default", "cpu", precision=name)
        assert precision_in(model.fingerprint) == name
