from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from colourist import Colourist, ColouristSource
from disc_scene import draw

from napari_sam.errors import EvaluationError
from napari_sam.evaluation.curves import calibration, clicks_to
from napari_sam.evaluation.datasets import read_dataset
from napari_sam.evaluation.plots import view_of
from napari_sam.evaluation.protocol import (
    EvaluatedObject,
    EvaluationOptions,
    PlaneResult,
    PromptScores,
)
from napari_sam.evaluation.report import figures_of, write_report
from napari_sam.evaluation.run import evaluate
from napari_sam.geometry import Box
from napari_sam.prompts import Click, MaskPrompt


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


def test_a_picture_of_an_object_holds_what_its_mask_covers_elsewhere() -> None:
    answer = PromptScores(0.5, 0.5, 0.5, 0.5)

    def view(shown: Box | None) -> Box:
        seen = None
        if shown is not None:
            seen = ((shown.y0, shown.x0, shown.y1, shown.x1), (0, shown.area))
        return view_of(
            EvaluatedObject(
                1,
                900,
                (100, 100, 130, 130),
                ((115, 115, 1),),
                (answer,),
                answer,
                answer,
                seen,
            )
        )

    assert view(None) == Box(85, 85, 145, 145)
    assert view(Box(100, 100, 130, 130)) == view(None)
    assert view(Box(40, 100, 130, 200)) == Box(36, 85, 145, 204)
    # At most five of its sides around it; the border of the image is clipped later.
    assert view(Box(0, 0, 5000, 5000)) == Box(-4, -4, 280, 280)


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


@pytest.mark.slow
def test_several_jobs_find_what_one_does(discs: Path, tmp_path: Path) -> None:
    dataset, source = read_dataset(discs), ColouristSource("stand-in")
    options = EvaluationOptions(clicks=2)
    one = evaluate([dataset], source, tmp_path / "1", options)
    two = evaluate([dataset], source, tmp_path / "2", options, jobs=2)
    assert [result.objects for result in one] == [result.objects for result in two]
    assert [len(result.objects) for result in two] == [3, 1]


@pytest.mark.slow
def test_a_process_that_is_ended_from_outside_is_told(
    discs: Path, tmp_path: Path
) -> None:
    source = ColouristSource("stand-in", dies=True)
    with pytest.raises(EvaluationError, match="fewer jobs"):
        evaluate([read_dataset(discs)], source, tmp_path / "r", jobs=2)


def test_several_jobs_cannot_share_a_loaded_model(discs: Path, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="ModelSource"):
        evaluate([read_dataset(discs)], Colourist(), tmp_path / "r", jobs=2)


def test_planes_without_objects_are_no_report() -> None:
    with pytest.raises(EvaluationError, match="no object"):
        figures_of([])


def test_a_correction_refines_the_mask_before_it(discs: Path, tmp_path: Path) -> None:
    def refining(model: Colourist) -> list[int]:
        return [
            sum(isinstance(prompt, Click) for prompt in asked)
            for asked in model.asked
            if any(isinstance(prompt, MaskPrompt) for prompt in asked)
        ]

    once, corrected = Colourist(needs=2), Colourist(needs=2)
    run(discs, tmp_path / "once", once, clicks=1)
    run(discs, tmp_path / "corrected", corrected, clicks=2)
    assert refining(once) == []
    assert set(refining(corrected)) == {2}


def test_a_plane_whose_labels_changed_is_evaluated_again(
    discs: Path, tmp_path: Path
) -> None:
    run(discs, tmp_path / "r", Colourist(), clicks=1)
    draw(discs, "b", [(60, 60, 25), (140, 140, 25)])
    again = Colourist()
    results = run(discs, tmp_path / "r", again, clicks=1)
    assert [len(result.objects) for result in results] == [3, 2]
    assert again.encodes == 1


