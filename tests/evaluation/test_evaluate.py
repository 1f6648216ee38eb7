from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.errors import EvaluationError
from napari_sam.evaluation.curves import calibration, clicks_to
from napari_sam.evaluation.datasets import read_dataset
from napari_sam.evaluation.protocol import EvaluationOptions, PlaneResult
from napari_sam.evaluation.report import figures_of, write_report
from napari_sam.evaluation.run import ModelSource, evaluate
from napari_sam.geometry import Box
from napari_sam.model.window_model import WindowMask
from napari_sam.prompts import BoxPrompt, Click, MaskPrompt, Prompt


@dataclass
class Colourist:
    """Shows what has the gray that is pointed at, but only from some click on."""

    needs: int = 1
    window_size: int = 512
    fingerprint: str = "colourist"
    encodes: int = 0
    asked: list[Sequence[Prompt]] = field(default_factory=list)

    def encode(self, pixels_hwc: np.ndarray) -> np.ndarray:
        self.encodes += 1
        return pixels_hwc[..., 0]

    def predict(
        self, gray_hw: np.ndarray, prompts: Sequence[Prompt]
    ) -> list[WindowMask]:
        self.asked.append(prompts)
        clicks = [p for p in prompts if isinstance(p, Click)]
        boxes = [p.box for p in prompts if isinstance(p, BoxPrompt)]
        if boxes:
            box = boxes[0].clip(Box.of_shape(gray_hw.shape))
            inside = gray_hw[box.slices]
            gray = int(np.bincount(inside[inside > 0]).argmax())
            clicked = gray_hw == gray
        else:
            (row, column) = next(c.pixel for c in clicks if c.positive)
            islands, _ = ndimage.label(gray_hw == gray_hw[row, column])
            clicked = islands == islands[row, column]
            if gray_hw[row, column] == 0:
                clicked = np.zeros_like(clicked)
        whole = bool(boxes) or len(clicks) >= self.needs
        if not whole:
            # Down to the lowest click.
            clicked = clicked.copy()
            clicked[max(c.pixel[0] for c in clicks) + 1 :] = False
        return [WindowMask(clicked, 0.9 if whole else 0.5, None)]


def run(
    folder: Path, output: Path, model: object, **options: object
) -> list[PlaneResult]:
    return evaluate(
        [read_dataset(folder)],
        model,  # type: ignore[arg-type]
        output,
        EvaluationOptions(**options),  # type: ignore[arg-type]
    )


def test_a_perfect_model_is_perfect_at_once(discs: Path, tmp_path: Path) -> None:
    figures = figures_of(run(discs, tmp_path / "r", Colourist(), clicks=3))["discs"]
    assert figures["objects"] == 4
    assert figures["images"] == 2
    assert figures["clicks"]["iou"] == [1.0, 1.0, 1.0]
    assert figures["clicks"]["boundary"][0] == 1.0
    assert figures["tight_box"]["iou"] == 1.0
    assert figures["clicks_to"]["0.90"] == {"mean_clicks": 1.0, "reached": 1.0}
    assert figures["calibration"]["mean_error"] == pytest.approx(0.1)
    assert figures["background_below_half"] == 1.0


def test_a_model_that_needs_three_clicks_gets_them(discs: Path, tmp_path: Path) -> None:
    results = run(discs, tmp_path / "r", Colourist(needs=3), clicks=5)
    figures = figures_of(results)["discs"]
    first, second, *rest = figures["clicks"]["iou"]
    assert first == pytest.approx(0.5, abs=0.03)
    assert 0.6 < second < 1.0
    assert rest == [1.0, 1.0, 1.0]
    assert figures["clicks_to"]["0.85"]["mean_clicks"] == 3.0
    one = results[0].objects[0]
    assert [label for _, _, label in one.points] == [1, 1, 1]
    assert one.points[0] == (40, 40, 1)
    assert one.points[1][0] > 45  # in the half that was missing


