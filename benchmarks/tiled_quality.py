"""What it costs in quality to segment an image in windows rather than at once.

    python benchmarks/tiled_quality.py ../shared/data/dsb2018_fluo --images 20
    python benchmarks/tiled_quality.py ../shared/data/large_mosaic --windows 40

With --keep FOLDER the label volumes stay, and the next call takes those that are there.

Each image is segmented as `segment_image` does it, in windows that overlap. Around the
corners of those windows' cores, where four of them meet, a window of the same size is
then segmented by itself: there both ways are possible, and the network sees the pixels
at the same scale. Both are compared with the annotation, over the objects that lie
whole in that window: AP at IoU 0.5, mean segmentation accuracy, and the mean IoU of
annotated objects with what was found of each. How much the two ways differ is told for
the same objects, with its standard error: AP jumps by one object in hundred.

The last column is about straight edges on the borders between cores: pixels there at
which one object ends and none or another begins, compared with lines half a core
beside. Objects that are cut at seams of our making would raise it above 1.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

import napari_sam as ns
from napari_sam.automatic.estimate.planning import halo_for, plan_run
from napari_sam.automatic.plan import RunRequest
from napari_sam.automatic.window.options import AutomaticOptions
from napari_sam.automatic.window.segment import segment_window
from napari_sam.evaluation.compare import compare_labels
from napari_sam.evaluation.datasets import AnnotatedPlane, read_dataset
from napari_sam.geometry import Box
from napari_sam.model.sam import Sam
from napari_sam.predictor.window_grid import WindowGrid

Labels = NDArray[np.integer]


@dataclass
class Marks:
    """Sums over windows, and what they come to."""

    hits: dict[float, int] = field(default_factory=dict)  # at an IoU
    misses: dict[float, int] = field(default_factory=dict)  # of either side
    ious: list[float] = field(default_factory=list)  # of annotated objects
    ends: int = 0  # on borders of cores
    ends_beside: int = 0

    def add(self, found: Labels, truth: Labels) -> None:
        """Compare the objects that lie whole in a window."""
        result = compare_labels(whole_objects(found), whole_objects(truth))
        for at in result.thresholds:
            missed = at.false_positives + at.false_negatives
            self.hits[at.iou] = self.hits.get(at.iou, 0) + at.true_positives
            self.misses[at.iou] = self.misses.get(at.iou, 0) + missed
        self.ious += result.reference_partners.ious.tolist()

    def ap(self, iou: float) -> float:
        """Average precision at an IoU, over the objects of all windows."""
        return self.hits[iou] / max(self.hits[iou] + self.misses[iou], 1)

    @property
    def msa(self) -> float:
        """Mean segmentation accuracy: the mean over the IoUs 0.5, 0.55, .. 0.95."""
        return float(np.mean([self.ap(iou) for iou in self.hits]))


def difference_words(ious: list[float], others: list[float]) -> str:
    """Mean difference of the IoUs of the same objects, and its standard error."""
    differences = np.subtract(ious, others)
    error = differences.std() / max(len(differences), 1) ** 0.5
    return f"{differences.mean():+.3f} +- {error:.3f}"


def whole_objects(labels: Labels) -> Labels:
    """Without the objects that touch a border."""
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return np.where(np.isin(labels, np.concatenate(sides)), 0, labels)


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


def windows_on_seams(grid: WindowGrid) -> list[Box]:
    """Windows that have the corners, or else the borders, of cores in their middle."""
    half = grid.side // 2
    area = grid.area
    ys = [grid.core(row, 0).y0 for row in range(1, grid.rows)]
    xs = [grid.core(0, column).x0 for column in range(1, grid.columns)]
    if not ys and not xs:
        return []
    y_middle, x_middle = (round(c) for c in area.center)
    windows = []
    for y, x in product(ys or [y_middle], xs or [x_middle]):
        y0 = max(min(y - half, area.y1 - grid.side), area.y0)
        x0 = max(min(x - half, area.x1 - grid.side), area.x0)
        windows.append(Box(y0, x0, y0 + grid.side, x0 + grid.side).clip(area))
    return windows


@dataclass
class Comparison:
    """Segments images both ways, and adds up what comes of it.

    Parameters
    ----------
    model
        Segments.
    folder
        Of the label volumes.
    most_windows
        That are segmented again, of an image.
    """

    model: Sam
    folder: Path
    most_windows: int
    at_once: Marks = field(default_factory=Marks)
    tiled: Marks = field(default_factory=Marks)

    def add(self, plane: AnnotatedPlane) -> None:
        """Segment one image both ways."""
        truth, model = plane.read_labels(), self.model
        with plane.open_image() as image:
            whole = Box.of_shape(image.shape)
            prints = (image.fingerprint, model.fingerprint)
            where = ((tuple(plane.plane),), whole, 0)
            asked = RunRequest(*prints, *where, AutomaticOptions(), skip_empty=False)
            size = plan_run(image, model, asked).object_size
            options = AutomaticOptions(object_size=size)
            side = options.window_side(model)
            grid = WindowGrid(whole, whole, side, halo_for(size, side))
            windows = windows_on_seams(grid)
            if not windows:
                return
            place = self.folder / f"{plane.name}.ome.zarr"
            ns.segment_image(
                image,
                place,
                model,
                options=options,
                planes=[plane.plane],
                level=0,
                skip_empty=False,
            )
            with ns.open_image(place) as opened:
                found = opened.read(plane.plane, 0, whole)[0]
            for box in windows[:: -(-len(windows) // self.most_windows)]:
                pixels = image.read_rgb(plane.plane, 0, box)
                alone = segment_window(model, pixels, options).labels_hw
                self.at_once.add(alone, truth[box.slices])
                self.tiled.add(found[box.slices], truth[box.slices])
        self.tiled.ends += ends_along(found, grid, 0)
        self.tiled.ends_beside += ends_along(found, grid, 0.5)


def main() -> None:
    """Parse the command line, segment, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=20, help="of each set, at most")
    parser.add_argument("--model", default="default")
    parser.add_argument("--windows", type=int, default=4, help="of each, at most")
    parser.add_argument("--keep", type=Path, help="folder for the label volumes")
    args = parser.parse_args()
    model = ns.load_model(args.model)
    columns = ("set", "way", "AP50", "mSA", "IoU", "objects", "ends on seams / beside")
    table = Table(*columns)
    for dataset in args.datasets:
        planes = read_dataset(dataset).planes
        with tempfile.TemporaryDirectory() as folder:
            kept = Path(folder) if args.keep is None else args.keep / dataset.name
            kept.mkdir(parents=True, exist_ok=True)
            both = Comparison(model, kept, args.windows)
            for plane in track(planes[:: max(1, len(planes) // args.images)]):
                both.add(plane)
        if not both.tiled.ious:
            continue
        rows = (
            ("one window", both.at_once, "-"),
            ("tiled", both.tiled, f"{both.tiled.ends} / {both.tiled.ends_beside}"),
            ("difference", None, "-"),
        )
        for name, marks, ends in rows:
            figures = (
                ("", "", difference_words(both.tiled.ious, both.at_once.ious))
                if marks is None
                else (
                    f"{marks.ap(0.5):.3f}",
                    f"{marks.msa:.3f}",
                    f"{np.mean(marks.ious):.3f}",
                )
            )
            count = str(len(both.tiled.ious))
            table.add_row(dataset.name, name, *figures, count, ends)
    Console().print(table)


if __name__ == "__main__":
    main()