def test_a_set_of_the_same_name_elsewhere_is_another_one(
    discs: Path, tmp_path: Path
) -> None:
    run(discs, tmp_path / "r", Colourist(), clicks=1)
    other = tmp_path / "elsewhere" / "discs"
    draw(other, "a", [(120, 120, 30)])
    (result,) = run(other, tmp_path / "r", Colourist(), clicks=1)
    assert [one.box for one in result.objects] == [(90, 90, 151, 151)]


def test_a_damaged_result_is_named(discs: Path, tmp_path: Path) -> None:
    run(discs, tmp_path / "r", Colourist(), clicks=1)
    path = tmp_path / "r" / "planes" / "discs" / "a" / "plane.json"
    whole = path.read_text()
    for damaged in (whole[: len(whole) // 2], whole.replace('"objects"', '"other"')):
        path.write_text(damaged)
        with pytest.raises(EvaluationError, match=r"plane\.json.*Delete it"):
            run(discs, tmp_path / "r", Colourist(), clicks=1)


def test_huge_ids_cost_no_more_than_small_ones(tmp_path: Path) -> None:
    draw(tmp_path / "set", "a", [(100, 100, 25)])
    huge = np.zeros((200, 200), dtype=np.uint32)
    huge[75:126, 75:126] = 4_000_000_000
    (tmp_path / "set" / "labels" / "a.png").unlink()
    np.save(tmp_path / "set" / "labels" / "a.npy", huge)
    (result,) = run(tmp_path / "set", tmp_path / "r", Colourist(), clicks=1)
    assert [one.label for one in result.objects] == [4_000_000_000]
    assert len(result.background_scores) == 4


def test_small_objects_are_left_out_and_a_sample_is_drawn(
    discs: Path, tmp_path: Path
) -> None:
    def areas(name: str, **options: object) -> list[list[int]]:
        results = run(discs, tmp_path / name, Colourist(), clicks=1, **options)
        return [[one.area for one in result.objects] for result in results]

    everything = areas("all")
    assert areas("large", smallest=1000) == [
        [area for area in plane if area >= 1000] for plane in everything
    ]
    sample = areas("sample", objects=2)
    assert [len(plane) for plane in sample] == [2, 1]
    assert sample == areas("again", objects=2)


def test_overall_is_the_mean_of_the_sets(discs: Path, tmp_path: Path) -> None:
    draw(tmp_path / "one", "a", [(100, 100, 9)])
    datasets = [read_dataset(discs), read_dataset(tmp_path / "one")]
    options = EvaluationOptions(clicks=2)
    results = evaluate(datasets, Colourist(needs=2), tmp_path / "r", options)
    figures = figures_of(results)
    discs_of, one_of, mean = figures["discs"], figures["one"], figures["overall"]
    for key in ("iou", "boundary", "change"):
        assert mean["clicks"][key][0] == pytest.approx(
            (discs_of["clicks"][key][0] + one_of["clicks"][key][0]) / 2
        )
    assert discs_of["clicks"]["change"][0] == pytest.approx(
        1 - discs_of["clicks"]["iou"][0]
    )
    # Discs of radius 9 and 12 are the only ones of less than 32 pixels.
    assert mean["sizes"]["under 16 px"]["objects"] == 1
    assert mean["sizes"]["32-64 px"] == discs_of["sizes"]["32-64 px"] | {
        "calibration": mean["sizes"]["32-64 px"]["calibration"]
    }


def test_means_of_images_are_not_ruled_by_a_crowded_one(
    discs: Path, tmp_path: Path
) -> None:
    results = run(discs, tmp_path / "r", Colourist(needs=2), clicks=1)
    first, second = (
        [one.clicks[0].iou for one in result.objects] for result in results
    )
    figures = figures_of(results)["discs"]
    assert figures["one_click_mean_of_images"] == pytest.approx(
        (np.mean(first) + np.mean(second)) / 2
    )
    assert figures["clicks"]["iou"][0] == pytest.approx(np.mean(first + second))
