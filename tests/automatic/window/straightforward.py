"""Everything mode written the plain way: one click at a time, whole masks, lists.

Slow on purpose, so that a reader can check it against the description of the method
("Segment Anything" (2023), section 5 and appendix B): ask at every point of a grid,
drop unsure and unstable masks and those that a crop cuts, then duplicates, then specks.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

from napari_sam.model.sam import Sam
from napari_sam.predictor.sam_predictor import SamPredictor

Record = dict[str, Any]
Corners = tuple[int, int, int, int]  # x0, y0, x1, y1, the last pixels


@dataclass
class Settings:
    points_per_side: int | None = 32
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0


def generate(model: Sam, image: NDArray[np.uint8], settings: Settings) -> list[Record]:
    height, width = image.shape[:2]
    found = []
    crops = list(crops_of(height, width, settings))
    for crop, layer in crops:
        found += in_crop(model, image, crop, layer, settings)
    if len(crops) > 1:
        sizes = [1 / (r["crop_box"][2] * r["crop_box"][3]) for r in found]
        found = suppressed(found, sizes, settings.crop_nms_thresh)
    if settings.min_mask_region_area > 0:
        found = cleaned(found, settings)
    for record in found:
        record["area"] = int(record["segmentation"].sum())
        x0, y0, x1, y1 = corners(record)
        record["bbox"] = [x0, y0, x1 - x0, y1 - y0]
    return found


def crops_of(height: int, width: int, settings: Settings) -> Any:
    yield (0, 0, width, height), 0
    for layer in range(1, settings.crop_n_layers + 1):
        n = 2**layer
        short = min(height, width)
        overlap = int(settings.crop_overlap_ratio * short * (2 / n))
        h = ceil((overlap * (n - 1) + height) / n)
        w = ceil((overlap * (n - 1) + width) / n)
        for i in range(n):
            for j in range(n):
                x0, y0 = (w - overlap) * i, (h - overlap) * j
                yield (x0, y0, min(x0 + w, width), min(y0 + h, height)), layer


def in_crop(
    model: Sam, image: NDArray[np.uint8], crop: Corners, layer: int, settings: Settings
) -> list[Record]:
    x0, y0, x1, y1 = crop
    predictor = SamPredictor(model)
    predictor.set_image(image[y0:y1, x0:x1])
    assert settings.points_per_side is not None
    side = settings.points_per_side // settings.crop_n_points_downscale_factor**layer
    offset, found = settings.stability_score_offset, []
    for row in range(side):
        for column in range(side):
            point = np.array(
                [(column + 0.5) / side * (x1 - x0), (row + 0.5) / side * (y1 - y0)]
            )
            logits, scores, _ = predictor.predict(
                point[None], np.array([1]), return_logits=True
            )
            for logit, score in zip(logits, scores, strict=True):
                tight = np.count_nonzero(logit > model.mask_threshold + offset)
                loose = np.count_nonzero(logit > model.mask_threshold - offset)
                stability = tight / loose if loose else 0.0
                mask = np.zeros(image.shape[:2], dtype=bool)
                mask[y0:y1, x0:x1] = logit > model.mask_threshold
                record = {
                    "segmentation": mask,
                    "predicted_iou": float(score),
                    "stability_score": stability,
                    "point_coords": [[point[0] + x0, point[1] + y0]],
                    "crop_box": [x0, y0, x1 - x0, y1 - y0],
                }
                if is_wanted(record, settings):
                    found.append(record)
    scores = [record["predicted_iou"] for record in found]
    return suppressed(found, scores, settings.box_nms_thresh)


def is_wanted(record: Record, settings: Settings) -> bool:
    sure = settings.pred_iou_thresh
    stable = settings.stability_score_thresh
    if sure > 0 and not record["predicted_iou"] > sure:
        return False
    if stable > 0 and not record["stability_score"] >= stable:
        return False
    height, width = record["segmentation"].shape
    x, y, w, h = record["crop_box"]
    edges = ((x, 0), (y, 0), (x + w, width), (y + h, height))
    for end, (crop_edge, image_edge) in zip(corners(record), edges, strict=True):
        if abs(end - crop_edge) <= 20 and abs(end - image_edge) > 20:
            return False
    return True


def corners(record: Record) -> Corners:
    rows, columns = np.nonzero(record["segmentation"])
    if len(rows) == 0:
        x, y, _, _ = record["crop_box"]
        return x, y, x, y
    return int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())


def overlap(a: Corners, b: Corners) -> float:
    w = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
    h = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - w * h
    return w * h / union if union else 0.0


def suppressed(
    records: list[Record], scores: list[float], threshold: float
) -> list[Record]:
    """Best first; of equal ones the first first."""
    kept: list[Record] = []
    for i in sorted(range(len(records)), key=lambda i: -scores[i]):
        box = corners(records[i])
        if all(overlap(corners(better), box) <= threshold for better in kept):
            kept.append(records[i])
    return kept


def cleaned(records: list[Record], settings: Settings) -> list[Record]:
    scores = []
    for record in records:
        before = record["segmentation"]
        mask = before.copy()
        for hole in connected_parts(~mask):
            if hole.sum() < settings.min_mask_region_area:
                mask |= hole
        islands = connected_parts(mask)
        large = [i for i in islands if i.sum() >= settings.min_mask_region_area]
        touched = bool((mask != before).any()) or len(large) < len(islands)
        if len(large) < len(islands):
            large = large or [max(islands, key=np.count_nonzero)]
            mask = np.logical_or.reduce(large)
        record["segmentation"] = mask
        scores.append(0.0 if touched else 1.0)
    threshold = max(settings.box_nms_thresh, settings.crop_nms_thresh)
    return suppressed(records, scores, threshold)


def connected_parts(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    labels = label(mask, connectivity=2)
    return [labels == value for value in range(1, labels.max() + 1)]
