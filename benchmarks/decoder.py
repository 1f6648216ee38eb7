"""Many prompts on one embedding: fast mask decoder, plain one, a peer's (C4, C8).

    python benchmarks/decoder.py
    python benchmarks/decoder.py --model default

Without --model the decoder is that of the published models, on an embedding of 64 x 64
pixels, with random weights: times do not depend on them. All ways answer the same
prompts, in turns, and are checked to answer the same before they are timed. Memory is
what a process of its own peaks at over the weights (Linux). With --model a window of
11 x 11 clicks is timed too, as everything in a window asks for it.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable

import numpy as np
import torch
from measuring import Taken, interleaved, memory_of, peak_memory, show
from torch import Tensor, nn

from napari_sam.automatic.window.segment import point_masks
from napari_sam.model.build import new_tiny_sam
from napari_sam.model.checkpoints import load_model
from napari_sam.model.inference.image_tokens import RecentImages
from napari_sam.model.inference.mask_decoder import predict_masks
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.window_model import Embedding
from napari_sam.prompts import Click

PLAIN, FAST, HALF, PEER = "plain", "fast", "fast, bfloat16", "transformers"
TOLERANCE = {FAST: 2e-6, HALF: 0.05, PEER: 1e-4}  # of the largest logit
CLICKS_PER_SIDE = 11


class Prompts:
    """Single clicks on a random embedding.

    Parameters
    ----------
    sam
        Whose decoder answers.
    count
        Of the clicks.
    """

    @torch.no_grad()
    def __init__(self, sam: Sam, count: int) -> None:
        torch.manual_seed(0)
        side = sam.prompt_encoder.image_embedding_side
        self.sam = sam
        self.features = torch.randn(256, side, side)
        clicks = torch.rand(count, 1, 2) * sam.image_encoder.img_size
        labels = torch.ones(count, 1)
        self.sparse, self.dense = sam.prompt_encoder((clicks, labels), None, None)
        self.position = sam.prompt_encoder.get_dense_pe()

    @torch.no_grad()
    def plain(self) -> Tensor:
        """The way that training takes."""
        logits, _ = self.sam.mask_decoder(
            self.features[None],
            self.position,
            self.sparse,
            self.dense,
            multimask_output=True,
        )
        return logits

    def fast(self, sam: Sam | None = None) -> Tensor:
        """The way that answers take; the embedding is new, nothing is kept of it."""
        sam = sam or self.sam
        sam.recent_images = RecentImages()
        image = sam.decoder_image(self.features)
        logits, _ = predict_masks(
            sam.mask_decoder, image, self.sparse, None, multimask_output=True
        )
        return logits

    def peer(self) -> Callable[[], Tensor]:
        """The decoder of transformers' SamModel, with the same weights."""
        from transformers import SamConfig  # noqa: PLC0415 - may not be there
        from transformers.models.sam.modeling_sam import (  # noqa: PLC0415
            SamMaskDecoder,
        )

        config = SamConfig().mask_decoder_config
        config._attn_implementation = "sdpa"
        decoder = SamMaskDecoder(config).eval()
        decoder.load_state_dict(_renamed(self.sam.mask_decoder))

        @torch.no_grad()
        def run() -> Tensor:
            answer = decoder(
                image_embeddings=self.features[None],
                image_positional_embeddings=self.position,
                sparse_prompt_embeddings=self.sparse[None],
                dense_prompt_embeddings=self.dense[:1],
                multimask_output=True,
            )
            logits: Tensor = answer[0][0]
            return logits

        return run


def _renamed(decoder: nn.Module) -> dict[str, Tensor]:
    """The weights under the names that they have there."""
    return {_new_name(key): value for key, value in decoder.state_dict().items()}


def _new_name(key: str) -> str:
    for ours, theirs in (
        *((f".norm{i}.", f".layer_norm{i}.") for i in range(1, 5)),
        ("norm_final_attn", "layer_norm_final_attn"),
        ("output_upscaling.0", "upscale_conv1"),
        ("output_upscaling.1", "upscale_layer_norm"),
        ("output_upscaling.3", "upscale_conv2"),
    ):
        key = key.replace(ours, theirs)
    if "mlps" in key or "iou_prediction_head" in key:
        key = key.replace("layers.0", "proj_in").replace("layers.2", "proj_out")
        key = key.replace("layers.1", "layers.0")
    return key


