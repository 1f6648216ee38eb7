"""What it costs in quality to segment an image in windows rather than at once.

    python benchmarks/tiled_quality.py ../shared/data/dsb2018_fluo --images 8

Images that fit into one window of the model are segmented twice: at once, in one
window, and as `segment_image` does it, in smaller ones that overlap. Both are compared
with the annotation: AP at IoU 0.5, and mean segmentation accuracy, over all objects.
The last column is about straight edges on the borders between windows: pixels there at
which one object ends and none or another begins, compared with lines half a core
beside. Objects that are cut at seams of our making would raise it above 1.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import napari_sam as ns
from napari_sam.automatic.options import EverythingOptions
from napari_sam.automatic.settling import halo_for
from napari_sam.automatic.window import segment_window
from napari_sam.evaluation.compare import compare_labels
from napari_sam.evaluation.datasets import AnnotatedPlane, read_dataset
from napari_sam.geometry import Box
from napari_sam.model.sam import Sam
from napari_sam.tiling.window_grid import WindowGrid

Labels = NDArray[np.integer]


@dataclass
class Marks:
    """Sums over images, and what they come to."""

    objects: int = 0
    ap50: list[float] = field(default_factory=list)
    msa: list[float] = field(default_factory=list)
    ends: int = 0  # on borders of cores
    ends_beside: int = 0

    def add(self, found: Labels, truth: Labels) -> None:
        """Compare the labels of an image."""
        result = compare_labels(found, truth)
        self.objects += len(np.unique(found)) - 1
        self.ap50.append(result.thresholds[0].ap or 0.0)
        self.msa.append(result.msa or 0.0)


def ends_along(labels: Labels, grid: WindowGrid, shift: float) -> int:
    """Pixels in which objects end on lines between cores, moved by half cores."""
    count = 0
    for turned, starts in (
        (labels, [grid.core(row, 0).y0 for row in range(grid.rows)]),
        (labels.T, [grid.core(0, column).x0 for column in range(grid.columns)]),
    ):
        step = starts[1] - starts[0] if len(starts) > 1 else 0
        for start in starts[1:]:
            line = round(start - shift * step)
            first, second = turned[line - 1], turned[line]
            count += int(np.count_nonzero((first != second) & (first + second > 0)))
    return count


def segment_both(
    model: Sam, plane: AnnotatedPlane, at_once: Marks, tiled: Marks, folder: Path
) -> None:
    """Segment one image both ways."""
    truth = plane.read_labels()
    with plane.open_image() as image:
        pixels = image.read_rgb(plane.plane, 0, Box.of_shape(image.shape))
        options = EverythingOptions().settled(pixels)
        size = options.object_size or 16.0
        options = EverythingOptions(object_size=size)
        at_once.add(segment_window(model, pixels, options).labels_hw, truth)
        place = folder / f"{plane.name}.ome.zarr"
        ns.segment_image(
            image, place, model, options=options, planes=[plane.plane], skip_empty=False
        )
        with ns.open_image(place) as opened:
            found = opened.read(plane.plane, 0, Box.of_shape(image.shape))[0]
    tiled.add(found, truth)
    side = options.window_side(model)
    whole = Box.of_shape(truth.shape)
    grid = WindowGrid(whole, whole, side, halo_for(size, side))
    tiled.ends += ends_along(found, grid, 0)
    tiled.ends_beside += ends_along(found, grid, 0.5)


def main() -> None:
    """Parse the command line, segment, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--model", default="default")
    args = parser.parse_args()
    model = ns.load_model(args.model)
    largest = max(model.window_sizes or (model.window_size,))
    planes = []
    for plane in read_dataset(args.dataset).planes:
        with plane.open_image() as image:
            if max(image.shape) <= largest:
                planes.append(plane)
    at_once, tiled = Marks(), Marks()
    with tempfile.TemporaryDirectory() as folder:
        for plane in planes[:: max(1, len(planes) // args.images)][: args.images]:
            segment_both(model, plane, at_once, tiled, Path(folder))
            print(plane.name, at_once.ap50[-1], tiled.ap50[-1], flush=True)
    table = Table("way", "objects", "AP50", "mSA", "ends on seams / beside")
    for name, marks in (("one window", at_once), ("tiled", tiled)):
        ends = f"{marks.ends} / {marks.ends_beside}" if marks.ends_beside else "-"
        table.add_row(
            name,
            str(marks.objects),
            f"{np.mean(marks.ap50):.3f}",
            f"{np.mean(marks.msa):.3f}",
            ends,
        )
    Console().print(table)


if __name__ == "__main__":
    main()
