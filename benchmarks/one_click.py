"""One click to a full-size mask, embedding at hand, and in a new window (C5, C9).

    OMP_NUM_THREADS=2 python benchmarks/one_click.py

The first table takes turns between the plain way (the plain decoder, all masks enlarged
twice) and ours, from the prompt to masks in numpy, for the published models' decoder
with random weights and for the embedded default. The second is about what a user of the
embedded default waits for: `ImagePredictor.predict` on an image of cells.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from measuring import interleaved, show
from numpy.typing import NDArray
from skimage import data
from torch.nn import functional as F

import napari_sam as ns
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.window_model import Embedding
from napari_sam.prompts import Click, sam_points

COINS = [(60.5, 42.5), (60.5, 105.5), (180.5, 150.5), (120.5, 230.5), (240.5, 320.5)]


@torch.no_grad()
def plain_masks(sam: Sam, embedding: Embedding, click: Click) -> NDArray[np.bool_]:
    """The masks of `Sam.predict`, in the plain way."""
    side, shape = sam.image_encoder.img_size, embedding.window_shape
    scale = side / max(shape)
    points, labels = sam_points([click])
    xy = torch.from_numpy((points + 0.5) * scale - 0.5).float()[None]
    sparse, dense = sam.prompt_encoder((xy, torch.from_numpy(labels)[None]), None, None)
    features = torch.from_numpy(embedding.features_chw).float()[None]
    position = sam.prompt_encoder.get_dense_pe()
    logits, _ = sam.mask_decoder(
        features, position, sparse, dense, multimask_output=True
    )
    for size in ((side, side), shape):
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=False)
    masks: NDArray[np.bool_] = (logits[0] > sam.mask_threshold).numpy()
    return masks


def click_row(name: str, sam: Sam, side: int, repeats: int) -> list[str]:
    """Both ways for one network."""
    rng = np.random.default_rng(0)
    low = sam.prompt_encoder.image_embedding_side
    features = rng.standard_normal((256, low, low)).astype(np.float16)
    embedding, click = Embedding(features, (side, side)), Click(side / 3, side / 2)
    ours = np.stack([a.mask_hw for a in sam.predict(embedding, [click])])
    plain = plain_masks(sam, embedding, click)
    # Best first here, in the decoder's order there.
    off = max(min((a != b).mean() for b in plain) for a in ours)
    if off > 1e-4:
        raise SystemExit(f"{name}: {off:.1e} of the pixels differ")
    cases = {
        "plain": lambda: plain_masks(sam, embedding, click),
        "ours": lambda: sam.predict(embedding, [click]),
    }
    plain_s, ours_s = interleaved(cases, repeats).values()
    return [
        name,
        f"{1000 * plain_s.wall:.1f}",
        f"{1000 * ours_s.wall:.1f}",
        f"{ours_s.wall / plain_s.wall:.2f}",
        f"{ours_s.processor / plain_s.processor:.2f}",
    ]


def user_rows(repeats: int) -> list[list[str]]:
    """What a click on an image costs, before and after its window was looked at."""
    model = load_model("default", "cpu")
    image = ns.open_image(data.coins())
    cold, warm = [], []
    for _ in range(repeats):
        for y, x in COINS:
            predictor = ns.ImagePredictor(model, image)
            for times in (cold, warm):
                start = time.perf_counter()
                predictor.predict([Click(y, x)])
                times.append(1000 * (time.perf_counter() - start))
    return [
        [name, f"{min(times):.0f}", f"{statistics.median(times):.0f}", aim]
        for name, times, aim in (
            ("first click in a window", cold, "600"),
            ("again, embedding kept", warm, "40"),
        )
    ]


def main() -> None:
    """Parse the command line, check, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(0)
    published = new_tiny_sam(ModelMetadata("random", "random", image_size=1024)).eval()
    default = load_model("default", "cpu")
    side = default.window_size
    rows = [
        click_row("published decoder, 1024 pixels", published, 1024, args.repeats),
        click_row(f"embedded default, {side} pixels", default, side, args.repeats),
    ]
    header = ["", "plain, ms", "ours, ms", "ratio", "of processor time"]
    show("one click, embedding kept", header, rows)
    show(
        "a click on an image, embedded default",
        ["", "least, ms", "median, ms", "aim, ms"],
        user_rows(max(args.repeats // 10, 1)),
    )


if __name__ == "__main__":
    main()
