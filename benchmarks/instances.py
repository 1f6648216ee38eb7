"""How good the objects are that a model's instance decoder finds, on real images.

    python benchmarks/instances.py ../shared/data --model FILE --output instances.json

Each image is shown whole, so that its median object is `--object-size` pixels large
for the encoder. How large it is in the image is taken from the true labels, or with
`--estimate` found out: the image is shown as it is, and again at the size at which
the objects that were found would be right, up to three times.

AP is TP / (TP + FP + FN) over all objects of a set, as in the Data Science Bowl; mSA is
its mean over IoUs of 0.5, 0.55 ... 0.95. Of sets that are trained on, only the images
count that training leaves out.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from napari_sam.evaluation.datasets import AnnotatedPlane, read_dataset
from napari_sam.evaluation.matching import Meetings, score_thresholds
from napari_sam.evaluation.overlaps import OverlapCounter
from napari_sam.geometry import Box
from napari_sam.model.checkpoints import load_model
from napari_sam.model.instance_decoder import MAP_STRIDE, InstanceHead
from napari_sam.model.instances import (
    InstanceMaps,
    InstanceOptions,
    MapKind,
    find_instances,
)
from napari_sam.model.sam import Sam
from napari_sam.model.tiny_vit import TinyViT

SETS = {
    "dsb2018_fluo": (0, 12),
    "dsb2018_stained": (0, 12),
    "dsb2018_cytology_bf": (3, 3),
    "phasecontrast_usiigaci": (3, 3),
    "em_axons_sem": (1, 1),
    "em_axons_tem": (3, 3),
    "bacteria_omnipose_pseudoGT": (0, 3),
    "timelapse_bacteria": (0, 3),
    "timelapse_phc_small": (0, 3),
}
"""Images of each set: the last ones that count (0: all), and how many of them."""

GRANULE = 32  # pixels; the encoder's maps fit into multiples of it
IDS_AN_IMAGE = 1 << 20
ROUNDS = 3
SAME_SIZE = 1.15  # a size that is off by less is not tried again


@dataclass(frozen=True, slots=True)
class Found:
    """The objects of one image."""

    labels: NDArray[np.int32]
    zoom: float
    seconds: float


def chosen_planes(root: Path, name: str) -> list[AnnotatedPlane]:
    """The images of a set that count."""
    last, count = SETS[name]
    planes = sorted(read_dataset(root / name).planes, key=lambda x: (x.name, x.plane))
    planes = planes[-last:] if last else planes
    return planes[:: max(1, len(planes) // count)][:count]


def size_of(labels: NDArray[Any]) -> float:
    """Median square root of the objects' areas, in pixels; 0 without objects."""
    areas = np.bincount(labels.ravel().astype(np.int64))[1:]
    return float(np.sqrt(np.median(areas[areas > 0]))) if areas.any() else 0.0


@torch.no_grad()
def maps_of(sam: Sam, pixels: NDArray[np.uint8], zoom: float) -> InstanceMaps:
    """Maps of a whole image, magnified."""
    encoder, head = sam.image_encoder, sam.instance_decoder
    if not isinstance(encoder, TinyViT) or not isinstance(head, InstanceHead):
        raise SystemExit("The model has no instance decoder of this project.")
    shape = tuple(max(GRANULE, round(n * zoom)) for n in pixels.shape[:2])
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float()
    image = F.interpolate(image[None], shape, mode="bilinear", antialias=zoom < 1)
    image = (image - sam.pixel_mean) / sam.pixel_std
    image = F.pad(image, (0, -shape[1] % GRANULE, 0, -shape[0] % GRANULE))
    with torch.autocast("cpu", torch.bfloat16):
        image = image.contiguous(memory_format=torch.channels_last)
        maps = head(encoder.stages(image))[0].float()
    maps[:1] = maps[:1].sigmoid()
    rows, columns = (-(-n // MAP_STRIDE) for n in shape)
    values = maps[:, :rows, :columns].half().numpy()
    return InstanceMaps(values, MapKind.DIRECTIONS, pixels.shape[:2])


def find(
    sam: Sam, pixels: NDArray[np.uint8], size: float | None, args: argparse.Namespace
) -> Found:
    """The objects of an image whose median object is `size` pixels large."""
    start = time.process_time()
    zoom = args.object_size / size if size else 1.0
    for _ in range(1 if size else ROUNDS):
        maps = maps_of(sam, pixels, zoom)
        labels = find_instances(maps, args.options)
        seen = size_of(labels) * zoom
        change = args.object_size / seen if seen else 1.0
        if size or max(change, 1 / change) < SAME_SIZE:
            break
        zoom = float(np.clip(zoom * change, 0.1, 8.0))
    return Found(labels, zoom, time.process_time() - start)


def evaluate(sam: Sam, name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Scores of a set."""
    overlaps = OverlapCounter()
    seconds, pixels_seen, seen_large = 0.0, 0, 0.0
    planes = chosen_planes(args.root, name)
    for number, plane in enumerate(planes):
        image, labels = plane.open_image(), plane.read_labels()
        pixels = image.read_rgb(plane.plane, 0, Box.of_shape(image.shape))
        size = None if args.estimate else size_of(labels)
        if args.crop:
            pixels, labels = (x[: args.crop, : args.crop] for x in (pixels, labels))
        found = find(sam, pixels, size, args)
        seconds += found.seconds
        pixels_seen += labels.size
        seen_large += labels.size * found.zoom**2
        overlaps.add(apart(found.labels, number), apart(labels, number))
    scores = score_thresholds(Meetings.of(overlaps.table()))
    accuracies = [score.ap or 0.0 for score in scores]
    return {
        "images": len(planes),
        "ap50": round(accuracies[0], 4),
        "ap75": round(accuracies[5], 4),
        "msa": round(float(np.mean(accuracies)), 4),
        "cpu_s_per_mpx": round(seconds / pixels_seen * 1e6, 2),
        "cpu_s_per_mpx_seen": round(seconds / seen_large * 1e6, 2),
    }


def apart(labels: NDArray[Any], number: int) -> NDArray[np.int64]:
    """Ids that no other image of the set has."""
    ids: NDArray[np.int64] = labels.astype(np.int64)
    return np.where(ids > 0, ids + number * IDS_AN_IMAGE, 0)


def main() -> None:
    """Parse the command line, evaluate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of the sets")
    parser.add_argument("--model", default="default")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[*SETS])
    parser.add_argument("--object-size", type=float, default=30.0)
    parser.add_argument("--estimate", action="store_true")
    parser.add_argument("--crop", type=int, help="only the first pixels of an image")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--option", nargs=2, action="append", default=[])
    args = parser.parse_args()
    given = {name: json.loads(value) for name, value in args.option}
    args.options = InstanceOptions(**given)
    torch.set_num_threads(args.threads)
    sam = load_model(args.model, device="cpu")
    results = {}
    for name in args.sets:
        results[name] = evaluate(sam, name, args)
        print(name, results[name], flush=True)
    means = {
        key: float(np.mean([r[key] for r in results.values()]))
        for key in ("ap50", "msa")
    }
    print("mean", means)
    if args.output is not None:
        args.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
