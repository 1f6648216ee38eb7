"""One in-memory image, with the interface of segment_anything's mask generator.

A script that uses theirs runs with the import changed. Coordinates in arguments and
records are SAM's, (x, y); everywhere else in this project they are (y, x). For images
that need not fit in memory, and for label images, use `segment_image`.

The clicks meet the decoder in batches, masks below the wanted scores are never drawn,
and of the others only the part that holds something; neither changes what comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.automatic.window.mask_filters import (
    is_cut_by,
    without_duplicates,
    without_small_regions,
)
from napari_sam.automatic.window.point_grid import crop_boxes, layer_grids
from napari_sam.errors import PredictorError
from napari_sam.geometry import Box
from napari_sam.masks import Mask, bounding_box, run_lengths
from napari_sam.model import Sam
from napari_sam.model.window_model import PointMasks, PointQuery
from napari_sam.predictor import SamPredictor

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Masks, their boxes in the image; the point (x, y) and the crop of each."""

    masks: PointMasks
    points_n2: NDArray[np.float64]
    crops_n4: NDArray[np.int64]

    @property
    def corners_n4(self) -> NDArray[np.int64]:
        """Boxes whose y1, x1 are the last row and column."""
        boxes = self.masks.boxes_n4
        return np.hstack([boxes[:, :2], np.maximum(boxes[:, 2:] - 1, boxes[:, :2])])

    def take(self, indices: NDArray[np.integer]) -> _Found:
        """Those masks, in that order."""
        return _Found(
            self.masks.take(indices), self.points_n2[indices], self.crops_n4[indices]
        )


