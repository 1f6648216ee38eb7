"""How good the embedded default is on images that it never saw.

    python benchmarks/default_model.py ../shared/data --output reports/default

Evaluates the sets that the model card lists, through `napari_sam.evaluation` as
`napari-sam evaluate` does. Of sets that are trained on too, only the last images by
name count, which `training/default.toml` leaves out. A run that was stopped goes on.

With --record FILE.safetensors the figures are written into that file's metadata, from
which the model card takes them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

from napari_sam.evaluation.datasets import Dataset, read_dataset
from napari_sam.evaluation.protocol import EvaluationOptions
from napari_sam.evaluation.report import write_report
from napari_sam.evaluation.run import ModelSource, evaluate
from napari_sam.training.export import write_metadata

LEFT_OUT = {
    "dsb2018_fluo": None,
    "dsb2018_stained": None,
    "dsb2018_cytology_bf": 3,
    "phasecontrast_usiigaci": 3,
    "em_axons_sem": 1,
    "em_axons_tem": 3,
}
"""Images of each set that count, the last ones by name; None: all."""


def unseen(root: Path, names: list[str]) -> list[Dataset]:
    """The planes that the embedded default was not trained on."""
    datasets = []
    for name in names:
        dataset, count = read_dataset(root / name), LEFT_OUT[name]
        planes = dataset.planes if count is None else dataset.planes[-count:]
        datasets.append(replace(dataset, planes=planes))
    return datasets


def record(file: Path, figures: dict[str, dict[str, object]]) -> None:
    """Add figures to those in the metadata of a safetensors file."""
    with safe_open(file, "pt") as opened:
        before = json.loads((opened.metadata() or {}).get("evaluation", "{}"))
    write_metadata(file, {"evaluation": json.dumps({**before, **figures})})


def measured(of: dict[str, Any]) -> dict[str, object]:
    """What the metadata says of a set, from its part of the report."""
    return {
        "images": of["images"],
        "objects": of["objects"],
        "clicks": [round(iou, 4) for iou in of["clicks"]["iou"]],
        "best_of_three": round(of["clicks"]["best_of_three"][0], 4),
        "tight_box": round(of["tight_box"]["iou"], 4),
        "one_click_mean_of_images": round(of["one_click_mean_of_images"], 4),
    }


def main() -> None:
    """Parse the command line, evaluate, print, record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of the sets")
    parser.add_argument("--output", type=Path, required=True, help="report's folder")
    parser.add_argument("--sets", nargs="+", choices=LEFT_OUT, default=[*LEFT_OUT])
    parser.add_argument("--model", default="default")
    parser.add_argument("--clicks", type=int, default=5)
    parser.add_argument("--objects", type=int, help="of each image, at most")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--record", type=Path, help="weights to write figures into")
    args = parser.parse_args()
    options = EvaluationOptions(args.clicks, objects=args.objects)
    datasets = unseen(args.root, args.sets)
    args.output.mkdir(parents=True, exist_ok=True)
    results = evaluate(
        datasets,
        ModelSource(args.model),
        args.output,
        options,
        jobs=args.jobs,
        on_plane=lambda result: print(result.dataset, result.name, flush=True),
    )
    report = write_report(
        args.output, datasets, results, {"model": args.model, **asdict(options)}
    )
    print((args.output / "report.md").read_text())
    if args.record is not None:
        sets = {name: of for name, of in report["sets"].items() if name != "overall"}
        record(args.record, {name: measured(of) for name, of in sets.items()})


if __name__ == "__main__":
    main()