def test_an_interrupted_run_goes_on_with_what_is_left(
    discs: Path, tmp_path: Path
) -> None:
    dataset, output = read_dataset(discs), tmp_path / "r"
    model = Colourist()

    def stop(result: PlaneResult) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate([dataset], model, output, on_plane=stop)  # type: ignore[arg-type]
    seen: list[str] = []
    again = Colourist()
    results = evaluate(
        [dataset],
        again,  # type: ignore[arg-type]
        output,
        on_plane=lambda result: seen.append(result.name),
    )
    assert seen == ["a", "b"]
    assert (model.encodes, again.encodes) == (1, 1)
    fresh = run(discs, tmp_path / "fresh", Colourist())
    assert [r.objects for r in results] == [r.objects for r in fresh]


def test_a_folder_of_other_settings_is_refused(discs: Path, tmp_path: Path) -> None:
    run(discs, tmp_path / "r", Colourist(), clicks=1)
    with pytest.raises(EvaluationError, match="clicks"):
        run(discs, tmp_path / "r", Colourist(), clicks=2)
    with pytest.raises(EvaluationError, match="model"):
        run(discs, tmp_path / "r", Colourist(fingerprint="other"), clicks=1)


def test_random_points_depend_on_the_seed_alone(discs: Path, tmp_path: Path) -> None:
    def points(output: str, seed: int) -> list[object]:
        results = run(
            discs,
            tmp_path / output,
            Colourist(),
            clicks=1,
            random_point=True,
            seed=seed,
        )
        return [one.points for result in results for one in result.objects]

    assert points("a", 1) == points("b", 1)
    assert points("c", 2) != points("d", 1)


def test_a_report_holds_every_object(discs: Path, tmp_path: Path) -> None:
    output = tmp_path / "r"
    results = run(discs, output, Colourist(needs=2), clicks=3)
    report = write_report(output, [read_dataset(discs)], results, {"model": "x"})
    assert (
        json.loads((output / "report.json").read_text())["sets"]["overall"]["objects"]
        == 4
    )
    rows = list(csv.DictReader((output / "objects.csv").read_text().splitlines()))
    assert len(rows) == 4
    assert {row["click_3_iou"] for row in rows} == {"1.0"}
    text = (output / "report.md").read_text()
    assert "| discs | 2 | 4 |" in text
    for name in ("iou_by_clicks", "iou_by_size", "calibration", "objects"):
        assert (output / f"{name}.png").stat().st_size > 2000
    assert report["sets"]["discs"]["sizes"].keys() == {"16-32 px", "32-64 px"}


def test_clicks_that_are_not_enough_count_as_one_more() -> None:
    iou = np.array([[0.5, 0.9], [0.5, 0.6]])
    assert clicks_to(iou, 0.85) == {"mean_clicks": 2.5, "reached": 0.5}


def test_calibration_by_hand() -> None:
    facts = calibration(np.array([0.95, 0.91, 0.2]), np.array([0.85, 0.81, 0.4]))
    assert facts["mean_error"] == pytest.approx(0.4 / 3)
    assert facts["mean_excess"] == pytest.approx(0.0)
    assert [(round(e, 2), round(r, 2), n) for e, r, n in facts["bins"]] == [
        (0.2, 0.4, 1),
        (0.93, 0.83, 2),
    ]


def test_several_jobs_find_what_one_does(discs: Path, tmp_path: Path) -> None:
    dataset, source = read_dataset(discs), ModelSource("default", "cpu")
    options = EvaluationOptions(clicks=2, objects=1)
    one = evaluate([dataset], source, tmp_path / "1", options)
    two = evaluate([dataset], source, tmp_path / "2", options, jobs=2)
    assert [result.objects for result in one] == [result.objects for result in two]


def test_planes_without_objects_are_no_report() -> None:
    with pytest.raises(EvaluationError, match="no object"):
        figures_of([])


def test_a_mask_prompt_goes_along_with_a_correction(
    discs: Path, tmp_path: Path
) -> None:
    model = Colourist(needs=2)
    run(discs, tmp_path / "r", model, clicks=2)
    assert not any(isinstance(p, MaskPrompt) for asked in model.asked for p in asked)