class SamAutomaticMaskGenerator:
    """Every mask that a grid of clicks finds in an image.

    Parameters
    ----------
    model
        From `load_model`.
    points_per_side
        Clicks along each side of the image; None where `point_grids` are given.
    points_per_batch
        Clicks that are decoded together: more is faster on a GPU, and takes memory.
    pred_iou_thresh
        Masks with at most this predicted IoU are dropped; 0: none.
    stability_score_thresh, stability_score_offset
        Masks whose outline moves more than this when the logits' threshold moves by
        the offset, both ways, are dropped; 0: none.
    box_nms_thresh
        Of masks whose boxes overlap more, only the one with the best score stays.
    crop_n_layers
        Layers of crops, which show parts of the image larger; 2^k x 2^k in layer k.
    crop_nms_thresh
        As `box_nms_thresh`, for masks of different crops: smaller crops win.
    crop_overlap_ratio
        Overlap of the crops of layer 1, as a share of the image's short side.
    crop_n_points_downscale_factor
        `points_per_side` is divided by this to the power of the layer.
    point_grids
        For each layer (n, 2) x, y, as shares of 0..1 of the crop.
    min_mask_region_area
        Holes and islands of fewer pixels are removed; 0: none.
    output_mode
        What `segmentation` is: "binary_mask", "uncompressed_rle" or "coco_rle" (which
        needs pycocotools).
    """

    def __init__(  # noqa: PLR0913, PLR0917 - existing scripts call it
        self,
        model: Sam,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.88,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: list[NDArray[np.floating]] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
    ) -> None:
        if output_mode not in OUTPUT_MODES:
            raise PredictorError(
                f"output_mode needs to be one of {', '.join(OUTPUT_MODES)}, got "
                f"{output_mode!r}."
            )
        self.predictor = SamPredictor(model)
        self.point_grids = _grids(
            points_per_side, point_grids, crop_n_layers, crop_n_points_downscale_factor
        )
        self.query = PointQuery(
            pred_iou_thresh,
            stability_score_thresh,
            stability_score_offset,
            points_per_batch,
        )
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode

    def generate(self, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Find every object in an image.

        Parameters
        ----------
        image
            (height, width, 3) uint8, R, G, B, 0..255.

        Returns
        -------
        list of dict
            A record for each mask: `segmentation`, `area` in pixels, `bbox` (x, y,
            width, height; counted to the last pixel, not past it), `predicted_iou`,
            `point_coords` ([[x, y]] of the click), `stability_score`, `crop_box` (x,
            y, width, height).
        """
        image = np.asarray(image)
        if image.ndim != 3:
            raise PredictorError(
                "generate needs a uint8 array of shape (height, width, 3), got "
                f"{image.dtype} {image.shape}. Repeat a grey image three times."
            )
        shape = (image.shape[0], image.shape[1])
        found = self._all_masks(image, shape)
        if self.min_mask_region_area > 0:
            found = self._without_small_regions(found, shape)
        return [self._record(found, i, shape) for i in range(len(found.masks))]

    def _all_masks(self, image: NDArray[np.uint8], shape: tuple[int, int]) -> _Found:
        crops = crop_boxes(shape, self.crop_n_layers, self.crop_overlap_ratio)
        parts = [self._in_crop(image, crop, layer) for crop, layer in crops]
        self.predictor.reset_image()
        found = _Found(
            PointMasks.joined(part.masks for part in parts),
            np.concatenate([part.points_n2 for part in parts]),
            np.concatenate([part.crops_n4 for part in parts]),
        )
        if len(crops) == 1:
            return found
        sides = found.crops_n4[:, 2:] - found.crops_n4[:, :2]
        smaller_first = 1 / sides.prod(axis=1).astype(np.float32)
        return found.take(
            without_duplicates(found.corners_n4, smaller_first, self.crop_nms_thresh)
        )

    def _in_crop(self, image: NDArray[np.uint8], crop: Box, layer: int) -> _Found:
        self.predictor.set_image(image[crop.slices])
        features = self.predictor.get_image_embedding()[0]
        points = self.point_grids[layer] * crop.shape[::-1]
        masks = self.predictor.model.masks_at(features, points, crop.shape, self.query)
        corner = np.array([crop.y0, crop.x0])
        masks = replace(masks, boxes_n4=masks.boxes_n4 + np.tile(corner, 2))
        sides = np.array([crop.y0, crop.x0, crop.y1, crop.x1])
        found = _Found(
            masks,
            points[masks.clicks_n] + corner[::-1],
            np.broadcast_to(sides, (len(masks), 4)),
        )
        whole = Box.of_shape((image.shape[0], image.shape[1]))
        found = found.take(np.flatnonzero(~is_cut_by(found.corners_n4, crop, whole)))
        return found.take(
            without_duplicates(
                found.corners_n4, found.masks.scores_n, self.box_nms_thresh
            )
        )

    def _without_small_regions(self, found: _Found, shape: tuple[int, int]) -> _Found:
        boxes, packed = found.masks.boxes_n4.copy(), list(found.masks.packed)
        untouched = np.ones(len(packed))
        for i in range(len(packed)):
            mask, changed = without_small_regions(
                found.masks.draw(i, shape), self.min_mask_region_area
            )
            if changed:
                box = bounding_box(mask)
                untouched[i] = 0
                boxes[i] = (0,) * 4 if box is None else (box.y0, box.x0, box.y1, box.x1)
                y0, x0, y1, x1 = boxes[i]
                packed[i] = np.packbits(mask[y0:y1, x0:x1])
        cleaned = replace(found.masks, boxes_n4=boxes, packed=tuple(packed))
        found = replace(found, masks=cleaned)
        # Cleaned masks may have become duplicates; those that were clean already win.
        threshold = max(self.box_nms_thresh, self.crop_nms_thresh)
        return found.take(without_duplicates(found.corners_n4, untouched, threshold))

    def _record(
        self, found: _Found, index: int, shape: tuple[int, int]
    ) -> dict[str, Any]:
        mask = found.masks.draw(index, shape)
        return {
            "segmentation": _segmentation(mask, self.output_mode),
            "area": int(np.count_nonzero(mask)),
            "bbox": _xywh(found.corners_n4[index]),
            "predicted_iou": float(found.masks.scores_n[index]),
            "point_coords": [found.points_n2[index].tolist()],
            "stability_score": float(found.masks.stability_scores_n[index]),
            "crop_box": _xywh(found.crops_n4[index]),
        }


def _segmentation(mask: Mask, mode: str) -> Any:
    """The mask itself, or {"size": [height, width], "counts": ...} in Fortran order."""
    if mode == "binary_mask":
        return mask
    if mode == "uncompressed_rle":
        return {"size": list(mask.shape), "counts": run_lengths(mask.T)}
    try:
        from pycocotools import mask as coco  # noqa: PLC0415 - only for this mode
    except ImportError as error:
        raise PredictorError(
            'output_mode "coco_rle" needs the package pycocotools, which is not '
            'installed. Install it, or ask for "uncompressed_rle".'
        ) from error
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def _xywh(sides: NDArray[np.int64]) -> list[int]:
    y0, x0, y1, x1 = sides.tolist()
    return [x0, y0, x1 - x0, y1 - y0]


def _grids(
    points_per_side: int | None,
    point_grids: list[NDArray[np.floating]] | None,
    layers: int,
    downscale_factor: int,
) -> list[NDArray[np.floating]]:
    if (points_per_side is None) == (point_grids is None):
        raise PredictorError(
            "A mask generator needs either points_per_side or point_grids, got "
            f"{'neither' if point_grids is None else 'both'}. To give point_grids, "
            "set points_per_side=None."
        )
    if points_per_side is not None:
        return [*layer_grids(points_per_side, layers, downscale_factor)]
    grids = [np.asarray(grid) for grid in point_grids or []]
    shaped = all(grid.ndim == 2 and grid.shape[1] == 2 for grid in grids)
    if len(grids) <= layers or not shaped:
        raise PredictorError(
            "point_grids need an (n, 2) array of x, y for the whole image and one for "
            f"each of {layers} layers of crops, got shapes "
            f"{[grid.shape for grid in grids]}."
        )
    return grids
