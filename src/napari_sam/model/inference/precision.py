"""Which numbers a device computes with.

| device | what there is, the default first |
|---|---|
| CPU | float32; bfloat16 where a quick timing finds it faster |
| CUDA | float16; bfloat16 where the GPU has it; float32 |
| others, such as MPS | float32 |

A CPU stays exact unless a lower precision is chosen. On a GPU float16 is as fast as
bfloat16 and eight times as precise. Masks are decoded from embeddings that are kept as
float16 in any case.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import MappingProxyType

import torch

from napari_sam.errors import CheckpointError

AUTO = "auto"
PRECISIONS = MappingProxyType(
    {
        "cpu": ("float32", "bfloat16"),
        "cuda": ("float16", "bfloat16", "float32"),
    }
)
ONLY_EXACT = ("float32",)
TYPES = MappingProxyType(
    {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }
)

TRIAL_ROWS, TRIAL_WIDTH = 256, 768  # a matrix product like an encoder's
TRIALS = 5


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type to compute with on a device.

    Parameters
    ----------
    name
        "auto", "float32", "bfloat16" or "float16".
    device
        Where.

    Returns
    -------
    torch.dtype
        Of matrix products.

    Raises
    ------
    CheckpointError
        There is no such precision, or not on this device.
    """
    there = PRECISIONS.get(device.type, ONLY_EXACT)
    if name == AUTO:
        return TYPES[there[0]]
    if name not in TYPES:
        raise CheckpointError(
            f"A precision is {AUTO}, {', '.join(TYPES)}, got {name!r}."
        )
    if name not in there:
        raise CheckpointError(
            f"On {device.type}, numbers are {' or '.join(there)}, got {name!r}. Use "
            f'one of those, or "{AUTO}".'
        )
    if name == "bfloat16":
        _check_bfloat16(device)
    return TYPES[name]


def precision_name(dtype: torch.dtype) -> str:
    """What `choose_precision` calls a type."""
    return str(dtype).removeprefix("torch.")


def _check_bfloat16(device: torch.device) -> None:
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return
        raise CheckpointError(
            "bfloat16 needs a GPU that computes with it (NVIDIA: Ampere or newer), got "
            f"{torch.cuda.get_device_name(device)}. Use float16."
        )
    exact_s, lowered_s = (
        trial_seconds(dtype) for dtype in (torch.float32, TYPES["bfloat16"])
    )
    if lowered_s >= exact_s:
        raise CheckpointError(
            "bfloat16 needs a processor that is faster with it (AVX512-BF16, AMX, or "
            f"Arm's BF16); on this one a trial took {lowered_s * 1e3:.1f} ms instead "
            f"of {exact_s * 1e3:.1f} ms with float32. Use float32."
        )


def trial_seconds(
    dtype: torch.dtype, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The least time that a matrix product took on the processor."""
    x = torch.ones(TRIAL_ROWS, TRIAL_WIDTH, dtype=dtype)
    weight = torch.ones(4 * TRIAL_WIDTH, TRIAL_WIDTH, dtype=dtype)
    least_s = float("inf")
    for _ in range(TRIALS):
        start_s = clock()
        torch.nn.functional.linear(x, weight)
        least_s = min(least_s, clock() - start_s)
    return least_s


def precision_in(fingerprint: str) -> str:
    """The precision that is part of a model's fingerprint."""
    _, _, last = fingerprint.rpartition("-")
    return last if last in TYPES else precision_name(torch.float32)
