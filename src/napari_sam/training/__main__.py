"""Train the embedded default: python -m napari_sam.training FOLDER --output FILE."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from napari_sam.model.facts import ModelFacts
from napari_sam.model.sam import Sam
from napari_sam.training.dataset import read_folder
from napari_sam.training.loop import CURRICULUM, Trainer, TrainingOptions


def export(sam: Sam, path: Path, metadata: Mapping[str, str]) -> None:
    """Write weights as float16 safetensors, with what a loader has to know.

    Parameters
    ----------
    sam
        The trained network.
    path
        The file to be written, whole or not at all.
    metadata
        Further facts: training data, licences, evaluation.
    """
    facts = {
        "name": sam.facts.name,
        "image_size": json.dumps(sam.image_encoder.img_size),
        "window_size": json.dumps(sam.window_size),
        "pixel_mean": json.dumps(sam.facts.pixel_mean),
        "pixel_std": json.dumps(sam.facts.pixel_std),
    }
    state = {
        key: value.half() if value.is_floating_point() else value
        for key, value in sam.cpu().state_dict().items()
    }
    part = path.with_suffix(".part")
    save_file(
        {key: value.contiguous() for key, value in state.items()},
        part,
        {**facts, **metadata},
    )
    part.replace(path)


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, train, export."""
    parser = argparse.ArgumentParser(prog="python -m napari_sam.training")
    parser.add_argument(
        "folders", nargs="+", type=Path, help="each with images/, labels/"
    )
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--checkpoint", type=Path, help="to resume from, and save to")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument(
        "--image-size", type=int, default=512, help="side that the encoder works at"
    )
    parser.add_argument(
        "--window", type=int, default=256, help="side of what it is shown, in pixels"
    )
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu"
    )
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    images = [image for folder in args.folders for image in read_folder(folder)]
    phases = tuple(
        replace(phase, size=min(phase.size, args.image_size)) for phase in CURRICULUM
    )
    options = TrainingOptions(minutes=args.minutes, phases=phases, seed=args.seed)
    facts = ModelFacts(
        "default",
        fingerprint="untrained",
        image_size=args.image_size,
        window_size=args.window,
    )
    trainer = Trainer(images, options, facts, args.device)
    sam = trainer.run(args.checkpoint or args.output.with_suffix(".checkpoint.pt"))
    run: Mapping[str, Any] = trainer.facts()
    data = ", ".join(folder.name for folder in args.folders)
    export(sam, args.output, {"training": json.dumps(run), "training_data": data})


if __name__ == "__main__":
    main()