def model(name: str | None) -> Sam:
    """Named weights, or random ones of the published decoder."""
    if name is not None:
        return load_model(name, "cpu")
    torch.manual_seed(0)
    return new_tiny_sam(ModelMetadata("random", "random", image_size=1024)).eval()


def ways(prompts: Prompts) -> tuple[dict[str, Callable[[], Tensor]], list[list[str]]]:
    """What can be timed, and a row for what can not."""
    rounded = copy.deepcopy(prompts.sam)
    rounded.mask_decoder.to(torch.bfloat16)
    cases = {
        PLAIN: prompts.plain,
        FAST: prompts.fast,
        HALF: lambda: prompts.fast(rounded),
    }
    missing = []
    try:
        cases[PEER] = prompts.peer()
    except ImportError:
        missing.append([PEER, "not installed", "", "", "", ""])
    return cases, missing


def check(cases: dict[str, Callable[[], Tensor]]) -> dict[str, float]:
    """How far the answers of each way are off, of the largest logit."""
    expected = cases[PLAIN]()
    largest = expected.abs().max()
    errors = {PLAIN: 0.0}
    for name, tolerance in TOLERANCE.items():
        if name in cases:
            errors[name] = float((cases[name]() - expected).abs().max() / largest)
            if not errors[name] < tolerance:
                raise SystemExit(f"{name} answers otherwise: off by {errors[name]:.1e}")
    return errors


def print_memory(name: str | None, count: int, way: str) -> None:
    """What one way needs over the weights, in GB."""
    prompts = Prompts(model(name), count)
    case = ways(prompts)[0][way]
    print(memory_of(case))


def _shares(taken: Taken, plain: Taken) -> list[str]:
    """Of the time of the plain way, and of its processor time."""
    return [
        f"{taken.wall / plain.wall:.2f}",
        f"{taken.processor / plain.processor:.2f}",
    ]


def _memory(name: str, same: list[str]) -> str:
    """The peak of a way in a process of its own, in GB."""
    if sys.platform != "linux":
        return "Linux only"
    return f"{peak_memory(__file__, *same, '--memory-of', name):.2f}"


def main() -> None:
    """Parse the command line, check, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="name or file; else random weights")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        print_memory(args.model, args.prompts, args.memory_of)
        return
    prompts = Prompts(model(args.model), args.prompts)
    cases, rows = ways(prompts)
    errors = check(cases)
    taken_s = interleaved(cases, args.repeats)
    same = ["--prompts", str(args.prompts)]
    same += ["--model", args.model] if args.model else []
    for name, taken in reversed(taken_s.items()):
        shares = _shares(taken, taken_s[PLAIN])
        milliseconds = f"{1000 * taken.wall / args.prompts:.1f}"
        memory = _memory(name, same)
        rows.insert(0, [name, milliseconds, *shares, f"{errors[name]:.0e}", memory])
    header = [
        "decoder",
        "ms a prompt",
        "of plain",
        "of its processor time",
        "largest error",
        "peak, GB",
    ]
    show(f"{args.prompts} prompts, {args.model or 'random'}", header, rows)
    if args.model:
        _show_window(prompts.sam, args.repeats)


def _show_window(sam: Sam, repeats: int) -> None:
    """Everything that a grid of clicks in one window costs after its embedding."""
    side = sam.window_size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    embedding: Embedding = sam.encode(pixels)
    steps = (np.arange(CLICKS_PER_SIDE) + 0.5) * side / CLICKS_PER_SIDE
    clicks = [Click(y, x) for y in steps for x in steps]
    decoded = {"": lambda: point_masks(sam, embedding, clicks, sam.point_query)}
    (taken,) = interleaved(decoded, repeats).values()
    show(
        f"{len(clicks)} clicks in a window of {side}, decoded and drawn",
        ["ms", "ms a click"],
        [[f"{1000 * taken.wall:.0f}", f"{1000 * taken.wall / len(clicks):.1f}"]],
    )


if __name__ == "__main__":
    main()
