"""How good is one click? Mean IoU of the best-scored mask, on annotated images.

    python benchmarks/click_iou.py ../shared/data/dsb2018_fluo [--model NAME|PATH]

Every object gets one click at its centre, the pixel farthest from its boundary, and a
tight box, through `ImagePredictor`, as a user's would. An object is one label id;
those under 16 pixels are left out. The mean is over objects; the mean over images is
beside it, since crowded images would otherwise decide alone.

With --record FILE.safetensors the means are written into that file's metadata, from
which the model card takes them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from skimage.io import imread
from skimage.measure import regionprops

import napari_sam as ns
from napari_sam.geometry import Box
from napari_sam.masks import deepest_point
from napari_sam.predictor.candidates import Candidate

SMALLEST_OBJECT = 16  # pixels


def image_pairs(folder: Path) -> Iterator[tuple[Path, NDArray[np.integer]]]:
    """Images with the label image of the same stem."""
    for path in sorted((folder / "images").iterdir()):
        (labels,) = (folder / "labels").glob(f"{path.stem}.*")
        yield path, imread(labels)


def iou_with(
    candidate: Candidate | None, labels: NDArray[np.integer], index: int
) -> float:
    """IoU of a candidate with an object, over the whole plane."""
    wanted = labels == index
    if candidate is None:
        return 0.0
    overlap = np.count_nonzero(candidate.mask & wanted[candidate.box.slices])
    union = np.count_nonzero(candidate.mask) + np.count_nonzero(wanted) - overlap
    return overlap / union


def record(file: Path, results: dict[str, dict[str, float]]) -> None:
    """Write results into the metadata of a safetensors file; weights stay."""
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata() or {}
    results = {**json.loads(metadata.get("evaluation", "{}")), **results}
    metadata = {**metadata, "evaluation": json.dumps(results)}
    part = file.with_suffix(".part")
    save_file(load_file(file), part, metadata)
    part.replace(file)


def evaluate(folder: Path, model: str, chosen: slice) -> dict[str, float]:
    """Print one row for a data set, and return its means."""
    sam = ns.load_model(model)
    clicks: list[list[float]] = []
    boxes: list[list[float]] = []
    oracle: list[float] = []
    scores: list[float] = []
    start_s = time.monotonic()
    for path, labels in list(image_pairs(folder))[chosen]:
        predictor = ns.ImagePredictor(sam, ns.open_image(path))
        clicks.append([])
        boxes.append([])
        for region in regionprops(labels):
            if region.area < SMALLEST_OBJECT:
                continue
            box = Box(*region.bbox)
            row, column = deepest_point(region.image)
            click = ns.Click(box.y0 + row, box.x0 + column)
            answers = predictor.predict([click])
            best = answers[0] if answers else None
            clicks[-1].append(iou_with(best, labels, region.label))
            oracle.append(
                max((iou_with(a, labels, region.label) for a in answers), default=0.0)
            )
            scores.append(best.score if best else 0.0)
            answers = predictor.predict([ns.BoxPrompt.from_box(box)])
            best = answers[0] if answers else None
            boxes[-1].append(iou_with(best, labels, region.label))
    flat = np.concatenate([np.array(image) for image in clicks])
    flat_boxes = np.concatenate([np.array(image) for image in boxes])
    per_image = np.mean([np.mean(image) for image in clicks if image])
    means = {
        "images": len(clicks),
        "objects": int(flat.size),
        "one_click": float(flat.mean()),
        "one_click_mean_of_images": float(per_image),
        "best_of_three": float(np.mean(oracle)),
        "tight_box": float(flat_boxes.mean()),
        "score_error": float(np.abs(np.array(scores) - flat).mean()),
    }
    row = [f"{value:.3f}" if value % 1 else str(value) for value in means.values()]
    seconds = f"{time.monotonic() - start_s:.0f}"
    print(f"| {' | '.join([folder.name, *row, seconds])} |", flush=True)
    return {name: round(value, 4) for name, value in means.items()}


def main() -> None:
    """Parse the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--limit", type=int, help="images of each set")
    parser.add_argument(
        "--step", type=int, default=1, help="only every so many-th image"
    )
    parser.add_argument("--record", type=Path, help="weights to write the means into")
    args = parser.parse_args()
    print(
        "| set | images | objects | 1 click | 1 click, mean of images | best of three "
        "| tight box | score error | s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    results = {
        folder.name: evaluate(folder, args.model, slice(None, args.limit, args.step))
        for folder in args.folders
    }
    if args.record is not None:
        record(args.record, results)


if __name__ == "__main__":
    main()
