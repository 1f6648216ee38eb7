"""Which device of this machine to compute on."""

from __future__ import annotations

import torch

from napari_sam.errors import CheckpointError


def choose_device(device: str | torch.device = "auto") -> torch.device:
    """The device to compute on; a CheckpointError if this machine does not have it."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"A model needs a device of this machine, got {str(device)!r}: {reason} "
            'Use "auto" or "cpu".'
        ) from error
    return chosen
