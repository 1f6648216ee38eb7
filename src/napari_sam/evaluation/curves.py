"""From answers to figures: means, curves, sizes, calibration.

A figure of a set is a mean over its objects; beside it stands the mean over images,
for crowded images would otherwise decide alone. The overall figure is the mean of
the sets, each as heavy as the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.evaluation.protocol import EvaluatedObject, PlaneResult, PromptScores

SIZE_BANDS = ((0, 16), (16, 32), (32, 64), (64, 128), (128, None))
"""Bounds of the square root of an object's area, in pixels."""

IOU_TARGETS = (0.85, 0.90)

SCORE_BINS = 10

Figures = dict[str, Any]


def summarise(planes: Sequence[PlaneResult]) -> Figures:
    """Every figure of a set; its planes hold at least one object in all."""
    objects = [one for plane in planes for one in plane.objects]
    figures = summarise_objects(objects)
    background = np.array([s for plane in planes for s in plane.background_scores])
    figures["images"] = sum(1 for plane in planes if plane.objects)
    figures |= means_of_images(planes)
    figures["background_clicks"] = len(background)
    figures["background_below_half"] = (
        float((background < 0.5).mean()) if background.size else None
    )
    figures["timings"] = timings(planes)
    figures["sizes"] = {
        band_name(low, high): summarise_objects(inside)
        for low, high in SIZE_BANDS
        if (inside := [one for one in objects if _in_band(one, low, high)])
    }
    return figures


def summarise_objects(objects: Sequence[EvaluatedObject]) -> Figures:
    """Figures of some objects, at least one."""
    clicks = [one.clicks for one in objects]
    iou, score = _of(clicks, "iou"), _of(clicks, "score")
    return {
        "objects": len(objects),
        "clicks": {
            "iou": _means(iou),
            "change": _means(np.diff(iou, axis=1)),
            "best_of_three": _means(_of(clicks, "best")),
            "score": _means(score),
            "score_error": _means(np.abs(score - iou)),
            "boundary": _means(_of(clicks, "boundary")),
        },
        "tight_box": _box_figures([one.tight_box for one in objects]),
        "loose_box": _box_figures([one.loose_box for one in objects]),
        "clicks_to": {
            f"{target:.2f}": clicks_to(iou, target) for target in IOU_TARGETS
        },
        "calibration": calibration(score[:, 0], iou[:, 0]),
    }


def means_of_images(planes: Sequence[PlaneResult]) -> Figures:
    """Mean IoU where each image is as heavy as the next, however crowded it is."""
    per_image = [summarise_objects(plane.objects) for plane in planes if plane.objects]
    return {
        "one_click_mean_of_images": float(
            np.mean([of["clicks"]["iou"][0] for of in per_image])
        ),
        "last_click_mean_of_images": float(
            np.mean([of["clicks"]["iou"][-1] for of in per_image])
        ),
        "tight_box_mean_of_images": float(
            np.mean([of["tight_box"]["iou"] for of in per_image])
        ),
    }


def overall(sets: Sequence[Figures]) -> Figures:
    """The mean of the sets, each as heavy as the next; counts are sums.

    A size, or clicks on nothing, is a mean of the sets that have any.
    """
    figures = _mean_of_sets(sets)
    below = [
        of["background_below_half"]
        for of in sets
        if of["background_below_half"] is not None
    ]
    figures["images"] = sum(of["images"] for of in sets)
    figures |= {
        name: float(np.mean([of[name] for of in sets]))
        for name in sets[0]
        if name.endswith("_mean_of_images")
    }
    figures["background_clicks"] = sum(of["background_clicks"] for of in sets)
    figures["background_below_half"] = float(np.mean(below)) if below else None
    figures["sizes"] = {
        band: _mean_of_sets(inside)
        for band in (band_name(low, high) for low, high in SIZE_BANDS)
        if (inside := [of["sizes"][band] for of in sets if band in of["sizes"]])
    }
    return figures


def clicks_to(iou: NDArray[np.float64], target: float) -> Figures:
    """Clicks until an IoU is reached, and the share of objects where it is at all.

    Parameters
    ----------
    iou
        (objects, clicks). An object that does not reach the target counts as one
        click more than were tried.
    """
    reached = iou >= target
    needed = np.where(reached.any(axis=1), reached.argmax(axis=1), iou.shape[1]) + 1
    return {
        "mean_clicks": float(needed.mean()),
        "reached": float(reached.any(axis=1).mean()),
    }


def calibration(score: NDArray[np.float64], iou: NDArray[np.float64]) -> Figures:
    """How far the predicted IoU is from the real one, at the first click.

    Returns
    -------
    dict
        The mean error, the mean excess of the prediction, the difference of the means,
        and for each tenth of the prediction that occurs: (predicted, real, objects).
    """
    bins = np.minimum((score * SCORE_BINS).astype(int), SCORE_BINS - 1)
    table = [
        (float(score[here].mean()), float(iou[here].mean()), int(here.sum()))
        for index in range(SCORE_BINS)
        if (here := bins == index).any()
    ]
    return {
        "mean_error": float(np.abs(score - iou).mean()),
        "mean_excess": float((score - iou).mean()),
        "bins": table,
    }


def timings(planes: Sequence[PlaneResult]) -> Figures:
    """Encodes and decodes, and what one took on average, in seconds."""
    encodes = sum(plane.timings.encodes for plane in planes)
    decodes = sum(plane.timings.decodes for plane in planes)
    return {
        "encodes": encodes,
        "encode_s": sum(plane.timings.encode_s for plane in planes) / max(encodes, 1),
        "decodes": decodes,
        "decode_s": sum(plane.timings.decode_s for plane in planes) / max(decodes, 1),
    }


def band_name(low: int, high: int | None) -> str:
    """Such as "16-32 px"."""
    if high is None:
        return f"over {low} px"
    return f"{low}-{high} px" if low else f"under {high} px"


def _in_band(one: EvaluatedObject, low: int, high: int | None) -> bool:
    return low**2 <= one.area and (high is None or one.area < high**2)


def _of(answers: Sequence[Sequence[PromptScores]], name: str) -> NDArray[np.float64]:
    return np.array([[getattr(one, name) for one in row] for row in answers])


def _means(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values.mean(axis=0)]


def _box_figures(answers: Sequence[PromptScores]) -> Figures:
    figures = {
        name: float(np.mean([getattr(answer, name) for answer in answers]))
        for name in ("iou", "best", "score", "boundary")
    }
    errors = [abs(answer.score - answer.iou) for answer in answers]
    return {**figures, "score_error": float(np.mean(errors))}


def _mean_of_sets(sets: Sequence[Figures]) -> Figures:
    return {
        "objects": sum(of["objects"] for of in sets),
        "clicks": {
            name: _means(np.array([of["clicks"][name] for of in sets]))
            for name in sets[0]["clicks"]
        },
        "tight_box": _mean_of([of["tight_box"] for of in sets]),
        "loose_box": _mean_of([of["loose_box"] for of in sets]),
        "clicks_to": {
            target: _mean_of([of["clicks_to"][target] for of in sets])
            for target in sets[0]["clicks_to"]
        },
        "calibration": {
            name: float(np.mean([of["calibration"][name] for of in sets]))
            for name in ("mean_error", "mean_excess")
        },
    }


def _mean_of(figures: Sequence[Figures]) -> Figures:
    return {
        name: float(np.mean([entry[name] for entry in figures])) for name in figures[0]
    }
