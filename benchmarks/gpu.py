"""What a GPU makes of SAM: first whether it is right, then how fast it is.

    python benchmarks/gpu.py                       # everything, on the GPU there is
    python benchmarks/gpu.py --rows encode click   # some of it
    python benchmarks/gpu.py --device cpu --smoke  # only whether the script runs

It needs torch, numpy and Pillow, and this repository; nothing else of the project's.
Weights are random. Every encoder is compared with the plain one in float32 on the
processor before its time is taken, and the script ends there if it is wrong. Peers are
segment_anything and transformers where they are installed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from napari_sam.model.build import new_tiny_sam
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.attention_cpu import Positions
from napari_sam.model.inference.attention_cuda import (
    attend_by_concatenation,
    attend_on_gpu,
)
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.inference.precision import AUTO, choose_precision, precision_name
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.sam import Sam
from napari_sam.model.window_model.point_masks import PointQuery
from napari_sam.prompts import Click

TOLERANCES = {torch.float32: 1e-4, torch.float16: 3e-3, torch.bfloat16: 3e-2}
"""Relative error by norm that an encoder may have against float32."""

ROOFLINE = {"vit_b": 847, "vit_l": 280, "vit_h": 141}
"""Windows a second of an H100 that does nothing but the arithmetic (calculated)."""


@dataclass(frozen=True)
class Shape:
    """Of a ViT encoder."""

    dim: int
    heads: int
    depth: int
    side: int = 1024

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Four global blocks, evenly spread; the others see 14 x 14 tokens."""
        every = max(1, self.depth // 4)
        return tuple(None if i % every == every - 1 else 14 for i in range(self.depth))


SHAPES = {
    "vit_b": Shape(768, 12, 12),
    "vit_l": Shape(1024, 16, 24),
    "vit_h": Shape(1280, 16, 32),
}
SMOKE_SHAPES = {"vit_b": Shape(64, 2, 2, side=256)}


@dataclass(frozen=True)
class Bench:
    """Where and how long to measure."""

    device: torch.device
    precision: torch.dtype
    shapes: dict[str, Shape]
    batches: tuple[int, ...]
    repeats: int
    grid: int  # clicks on a side

    def milliseconds(self, run: Callable[[], object]) -> float:
        """The median time of a run, after two that do not count."""
        times = []
        for _ in range(2 + self.repeats):
            self.wait()
            start = time.perf_counter()
            run()
            self.wait()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times[2:])

    def wait(self) -> None:
        """Until the device has done everything."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def side(self) -> int:
        """Of a window, in pixels."""
        return self.shapes["vit_b"].side


def vit(shape: Shape) -> ImageEncoderViT:
    """An encoder with random weights on the processor."""
    encoder = ImageEncoderViT(
        img_size=shape.side,
        patch_size=16,
        embed_dim=shape.dim,
        num_heads=shape.heads,
        windows=shape.windows,
        out_chans=256,
    )
    for name, parameter in encoder.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return encoder.eval().requires_grad_(False)


def network(name: str, bench: Bench) -> Sam:
    """A whole SAM of that variant with random weights, on the processor."""
    sam = new_tiny_sam(ModelMetadata(name, "random", image_size=bench.side()))
    if name in bench.shapes:
        sam.image_encoder = vit(bench.shapes[name])
    return sam.eval().requires_grad_(False)


def verified(sam: Sam, bench: Bench) -> Callable[[Tensor], Tensor]:
    """The encoder's form on the device, if it computes what the plain one does."""
    pixels = torch.randn(2, 3, bench.side(), bench.side())
    plain = sam.image_encoder(pixels)
    sam.to(bench.device)
    form = InferenceForm(bench.precision).of(sam.image_encoder)
    ours = form(pixels.to(bench.device)).cpu()
    error = ((ours - plain).norm() / plain.norm()).item()
    print(f"{sam.metadata.name}: error {error:.1e} against float32 on the processor")
    if not error < TOLERANCES[bench.precision]:
        sys.exit(
            f"{sam.metadata.name} is wrong on {bench.device}: nothing is measured."
        )
    return form


def measure_encode(bench: Bench) -> None:
    """G1 and G2: windows a second."""
    for name in [*bench.shapes, "vit_t"]:
        sam = network(name, bench)
        form = verified(sam, bench)
        for batch in bench.batches:
            side = bench.side()
            pixels = torch.randn(batch, 3, side, side, device=bench.device)
            if bench.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            rate = 1e3 * batch / bench.milliseconds(partial(form, pixels))
            print(
                f"  batch {batch}: {rate:.1f} windows/s{_share(name, rate)}{_memory()}"
            )
        for peer, run in peer_encoders(name, sam, bench).items():
            batch = bench.batches[-1]
            rate = 1e3 * batch / bench.milliseconds(run)
            print(f"  {peer}, batch {batch}: {rate:.1f} windows/s")


def _share(name: str, rate: float) -> str:
    is_h100 = torch.cuda.is_available() and "H100" in torch.cuda.get_device_name()
    if name not in ROOFLINE or not is_h100:
        return ""
    return f", {rate / ROOFLINE[name]:.0%} of the roofline"


def _memory() -> str:
    if not torch.cuda.is_available():
        return ""
    return f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"


