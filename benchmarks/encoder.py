"""How long it takes to embed a window on a processor, beside other ways to do it.

    python benchmarks/encoder.py
    python benchmarks/encoder.py --rows vit_t click --threads 1 --repeats 5

All take turns and have the same random weights. ViT-B's peers are transformers and
segment_anything, where they are installed; the same chain of operations, with all
scores of a block in memory, which stands in for the latter; and this project's plain
network, which is what is trained. Ratios are of the shortest times; those of the time
on the processor, in brackets, say more on a busy machine. The error is the largest
difference from the plain network, in largest magnitudes.

The last rows are the embedded default's: a click in a window that was seen before, and
the first one in a window that was not.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from measuring import show
from torch import Tensor
from written_out import embed_written_out

from napari_sam.errors import CheckpointError
from napari_sam.model.checkpoints import load_model
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.inference.precision import choose_precision
from napari_sam.model.tiny_vit import TinyViT
from napari_sam.prompts import Click

SIDE = 1024
GLOBAL_BLOCKS = (2, 5, 8, 11)

HUGGING_NAMES = {
    "patch_embed.proj": "patch_embed.projection",
    "blocks.": "layers.",
    ".norm": ".layer_norm",
    "neck.0": "neck.conv1",
    "neck.1": "neck.layer_norm1",
    "neck.2": "neck.conv2",
    "neck.3": "neck.layer_norm2",
}


@dataclass
class Way:
    """One way to embed, and what it took so far."""

    run: Callable[[], Tensor]
    wall_s: list[float] = field(default_factory=list)
    processor_s: list[float] = field(default_factory=list)
    result: Tensor | None = None

    def once(self) -> None:
        """Run and measure."""
        wall, processor = time.perf_counter(), time.process_time()
        self.result = self.run()
        self.wall_s.append(time.perf_counter() - wall)
        self.processor_s.append(time.process_time() - processor)


def vit_b() -> ImageEncoderViT:
    """The encoder with random weights, of which all matter."""
    encoder = ImageEncoderViT(
        img_size=SIDE,
        patch_size=16,
        embed_dim=768,
        num_heads=12,
        windows=tuple(None if i in GLOBAL_BLOCKS else 14 for i in range(12)),
        out_chans=256,
    )
    for name, parameter in encoder.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return encoder.eval().requires_grad_(False)


def vit_t() -> TinyViT:
    """The encoder with random weights and statistics."""
    encoder = TinyViT(SIDE, 256)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5)
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return encoder.eval().requires_grad_(False)


def own_ways(encoder: ImageEncoderViT | TinyViT, pixels: Tensor) -> dict[str, Way]:
    """The plain network and the forms in which it is used."""
    ways = {"plain": Way(lambda: encoder(pixels))}
    exact = InferenceForm(torch.float32).of(encoder)
    ways["float32"] = Way(lambda: exact(pixels))
    try:
        lowered = InferenceForm(choose_precision("bfloat16", pixels.device)).of(encoder)
        ways["bfloat16"] = Way(lambda: lowered(pixels))
    except CheckpointError as error:
        print(f"bfloat16 is left out: {error}")
    return ways


def segment_anything_way(encoder: ImageEncoderViT, pixels: Tensor) -> Way | None:
    """Meta's package with these weights, if it is installed."""
    if importlib.util.find_spec("segment_anything") is None:
        print("segment_anything is not installed: its chain of operations stands in.")
        return None
    from segment_anything import sam_model_registry  # noqa: PLC0415

    theirs = sam_model_registry["vit_b"]().image_encoder.eval()
    theirs.load_state_dict(encoder.state_dict())
    return Way(lambda: theirs(pixels))


def transformers_way(encoder: ImageEncoderViT, pixels: Tensor) -> Way | None:
    """Hugging Face's package with these weights, if it is installed."""
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: its row is left out.")
        return None
    from transformers import SamConfig, SamModel  # noqa: PLC0415

    theirs = SamModel(SamConfig()).vision_encoder.eval()
    state = {}
    for name, value in encoder.state_dict().items():
        for ours, other in HUGGING_NAMES.items():
            name = name.replace(ours, other)  # noqa: PLW2901
        state[name] = value
    theirs.load_state_dict(state)
    return Way(lambda: theirs(pixels).last_hidden_state)


def measured(title: str, ways: dict[str, Way], peer: str, repeats: int) -> None:
    """Let all take turns, and print the table."""
    for _ in range(repeats):
        for way in ways.values():
            way.once()
    plain = ways["plain"].result
    rows = []
    for name, way in ways.items():
        ratios = []
        for other in (peer, "plain"):
            wall = min(way.wall_s) / min(ways[other].wall_s)
            processor = min(way.processor_s) / min(ways[other].processor_s)
            ratios.append(f"{wall:.2f} ({processor:.2f})")
        error = ((way.result - plain).abs().max() / plain.abs().max()).item()
        rows.append([name, f"{min(way.wall_s):.2f}", *ratios, f"{error:.1e}"])
    header = ["way", "seconds", f"of {peer}", "of plain", "error"]
    show(title, header, rows)


def measure_vit_b(repeats: int) -> None:
    """C1 and C2."""
    encoder, pixels = vit_b(), torch.randn(1, 3, SIDE, SIDE)
    ways = {
        "segment_anything": segment_anything_way(encoder, pixels),
        "written out": Way(lambda: embed_written_out(encoder, pixels)),
        "transformers": transformers_way(encoder, pixels),
    } | own_ways(encoder, pixels)
    there = {name: way for name, way in ways.items() if way is not None}
    peer = next(iter(there))
    measured("C1, C2: ViT-B, one window of 1024 x 1024", there, peer, repeats)


def measure_vit_t(repeats: int) -> None:
    """C3."""
    encoder, pixels = vit_t(), torch.randn(1, 3, SIDE, SIDE)
    ways = own_ways(encoder, pixels)
    measured("C3: vit_t, one window of 1024 x 1024", ways, "plain", repeats)


def measure_clicks(repeats: int) -> None:
    """C9."""
    sam = load_model("default", "cpu")
    side = sam.window_size
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    click = [Click(side / 2, side / 2)]
    seen = sam.encode(pixels)
    cases = {
        "cached embedding": lambda: sam.predict(seen, click),
        "cold window": lambda: sam.predict(sam.encode(pixels), click),
    }
    rows = []
    for name, run in cases.items():
        times = []
        for _ in range(4 * repeats):
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
        rows.append([name, f"{np.median(times):.0f}", f"{min(times):.0f}"])
    title = f"C9: a click of the embedded default, window of {side} x {side}"
    show(title, ["", "median ms", "shortest ms"], rows)


MEASURES = {"vit_b": measure_vit_b, "vit_t": measure_vit_t, "click": measure_clicks}


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        for row in options.rows:
            MEASURES[row](options.repeats)


if __name__ == "__main__":
    main()
