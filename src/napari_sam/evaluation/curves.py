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

from napari_sam.evaluation.protocol import Answers, ObjectResult, PlaneResult

SIZE_BANDS = ((0, 8), (8, 16), (16, 32), (32, 64), (64, 128), (128, None))
"""Bounds of the square root of an object's area, in pixels."""

IOU_TARGETS = (0.85, 0.90)

SCORE_BINS = 10

Figures = dict[str, Any]


def summarise(planes: Sequence[PlaneResult]) -> Figures:
    """Every figure of a set; its planes hold at least one object in all."""
    objects = [one for plane in planes for one in plane.objects]
    figures = summarise_objects(objects)
    per_image = [
        np.mean([one.clicks[0].iou for one in plane.objects])
        for plane in planes
        if plane.objects
    ]
    background = np.array([s for plane in planes for s in plane.background_scores])
    figures["images"] = len(per_image)
    figures["one_click_mean_of_images"] = float(np.mean(per_image))
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


def summarise_objects(objects: Sequence[ObjectResult]) -> Figures:
    """Figures of some objects, at least one."""
    clicks = [one.clicks for one in objects]
    iou = _of(clicks, "iou")
    return {
        "objects": len(objects),
        "clicks": {
            "iou": _means(iou),
            "best_of_three": _means(_of(clicks, "best")),
            "score": _means(_of(clicks, "score")),
            "boundary": _means(_of(clicks, "boundary")),
        },
        "least_change": float(np.diff(iou.mean(axis=0)).min(initial=0.0)),
        "tight_box": _box_figures([one.tight_box for one in objects]),
        "loose_box": _box_figures([one.loose_box for one in objects]),
        "clicks_to": {
            f"{target:.2f}": clicks_to(iou, target) for target in IOU_TARGETS
        },
        "calibration": calibration(_of(clicks, "score")[:, 0], iou[:, 0]),
    }


def overall(sets: Sequence[Figures]) -> Figures:
    """The mean of the sets, each as heavy as the next."""
    return {
        "clicks": {
            name: _means(np.array([figures["clicks"][name] for figures in sets]))
            for name in ("iou", "best_of_three", "score", "boundary")
        },
        "tight_box": _mean_of([figures["tight_box"] for figures in sets]),
        "loose_box": _mean_of([figures["loose_box"] for figures in sets]),
        "objects": sum(figures["objects"] for figures in sets),
        "images": sum(figures["images"] for figures in sets),
    }


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
    """How far the expected IoU is from the real one, at the first click.

    Returns
    -------
    The mean error, the mean excess of the expectation, the difference of the means,
    and for each tenth of the expectation that occurs: (expected, real, objects).
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
    return f"{low}-{high} px" if high else f"over {low} px"


def _in_band(one: ObjectResult, low: int, high: int | None) -> bool:
    return low**2 <= one.area and (high is None or one.area < high**2)


def _of(answers: Sequence[Sequence[Answers]], name: str) -> NDArray[np.float64]:
    return np.array([[getattr(one, name) for one in row] for row in answers])


def _means(values: NDArray[np.float64]) -> list[float]:
    return [float(value) for value in values.mean(axis=0)]


def _box_figures(answers: Sequence[Answers]) -> Figures:
    return {
        name: float(np.mean([getattr(answer, name) for answer in answers]))
        for name in ("iou", "best", "score", "boundary")
    }


def _mean_of(figures: Sequence[Figures]) -> Figures:
    return {
        name: float(np.mean([entry[name] for entry in figures])) for name in figures[0]
    }
