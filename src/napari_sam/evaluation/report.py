"""Figures as files: report.json, objects.csv, report.md, and plots beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_sam.atomic_files import write_atomically
from napari_sam.errors import EvaluationError
from napari_sam.evaluation.curves import IOU_TARGETS, Figures, overall, summarise
from napari_sam.evaluation.datasets import Dataset
from napari_sam.evaluation.plots import draw_plots
from napari_sam.evaluation.protocol import EvaluatedObject, PlaneResult

OVERALL = "overall"

MEANS = (
    "Mean IoU of the best-scored mask, over objects; overall is the mean of the sets. "
    "Best of 3: of the masks that were offered, the one that fits best. Boundary: "
    "F-score of the outline at 2 pixels. Mean of images: each image is as heavy as "
    "the next."
)
NEEDED = "An object that never gets there counts as one click more than were tried."
SIZES = "Square root of the object's area."
SCORES = (
    "Error: mean distance of the predicted IoU from the real one. Excess: how much it "
    "promises too much, on average. Background: clicks far from every object, and the "
    "share of them that is answered with a predicted IoU below 0.5, or not at all."
)


def write_report(
    output: Path,
    datasets: Sequence[Dataset],
    results: Sequence[PlaneResult],
    about: Mapping[str, Any],
) -> Figures:
    """Write every file of a report.

    Parameters
    ----------
    output
        A folder that is there.
    datasets
        What was evaluated, for the pictures.
    results
        Of all planes.
    about
        What else belongs into the report: model, options, versions.

    Returns
    -------
    dict
        What report.json holds: figures by data set, and overall.
    """
    figures = figures_of(results)
    report = {"about": dict(about), "sets": figures}
    write_atomically(output / "report.json", json.dumps(report, indent=1).encode())
    write_atomically(output / "objects.csv", objects_csv(results).encode())
    names = draw_plots(output, datasets, results, figures)
    write_atomically(output / "report.md", markdown(report, names).encode())
    return report


def figures_of(results: Sequence[PlaneResult]) -> dict[str, Figures]:
    """Figures by data set, in the order of their first plane, and overall."""
    by_set: dict[str, list[PlaneResult]] = {}
    for result in results:
        by_set.setdefault(result.dataset, []).append(result)
    figures = {
        name: summarise(planes)
        for name, planes in by_set.items()
        if any(plane.objects for plane in planes)
    }
    if not figures:
        raise EvaluationError(
            f"The {len(results)} planes hold no object that is large enough to "
            "count. Are these labels of objects?"
        )
    return {**figures, OVERALL: overall(list(figures.values()))}


def objects_csv(results: Iterable[PlaneResult]) -> str:
    """One object a row."""
    rows = [_row(plane, one) for plane in results for one in plane.objects]
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown(report: Mapping[str, Any], plots: Sequence[str]) -> str:
    """Tables that a person reads."""
    sets: Mapping[str, Figures] = report["sets"]
    about = [f"- {name}: {value}" for name, value in report["about"].items()]
    parts = ["# Evaluation", "\n".join(about), MEANS, _summary(sets)]
    parts += ["## IoU after each click", _click_table(sets, "iou")]
    parts += ["## Mean change of the IoU by each click", _click_table(sets, "change")]
    parts += ["## Clicks needed", NEEDED, _needed_table(sets)]
    parts += ["## Size of the object", SIZES, _size_table(sets)]
    parts += ["## The model's own prediction", SCORES, _score_table(sets)]
    parts += ["## Time", _time_table(sets)]
    parts += [f"![{name}]({name})" for name in plots]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown; fractions get three digits."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_shown(cell) for cell in row)} |" for row in lines)


def _shown(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _summary(sets: Mapping[str, Figures]) -> str:
    header = ["set", "images", "objects", "1 click", "best of 3", "last click"]
    header += ["tight box", "loose box", "boundary, 1 click"]
    header += ["mean of images, 1 click"]
    return table(
        header,
        (
            [
                name,
                of["images"],
                of["objects"],
                of["clicks"]["iou"][0],
                of["clicks"]["best_of_three"][0],
                of["clicks"]["iou"][-1],
                of["tight_box"]["iou"],
                of["loose_box"]["iou"],
                of["clicks"]["boundary"][0],
                of["one_click_mean_of_images"],
            ]
            for name, of in sets.items()
        ),
    )


def _click_table(sets: Mapping[str, Figures], figure: str) -> str:
    last = max(len(of["clicks"]["iou"]) for of in sets.values())
    count = max(len(of["clicks"][figure]) for of in sets.values())
    # Changes begin with the second click.
    numbers = range(last - count + 1, last + 1)
    rows = ([name, *of["clicks"][figure]] for name, of in sets.items())
    return table(["set", *(str(number) for number in numbers)], rows)


def _needed_table(sets: Mapping[str, Figures]) -> str:
    header = ["set"]
    for target in IOU_TARGETS:
        header += [f"clicks to {target:.2f}", "objects that reach it"]
    rows = []
    for name, of in sets.items():
        row = [name]
        for entry in of["clicks_to"].values():
            row += [entry["mean_clicks"], entry["reached"]]
        rows.append(row)
    return table(header, rows)


def _size_table(sets: Mapping[str, Figures]) -> str:
    header = ["set", "size", "objects", "1 click", "best of 3", "last click"]
    return table(
        [*header, "tight box"],
        (
            [
                name,
                band,
                inside["objects"],
                inside["clicks"]["iou"][0],
                inside["clicks"]["best_of_three"][0],
                inside["clicks"]["iou"][-1],
                inside["tight_box"]["iou"],
            ]
            for name, of in sets.items()
            for band, inside in of["sizes"].items()
        ),
    )


def _score_table(sets: Mapping[str, Figures]) -> str:
    header = ["set", "error, 1 click", "excess, 1 click", "error, last click"]
    header += ["error, tight box", "background clicks", "below 0.5"]
    return table(
        header,
        (
            [
                name,
                of["calibration"]["mean_error"],
                of["calibration"]["mean_excess"],
                of["clicks"]["score_error"][-1],
                of["tight_box"]["score_error"],
                of["background_clicks"],
                of["background_below_half"],
            ]
            for name, of in sets.items()
        ),
    )


def _time_table(sets: Mapping[str, Figures]) -> str:
    header = ["set", "encodes", "ms each", "decodes", "ms each"]
    return table(
        header,
        (
            [
                name,
                of["timings"]["encodes"],
                1000 * of["timings"]["encode_s"],
                of["timings"]["decodes"],
                1000 * of["timings"]["decode_s"],
            ]
            for name, of in sets.items()
            if "timings" in of
        ),
    )


def _row(plane: PlaneResult, one: EvaluatedObject) -> dict[str, object]:
    y0, x0, y1, x1 = one.box
    row: dict[str, object] = {
        "dataset": plane.dataset,
        "image": plane.name,
        "plane": " ".join(str(index) for index in plane.plane),
        "label": one.label,
        "area": one.area,
        **{"y0": y0, "x0": x0, "y1": y1, "x1": x1},
    }
    named = [(f"click_{n + 1}", answers) for n, answers in enumerate(one.clicks)]
    named += [("tight_box", one.tight_box), ("loose_box", one.loose_box)]
    for name, answers in named:
        row[f"{name}_iou"] = round(answers.iou, 4)
        row[f"{name}_best"] = round(answers.best, 4)
        row[f"{name}_score"] = round(answers.score, 4)
        row[f"{name}_boundary"] = round(answers.boundary, 4)
    row["points"] = " ".join(f"{y},{x},{label}" for y, x, label in one.points)
    return row
