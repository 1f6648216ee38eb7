"""How a record holds its mask: as pixels, or as run lengths in COCO's two forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_sam.errors import PredictorError
from napari_sam.masks import Mask, run_lengths

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")


def encode(mask: Mask, mode: str) -> Any:
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
