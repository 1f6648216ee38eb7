"""Short runs of training on made-up discs, in a window of 64 pixels."""

import itertools
import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_scene import CONFIG, SMALL, trainer, weights

from napari_sam.errors import CheckpointError, TrainingError
from napari_sam.training import loop
from napari_sam.training.config import Optimisation, Phase, Prompting
from napari_sam.training.log import TrainingLog
from napari_sam.training.loop import Report, Trainer

pytestmark = pytest.mark.usefixtures("small_network")

ALWAYS = Prompting(correction_share=1.0, corrections=3)
NO_MASKS = Prompting(mask_share=0.0, correction_share=0.0)


def stopped_after(steps: int, run: Trainer, checkpoint: Path) -> None:
    """Interrupt a run that saves after every step."""

    def stop(report: Report) -> None:
        if report.step == steps + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(checkpoint, on_step=stop)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY", 1)
    two_phases = (replace(SMALL, share=0.5), Phase(0.5, 48, 1, 3, (8, 16)))
    changes = {"steps": 4, "phase": two_phases, "prompting": ALWAYS}
    whole, first, second = (trainer(**changes) for _ in range(3))
    whole.run(tmp_path / "whole.pt")
    stopped_after(2, first, tmp_path / "parts.pt")
    assert not torch.equal(weights(first), weights(whole))
    second.run(tmp_path / "parts.pt")
    assert (second.step, whole.step) == (4, 4)
    assert torch.equal(weights(second), weights(whole))
    assert sorted(x.name for x in tmp_path.iterdir()) == ["parts.pt", "whole.pt"]


def test_another_seed_is_another_run(tmp_path: Path) -> None:
    one, other = trainer(steps=1), trainer(steps=1, seed=2)
    assert not torch.equal(weights(one), weights(other))


def test_a_finished_run_is_not_trained_further(tmp_path: Path) -> None:
    first, second = trainer(), trainer()
    first.run(tmp_path / "run.pt")
    steps: list[Report] = []
    second.run(tmp_path / "run.pt", on_step=steps.append)
    assert (second.step, steps) == (2, [])
    assert torch.equal(weights(second), weights(first))


def test_a_longer_run_goes_on_where_the_shorter_one_ended(tmp_path: Path) -> None:
    trainer(steps=1).run(tmp_path / "run.pt")
    steps: list[Report] = []
    trainer(steps=3).run(tmp_path / "run.pt", on_step=steps.append)
    assert [report.step for report in steps] == [2, 3]


def test_a_checkpoint_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    trainer(steps=1).run(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"run.pt is cut off.*Delete it"):
        trainer().run(path)


def test_a_foreign_file_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save({"step": 3}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of `napari-sam train`"):
        trainer().run(tmp_path / "run.pt")


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    trainer(steps=1).run(tmp_path / "run.pt")
    other = trainer(optimisation=Optimisation(learning_rate=1e-5))
    with pytest.raises(TrainingError, match="has another optimisation"):
        other.run(tmp_path / "run.pt")


def test_a_run_of_minutes_ends_when_they_are_used_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    reports: list[Report] = []
    run = trainer(steps=None, minutes=3 / 60)
    run.run(tmp_path / "run.pt", on_step=reports.append)
    assert [report.progress for report in reports] == pytest.approx([1 / 3, 2 / 3, 1])
    assert reports[-1].marks


@pytest.mark.parametrize("box_share", [0.0, 1.0])
def test_corrections_teach_the_mask_prompt(tmp_path: Path, box_share: float) -> None:
    run = trainer(
        steps=1,
        prompting=replace(ALWAYS, box_share=box_share, point_box_share=0, mask_share=0),
    )
    layer = run.task.sam.prompt_encoder.mask_downscaling[0]
    before = layer.weight.detach().clone()
    run.run(tmp_path / "run.pt")
    assert not torch.equal(layer.weight, before)
    assert weights(run).isfinite().all()


def test_without_corrections_the_mask_prompt_stays(tmp_path: Path) -> None:
    never = Optimisation(weight_decay=0.0)
    run = trainer(steps=1, prompting=NO_MASKS, optimisation=never)
    layer = run.task.sam.prompt_encoder.mask_downscaling[0]
    before = layer.weight.detach().clone()
    run.run(tmp_path / "run.pt")
    assert torch.equal(layer.weight, before)


def test_the_result_lags_behind_as_an_average_does(tmp_path: Path) -> None:
    run = trainer(steps=2)
    seen: list[torch.Tensor] = []

    def see(_: Report) -> None:
        seen.append(run.task.sam.mask_decoder.iou_token.weight.detach().clone())

    averaged = run.run(tmp_path / "run.pt", on_step=see)
    expected = torch.lerp(seen[0], seen[1], 1 - 2 / 11)
    assert torch.equal(averaged.mask_decoder.iou_token.weight, expected)
    assert not averaged.training


def test_the_rate_rises_and_falls() -> None:
    run = trainer(steps=1000)
    rates = []
    for step in range(1000):
        run.step = step
        rates.append(run._rate())
    assert rates[0] == pytest.approx(1 / 50)
    assert max(rates) == pytest.approx(1, abs=0.01)
    assert 40 <= rates.index(max(rates)) <= 60
    assert rates[-1] < 1e-4


def test_a_loss_that_is_no_number_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer()
    with torch.no_grad():
        run.task.sam.mask_decoder.iou_token.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="got nan in step 0"):
        run.run(tmp_path / "run.pt")
    assert not (tmp_path / "run.pt").exists()


def test_no_thread_outlives_a_run(tmp_path: Path) -> None:
    trainer(steps=1).run(tmp_path / "run.pt")
    assert not [t for t in threading.enumerate() if t.name.startswith("crops")]


def test_an_error_while_drawing_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer()

    def fail(*_: object) -> None:
        raise MemoryError("no crop today")

    monkeypatch.setattr(run.task, "draw", fail)
    with pytest.raises(MemoryError, match="no crop today"):
        run.run(tmp_path / "run.pt")


def test_crops_larger_than_the_window_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"at most the 64 pixels .* with 128"):
        trainer(phase=(replace(SMALL, size=128),))


def test_the_log_has_losses_and_marks(tmp_path: Path) -> None:
    trainer(CONFIG).run(tmp_path / "run.pt", TrainingLog(tmp_path / "log.jsonl"))
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert told["step"] == 2
    names = {"minutes", "loss", "maps", "click_iou", "box_iou", "score_error"}
    assert names <= told.keys()
    assert 0 <= told["click_iou"] <= 1


def test_the_log_of_steps_that_are_made_again_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 20}\n{"step": 40}\n{"ste')
    TrainingLog(path).cut_after(20)
    assert path.read_text() == '{"step": 20}\n'
    TrainingLog(path).cut_after(0)
    assert path.read_text() == ""
