"""The encoders on a GPU agree with the plain ones in float32 on the processor."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch

from napari_sam.model.image_encoder import ImageEncoderViT
from napari_sam.model.inference.attention_cpu import Positions
from napari_sam.model.inference.attention_cuda import (
    KERNEL_SIDE,
    attend_by_concatenation,
    kernel_agrees,
)
from napari_sam.model.inference.encoder import InferenceForm
from napari_sam.model.tiny_vit import TinyViT

HALF = 3e-3
"""Relative error of float16 through an encoder, by norm."""

EXACT = 1e-5

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
with_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="needs Triton"
)

INTERPRETED = f"""
import torch
from napari_sam.model.inference import attention_triton
from napari_sam.model.inference.attention_cpu import Positions, attend_by_position

torch.manual_seed(0)
for side, heads, c, count in ((16, 2, 64, 2), (32, 1, 80, 1)):
    qkv = torch.randn(count, side, side, 3 * heads * c)
    positions = Positions.of(*torch.randn(2, 2 * side - 1, c) * 0.3, torch.float32)
    ours = attention_triton.attend_with_kernel(qkv, heads, positions)
    plain = attend_by_position(qkv, heads, positions)
    error = ((ours - plain).abs().max() / plain.abs().max()).item()
    assert error < {EXACT}, (side, error)
print("agrees")
"""


def encoders() -> list[ImageEncoderViT | TinyViT]:
    torch.manual_seed(0)
    vit = ImageEncoderViT(
        img_size=1024,
        patch_size=16,
        embed_dim=256,
        num_heads=4,
        windows=(14, None, 14, None),
        out_chans=64,
    )
    for name, parameter in vit.named_parameters():
        if "rel_pos" in name or "pos_embed" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return [vit.eval(), TinyViT(512, 256).eval()]


def error(ours: torch.Tensor, plain: torch.Tensor) -> float:
    return ((ours.cpu() - plain).norm() / plain.norm()).item()


@with_triton
def test_the_kernel_is_exact_in_tritons_interpreter() -> None:
    # The interpreter is chosen when Triton is imported.
    run = subprocess.run(
        [sys.executable, "-c", INTERPRETED],
        capture_output=True,
        text=True,
        check=False,
        env={"TRITON_INTERPRET": "1", "PATH": ""},
    )
    assert run.stdout.strip() == "agrees", run.stderr


@on_gpu
@with_triton
def test_the_kernel_agrees_on_this_gpu() -> None:
    assert kernel_agrees(torch.device("cuda"))


@on_gpu
@pytest.mark.parametrize("side", [14, KERNEL_SIDE])
def test_concatenation_agrees_with_float64(side: int) -> None:
    heads, c = 2, 64
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, side, side, 3 * heads * c, generator=generator)
    relative = torch.randn(2, 2 * side - 1, c, generator=generator) * 0.1
    exact = attend_by_concatenation(
        qkv.double(), heads, Positions.of(*relative, torch.float64)
    )
    half = attend_by_concatenation(
        qkv.cuda().half(), heads, Positions.of(*relative.cuda(), torch.float16)
    )
    assert error(half.double(), exact) < HALF


@on_gpu
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("number", [0, 1], ids=["vit", "vit_t"])
def test_float16_on_a_gpu_keeps_to_its_tolerance(number: int, count: int) -> None:
    encoder = encoders()[number]
    pixels = torch.randn(count, 3, encoder.img_size, encoder.img_size)
    with torch.no_grad():
        plain = encoder(pixels)
        form = InferenceForm(torch.float16).of(encoder.cuda())
        assert error(form(pixels.cuda()), plain) < HALF
        # Played back with other pixels, and then with the first ones again.
        other = form(pixels.cuda() * 0.5)
        assert error(other, plain) > 10 * HALF
        assert error(form(pixels.cuda()), plain) < HALF


@on_gpu
@pytest.mark.parametrize("number", [0, 1], ids=["vit", "vit_t"])
def test_float32_on_a_gpu_is_nearly_exact(number: int) -> None:
    encoder = encoders()[number]
    pixels = torch.randn(1, 3, encoder.img_size, encoder.img_size)
    with torch.no_grad():
        plain = encoder(pixels)
        ours = InferenceForm(torch.float32).of(encoder.cuda())(pixels.cuda())
    assert error(ours, plain) < EXACT


@pytest.mark.parametrize("side", [6, 14])
def test_concatenation_is_exact_on_a_processor_in_float64(side: int) -> None:
    heads, c = 2, 20
    qkv = torch.randn(3, side, side, 3 * heads * c, dtype=torch.float64)
    relative = torch.randn(2, 2 * side - 1, c, dtype=torch.float64)
    ours = attend_by_concatenation(qkv, heads, Positions.of(*relative, torch.float64))
    q, k, v = (x.flatten(1, 2) for x in qkv.unflatten(-1, (3, heads, c)).unbind(-3))
    steps = torch.arange(side)
    apart = steps[:, None] - steps[None, :] + side - 1
    rows, columns = (
        torch.einsum("bnhc,nkc->bhnk", q, table[index])
        for table, index in zip(relative, _pairs(apart, side), strict=True)
    )
    scores = torch.einsum("bnhc,bkhc->bhnk", q, k) / c**0.5 + rows + columns
    wanted = torch.einsum("bhnk,bkhc->bnhc", scores.softmax(-1), v)
    np.testing.assert_allclose(ours.flatten(1, 2), wanted, rtol=1e-10, atol=1e-12)


def _pairs(apart: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """For every query and key of a map, the row of each table."""
    tokens = torch.arange(side**2)
    row, column = tokens // side, tokens % side
    return apart[row[:, None], row[None]], apart[column[:, None], column[None]]
