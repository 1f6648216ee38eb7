"""What encoding takes in memory, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MOST_BYTES = 0.4e9

SCRIPT = """
import sys
import torch
from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.encoder import InferenceForm

torch.set_num_threads(1)
with torch.device("meta"):
    encoder = ImageEncoderViT(
        img_size=1024, patch_size=16, embed_dim=768, num_heads=12,
        windows=(14, None) if sys.argv[1] == "fast" else (None,), out_chans=256,
    )
encoder = encoder.to_empty(device="cpu").eval().requires_grad_(False)
for parameter in encoder.parameters():
    parameter.normal_(0, 0.02)
# Libraries set themselves up at the first product and convolution.
small = torch.randn(1, 3, 64, 64)
torch.nn.functional.conv2d(small, torch.randn(8, 3, 3, 3)).sum()
torch.nn.functional.linear(torch.randn(64, 64), torch.randn(64, 64))
image = torch.randn(1, 3, 1024, 1024)


def peak():
    # Not getrusage's: that one begins with what the parent had.
    with open("/proc/self/status") as file:
        return next(int(x.split()[1]) * 1024 for x in file if x.startswith("VmHWM"))


before = peak()
with torch.no_grad():
    if sys.argv[1] == "fast":
        InferenceForm(torch.float32).of(encoder)(image)
    else:
        encoder(image)
print(peak() - before)
"""


def taken(form: str) -> float:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, form], capture_output=True, text=True, check=True
    )
    return float(run.stdout)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="counts memory as Linux tells it"
)
def test_a_window_of_vit_b_takes_less_than_the_bound_beside_the_weights() -> None:
    # Every block of a kind takes the same, and gives it back: two stand for twelve.
    # The plain one is the control; a global block is where it takes most.
    assert 0 < taken("fast") < MOST_BYTES < taken("plain")
