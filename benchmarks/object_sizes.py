"""How well the size of the objects of an image is told without being given.

    python benchmarks/object_sizes.py ../shared/data/dsb2018_fluo --images 20

The truth is the median over the annotated objects of an image of the square root of
their area. Beside it stand the estimate from blobs alone, and the one that a run
settles on, for which the model is shown parts of the image. For each set: how many
images have an estimate within a factor of 1.5, and of 2, of the truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import napari_sam as ns
from napari_sam.automatic.estimate.blob_size import estimate_object_size
from napari_sam.automatic.estimate.planning import plan_run
from napari_sam.automatic.plan import RunRequest
from napari_sam.automatic.window.options import AutomaticOptions
from napari_sam.evaluation.datasets import AnnotatedPlane, read_dataset
from napari_sam.geometry import Box
from napari_sam.model.sam import Sam

UNKNOWN = 16.0  # pixels, that a run takes where nothing stands out


def true_size(plane: AnnotatedPlane) -> float | None:
    """Median side of the annotated objects, None where there are none."""
    areas = np.bincount(plane.read_labels().ravel())[1:]
    return float(np.median(np.sqrt(areas[areas > 0]))) if areas.any() else None


def estimates(model: Sam, plane: AnnotatedPlane) -> tuple[float, float]:
    """From blobs, and as a run settles it, in pixels of level 0."""
    with plane.open_image() as image:
        whole = Box.of_shape(image.shape)
        blobs = estimate_object_size(image.read_rgb(plane.plane, 0, whole))
        asked = RunRequest(
            image.fingerprint,
            model.fingerprint,
            (tuple(plane.plane),),
            whole,
            None,
            AutomaticOptions(),
            skip_empty=False,
        )
        settled = plan_run(image, model, asked).object_size
    return blobs or UNKNOWN, settled


def within(found: list[float], truth: list[float], factor: float) -> str:
    """How many of them are at most so many times too large or small."""
    off = np.abs(np.log(np.array(found) / np.array(truth)))
    return f"{np.count_nonzero(off <= np.log(factor))} of {len(off)}"


def main() -> None:
    """Parse the command line, estimate, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--images", type=int, default=20, help="of each set, at most")
    parser.add_argument("--last", type=int, help="only so many, the last ones")
    parser.add_argument("--only", default="", help="images whose name begins so")
    parser.add_argument("--without-last", type=int, help="not so many, the last")
    parser.add_argument("--model", default="default")
    args = parser.parse_args()
    model, console = ns.load_model(args.model), Console(width=110)
    table = Table("set", "truth", "blobs", "x1.5", "x2", "settled", "x1.5", "x2")
    for dataset in args.datasets:
        planes = read_dataset(dataset).planes
        planes = planes[-args.last :] if args.last else planes
        planes = planes[: -args.without_last] if args.without_last else planes
        planes = [plane for plane in planes if plane.name.startswith(args.only)]
        truth, blobs, settled = [], [], []
        for plane in track(planes[:: -(-len(planes) // args.images)]):
            if (size := true_size(plane)) is None:
                continue
            of_blobs, of_run = estimates(model, plane)
            truth.append(size)
            blobs.append(of_blobs)
            settled.append(of_run)
            console.print(f"{plane.name} {size:.1f} {of_blobs:.1f} {of_run:.1f}")
        row = [dataset.name, f"{np.median(truth):.1f}"]
        for found in (blobs, settled):
            row.append(f"{np.median(found):.1f}")
            row += [within(found, truth, factor) for factor in (1.5, 2)]
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