def peer_encoders(name: str, sam: Sam, bench: Bench) -> dict[str, Callable[[], Tensor]]:
    """Other implementations of the encoder that are installed, on the same device."""
    found: dict[str, Callable[[], Tensor]] = {}
    side, count = bench.side(), bench.batches[-1]
    pixels = torch.randn(count, 3, side, side, device=bench.device)
    found["plain float32"] = lambda: sam.image_encoder(pixels)
    if name not in SHAPES or bench.shapes is not SHAPES:
        return found
    if importlib.util.find_spec("segment_anything"):
        from segment_anything import sam_model_registry  # noqa: PLC0415

        theirs = sam_model_registry[name]().image_encoder.to(bench.device).eval()
        found["segment_anything float32"] = lambda: theirs(pixels)
    if importlib.util.find_spec("transformers"):
        from transformers import SamConfig, SamModel  # noqa: PLC0415

        shape = SHAPES[name]
        vision = {
            "hidden_size": shape.dim,
            "num_hidden_layers": shape.depth,
            "num_attention_heads": shape.heads,
            "mlp_dim": 4 * shape.dim,
            "global_attn_indexes": [
                i for i, window in enumerate(shape.windows) if window is None
            ],
        }
        model = SamModel(SamConfig(vision_config=vision)).vision_encoder
        half = model.to(bench.device, torch.float16).eval()
        found["transformers float16"] = lambda: half(pixels.half()).last_hidden_state
    return found


def measure_attention(bench: Bench) -> None:
    """One global block's attention: the kernel, if it is there, and concatenation."""
    shape = bench.shapes["vit_b"]
    side, c = shape.side // 16, shape.dim // shape.heads
    batch = bench.batches[-1]
    qkv = torch.randn(batch, side, side, 3 * shape.dim, device=bench.device)
    qkv = qkv.to(bench.precision)
    relative = torch.randn(2, 2 * side - 1, c, device=bench.device) / 10
    positions = Positions.of(relative[0], relative[1], bench.precision)
    for name, attend in (
        ("as it is used", attend_on_gpu),
        ("concatenation", attend_by_concatenation),
    ):
        ms = bench.milliseconds(lambda f=attend: f(qkv, shape.heads, positions))
        tflops = 4 * batch * shape.heads * side**4 * c / ms / 1e9
        print(f"  {name}, batch {batch}: {ms:.2f} ms, {tflops:.0f} useful TFLOP/s")


def ready(bench: Bench) -> tuple[Sam, np.ndarray]:
    """A ViT-B that is verified and in use, and a window for it."""
    sam = network("vit_b", bench)
    verified(sam, bench)
    side = bench.side()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    sam.inference = InferenceForm(bench.precision)
    return sam, pixels


def measure_click(bench: Bench) -> None:
    """G4: from a click, with the embedding at hand, to a mask on the host."""
    sam, pixels = ready(bench)
    embedding = sam.encode(pixels)
    click = [Click(bench.side() / 2, bench.side() / 3)]
    ms = bench.milliseconds(lambda: sam.predict(embedding, click))
    print(f"  cached embedding: {ms:.2f} ms")
    if importlib.util.find_spec("segment_anything") and bench.shapes is SHAPES:
        from segment_anything import SamPredictor, sam_model_registry  # noqa: PLC0415

        theirs = SamPredictor(sam_model_registry["vit_b"]().to(bench.device))
        theirs.set_image(pixels)
        points, labels = np.array([[340.0, 512.0]]), np.array([1])
        ms = bench.milliseconds(lambda: theirs.predict(points, labels))
        print(f"  segment_anything: {ms:.2f} ms")


def measure_everything(bench: Bench) -> None:
    """G5: one window, a grid of clicks, from pixels to masks."""
    sam, pixels = ready(bench)
    side, grid = bench.side(), bench.grid
    places = (np.arange(grid) + 0.5) * side / grid
    clicks = [Click(float(y), float(x)) for y in places for x in places]
    # Random weights expect little: all are drawn that a third would be of real ones.
    query = PointQuery(min_score=0, min_stability_score=0)

    def everything() -> object:
        return sam.predict_many(sam.encode(pixels), clicks, query)

    ms = bench.milliseconds(everything)
    print(f"  {grid} x {grid} clicks, every mask drawn: {ms:.1f} ms")
    if importlib.util.find_spec("segment_anything") and bench.shapes is SHAPES:
        from segment_anything import (  # noqa: PLC0415
            SamAutomaticMaskGenerator,
            sam_model_registry,
        )

        theirs = SamAutomaticMaskGenerator(
            sam_model_registry["vit_b"]().to(bench.device),
            pred_iou_thresh=0,
            stability_score_thresh=0,
        )
        ms = bench.milliseconds(lambda: theirs.generate(pixels))
        print(f"  segment_anything: {ms:.1f} ms")


MEASURES = {
    "attention": measure_attention,
    "encode": measure_encode,
    "click": measure_click,
    "everything": measure_everything,
}


def main() -> None:
    """Read the options, say where this runs, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precision", default=AUTO)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("There is no GPU here; --device cpu --smoke tries the script.")
    precision = choose_precision(options.precision, device)
    bench = Bench(
        device,
        precision,
        SMOKE_SHAPES if options.smoke else SHAPES,
        batches=(1, 2) if options.smoke else (1, 4, 8),
        repeats=1 if options.smoke else 20,
        grid=2 if options.smoke else 32,
    )
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    print(
        f"{name}, torch {torch.__version__}, {precision_name(precision)}, "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    )
    torch.manual_seed(0)
    with torch.no_grad():
        for row in options.rows:
            print(f"{row}: {(MEASURES[row].__doc__ or '').splitlines()[0]}")
            MEASURES[row](bench)


if __name__ == "__main__":
    main()
