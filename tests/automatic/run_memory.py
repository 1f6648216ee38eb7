"""Segment squares in an image that is made as it is read; print the peak memory.

With the allocator as the command line has it.

python run_memory.py SIDE FOLDER
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.automatic.run import segment_image
from napari_sam.automatic.tiles.allocator import keep_memory
from napari_sam.automatic.window.options import ANY_QUERY, AutomaticOptions
from napari_sam.images import open_image
from napari_sam.model.window_model.point_masks import PointMasks, PointQuery, pack
from napari_sam.prompts import Click

STEP, SQUARE = 60, 24  # pixels of the level that is segmented
FACTOR = 4  # of that level
OPTIONS = AutomaticOptions(
    object_size=SQUARE * FACTOR, max_clicks_per_side=1, reject_background=False
)


class Squares:
    """A plane of squares, which is nowhere."""

    dtype = np.dtype(np.uint8)

    def __init__(self, side: int) -> None:
        self.shape = (side, side)
        self.chunks = (512, 512)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        rows, columns = (
            np.arange(*part.indices(side)) % STEP < SQUARE
            for part, side in zip(index, self.shape, strict=True)
        )
        return (rows[:, None] & columns).astype(np.uint8) * np.uint8(200)


class Bright:
    """Finds what is bright, whatever is clicked."""

    window_size = 256
    fingerprint = "bright"
    point_query = ANY_QUERY

    def encode(self, pixels_hwc: NDArray[np.uint8]) -> NDArray[np.bool_]:
        return pixels_hwc[..., 0] > 100

    def predict(self, embedding: Any, prompts: Any) -> Any:
        raise NotImplementedError

    def predict_many(
        self, embedding: NDArray[np.bool_], clicks: list[Click], query: PointQuery
    ) -> PointMasks:
        islands, _ = ndimage.label(embedding)
        boxes = np.array(
            [
                (y.start, x.start, y.stop, x.stop)
                for y, x in ndimage.find_objects(islands)
            ]
        ).reshape(-1, 4)
        ones = np.ones(len(boxes), dtype=np.float32)
        crops = [pack(embedding[None], box[None])[0] for box in boxes]
        clicked = np.zeros(len(boxes), dtype=np.int64)
        return PointMasks(clicked, ones, ones, boxes, tuple(crops))


def main() -> None:
    side, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.fsync = lambda _: None
    keep_memory()
    levels = [Squares(side), Squares(side // FACTOR)]
    image = open_image(levels, axes="yx", contrast_limits=(0, 255))
    level = next(i for i, lv in enumerate(image.levels) if i and lv.stored)
    labels = folder / f"{side}.ome.zarr"
    report = segment_image(
        image, labels, Bright(), options=OPTIONS, skip_empty=False, level=level
    )
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(f"{report.objects} {peak_kb}")


if __name__ == "__main__":
    main()
