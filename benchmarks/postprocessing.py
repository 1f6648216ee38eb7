"""From a mask decoder's answers to labels: where masks are, or all of all (C6, C8).

    python benchmarks/postprocessing.py

The answers to a grid of 32 x 32 clicks on 300 cells are made beforehand, so the table
is about post-processing alone: thresholds, enlarging, stability, boxes, duplicates and
painting. Both ways take turns on the same answers. Memory is what a process of its own
peaks at over the answers.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial

import numpy as np
import torch
from cell_scene import WINDOW, DecoderAnswers, decoder_answers
from measuring import interleaved, memory_of, peak_memory, show
from numpy.typing import NDArray
from plain_generator import BOX_OVERLAP, CLICKS_AT_ONCE, labels_of, whole_masks

from napari_sam.automatic.window.label_image import paint
from napari_sam.automatic.window.mask_filters import without_duplicates
from napari_sam.model.inference.postprocessing import (
    AxisScaling,
    PointLogits,
    draw_masks,
)
from napari_sam.model.metadata import PUBLISHED_QUERY
from napari_sam.model.window_model import PointMasks

LOW = 256
ENCODER = 1024


def plain_labels(answers: DecoderAnswers, side: int) -> NDArray[np.uint32]:
    """Enlarge everything to the whole window, then filter."""
    batches = zip(
        answers.logits_pmhw.split(CLICKS_AT_ONCE),
        answers.scores_pm.split(CLICKS_AT_ONCE),
        strict=True,
    )
    shape = (side, side)
    parts = [whole_masks(*batch, shape, PUBLISHED_QUERY) for batch in batches]
    return labels_of(parts, shape)


def our_labels(answers: DecoderAnswers, side: int) -> NDArray[np.uint32]:
    """What the mask generator does with the same answers."""
    axis = AxisScaling.between(LOW, ENCODER, ENCODER, side)
    parts = []
    for start in range(0, len(answers.scores_pm), CLICKS_AT_ONCE):
        scores = answers.scores_pm[start : start + CLICKS_AT_ONCE]
        wanted = scores > PUBLISHED_QUERY.min_score
        some = PointLogits(
            answers.logits_pmhw[start : start + CLICKS_AT_ONCE][wanted],
            scores[wanted],
            start + wanted.nonzero()[:, 0],
        )
        parts.append(draw_masks(some, (axis, axis), 0.0, PUBLISHED_QUERY))
    masks = PointMasks.joined(parts)
    corners = masks.boxes_n4.copy()
    corners[:, 2:] = np.maximum(corners[:, 2:] - 1, corners[:, :2])
    kept = without_duplicates(corners, masks.scores_n, BOX_OVERLAP)
    return paint(masks.take(kept), (side, side))


WAYS = {"every mask whole": plain_labels, "where masks are": our_labels}


def measured(clicks: int, side: int, repeats: int) -> list[list[str]]:
    """Rows of the table for windows of one size."""
    answers = decoder_answers(clicks)
    found = {}

    def kept(name: str) -> None:
        found[name] = WAYS[name](answers, side)

    taken = interleaved({name: partial(kept, name) for name in WAYS}, repeats)
    plain, ours = found.values()
    differing = np.count_nonzero(plain != ours)
    rows = []
    for name in WAYS:
        memory = peak_memory(__file__, "--memory", name, "--clicks", str(clicks))
        most = taken["every mask whole"]
        rows.append(
            [
                f"{side}",
                name,
                f"{taken[name].wall:.2f}",
                f"{taken[name].wall / most.wall:.3f}",
                f"{taken[name].processor:.2f}",
                f"{taken[name].processor / most.processor:.3f}",
                f"{memory:.2f}",
                f"{found[name].max()}",
                f"{differing}",
            ]
        )
    return rows


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=32, help="along a side")
    parser.add_argument("--sides", type=int, nargs="+", default=[WINDOW])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--memory", choices=WAYS, help="only print this way's peak")
    asked = parser.parse_args()
    with torch.inference_mode():
        if asked.memory:
            answers = decoder_answers(asked.clicks)
            peak = memory_of(lambda: WAYS[asked.memory](answers, WINDOW))
            sys.stdout.write(f"{peak:.3f}\n")
            return
        rows = [
            row
            for side in asked.sides
            for row in measured(asked.clicks, side, asked.repeats)
        ]
    header = [
        "side",
        "way",
        "s",
        "ratio",
        "CPU s",
        "ratio",
        "GB",
        "masks",
        "differing pixels",
    ]
    show(f"Post-processing of {asked.clicks} x {asked.clicks} clicks", header, rows)


if __name__ == "__main__":
    main()
