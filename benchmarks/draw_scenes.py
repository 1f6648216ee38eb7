"""A contact sheet of synthetic scenes: every kind at three object sizes, outlined.

    python benchmarks/draw_scenes.py [--output docs/scenes.png] [--seed 3]

The left half of each picture is as the model sees it, the right half has the outlines
of its labels. It also prints the processor time of a scene of 256 x 256.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

from napari_sam.scenes import Scene, SceneKind, SceneOptions, make_scene

SIDE = 192
TIMED_SIDE = 256
GAP = 4
HEADER = 14
SIZES = (12.0, 36.0, 110.0)
OUTLINE = (255, 190, 0)


def shown(scene: Scene) -> NDArray[np.uint8]:
    """(h, w, 3), contrast stretched, outlines over the right half."""
    pixels = scene.pixels
    if pixels.ndim == 2:
        low, high = np.percentile(pixels, (0.2, 99.8))
        grey = np.clip((pixels - low) / max(high - low, 1) * 255, 0, 255)
        pixels = np.repeat(grey[..., None].astype(np.uint8), 3, axis=-1)
    pixels = pixels.copy()
    edges = find_boundaries(scene.labels_hw, mode="inner")
    edges[:, : edges.shape[1] // 2] = False
    pixels[edges] = OUTLINE
    return pixels


def sheet(seed: int) -> Image.Image:
    """A row for each kind, a column for each object size."""
    step = SIDE + GAP
    picture = Image.new(
        "RGB", (step * len(SceneKind), (step + HEADER) * len(SIZES)), "white"
    )
    draw = ImageDraw.Draw(picture)
    for column, kind in enumerate(SceneKind):
        for row, size in enumerate(SIZES):
            blur = 0.7 + size / 110
            options = SceneOptions(
                kind, (SIDE, SIDE), size, 0.6, 0.25, blur, seed + 10 * row + column
            )
            corner = column * step, row * (step + HEADER)
            draw.text(corner, f"{kind}, {size:g} px", fill="black")
            tile = Image.fromarray(shown(make_scene(options)))
            picture.paste(tile, (corner[0], corner[1] + HEADER))
    return picture


def milliseconds(kind: SceneKind, size: float, repeats: int = 7) -> float:
    """Median processor time of a scene."""
    times = []
    for seed in range(repeats):
        options = SceneOptions(kind, (TIMED_SIDE, TIMED_SIDE), size, seed=seed)
        start = time.process_time()
        make_scene(options)
        times.append(time.process_time() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    """Write the sheet, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/scenes.png"))
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    picture = sheet(arguments.seed)
    picture.quantize(128).save(arguments.output, optimize=True)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1000:.0f} kB")
    print("ms of processor time for a scene of 256 x 256, by object size")
    print("kind       " + "".join(f"{size:>8g}" for size in SIZES))
    for kind in SceneKind:
        row = "".join(f"{milliseconds(kind, size):8.0f}" for size in SIZES)
        print(f"{kind:11}{row}")


if __name__ == "__main__":
    main()
