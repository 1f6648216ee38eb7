"""A name or a file of weights -> a network that is ready to use.

Nothing in a file is ever run. A pickle is a program, so `torch.load` is only called
with `weights_only=True`, and only for the zip format: its reader of the older tar
format ran code in spite of that flag (CVE-2025-32434, fixed in torch 2.6). The
first bytes of a file say what it is, never its name.
"""

from __future__ import annotations

import logging
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_sam.errors import CheckpointError, DownloadError
from napari_sam.model.build import build_distance_decoder, build_sam
from napari_sam.model.devices import choose_device
from napari_sam.model.download import (
    FINGERPRINT_ALGORITHM,
    LocalWeights,
    Progress,
    RetryPolicy,
    fetch,
    file_digests,
)
from napari_sam.model.file_fields import metadata_of
from napari_sam.model.inference import AUTO, InferenceForm, choose_precision
from napari_sam.model.metadata import ModelMetadata
from napari_sam.model.registry import (
    DEFAULT_MODEL,
    ModelRow,
    find_row,
    unknown_name,
)
from napari_sam.model.sam import Sam

logger = logging.getLogger(__name__)

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
TEXT_PICKLE = re.compile(rb"c[\w.]+\n[\w.]+\n")  # protocol 0 names an object so
TAR_MAGIC, TAR_MAGIC_AT = b"ustar", 257
LARGEST_SAFETENSORS_HEADER = 100_000_000  # bytes; the format's own limit
HEAD_BYTES = 512

WRAPPERS = ("model_state", "model_state_dict", "state_dict", "model")
"""Where training programs put the weights among other things."""

DECODER = "decoder_state"
"""Where torch-em puts an instance decoder, beside the weights."""

KEY_PREFIXES = ("sam.", "module.")
"""What torch-em and DataParallel put before every key."""

EXPORT_RECIPE = (
    "If you trust it, export its weights in the program that made it, where `model` "
    "is the network:\n"
    "    from safetensors.torch import save_file\n"
    "    state = {k: v.contiguous() for k, v in model.state_dict().items()}\n"
    '    save_file(state, "weights.safetensors")'
)

_UNKNOWN_PICKLE = "it holds pickled objects, or is damaged"

_UNREADABLE = (
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    EOFError,
    struct.error,
    zipfile.BadZipFile,
)
"""What torch raises for damaged files, by where they are damaged."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a file of weights holds: keys as published, floats as float32.

    Parameters
    ----------
    state
        Of the network.
    metadata
        What the file says about itself.
    decoder
        Of an instance decoder beside it, as torch-em saves them; None: there is none.
    """

    state: Mapping[str, Tensor]
    metadata: ModelMetadata
    decoder: Mapping[str, Tensor] | None = None


def load_model(
    name_or_path: str | Path = DEFAULT_MODEL,
    device: str | torch.device = "auto",
    *,
    precision: str = AUTO,
    progress: Progress | None = None,
) -> Sam:
    """Return a network with the weights of that name or in that file, ready for use.

    Parameters
    ----------
    name_or_path
        A name from `napari-sam models`, or the path of a file. A string that is a
        name means that model; write "./vit_b" for a file of that name. Weights that
        are not here yet are downloaded into the cache folder, see
        `NAPARI_SAM_CACHE`.
    device
        "auto" takes CUDA if there is a GPU for it, else Apple's MPS, else the CPU.
    precision
        "float32", "bfloat16", "float16" or "auto", see `model.inference.precision`.
    progress
        Called with bytes done and bytes in all while downloading; None: a bar on
        the terminal.

    Returns
    -------
    Sam
        In evaluation mode, on the device.

    Raises
    ------
    CheckpointError
        No such model, device or precision; or a damaged, foreign or unsafe file.
    DownloadError
        The weights could not be fetched whole.
    """
    if not isinstance(name_or_path, str | PathLike):
        raise CheckpointError(
            "A model needs a name from `napari-sam models` or the path of a file, got "
            f"{name_or_path!r}."
        )
    where = choose_device(device)
    dtype = choose_precision(precision, where)
    row = find_row(name_or_path) if isinstance(name_or_path, str) else None
    if row is not None:
        checkpoint = read_checkpoint(fetch(row, progress=progress), row.name)
        checkpoint = _with_decoder(checkpoint, row, progress)
    else:
        checkpoint = read_checkpoint(_existing(name_or_path))
    sam = build_sam(checkpoint.state, checkpoint.metadata)
    if checkpoint.decoder is not None:
        sam.instance_decoder = build_distance_decoder(
            checkpoint.decoder, checkpoint.metadata.name
        )
    sam.to(where).eval()
    sam.inference = InferenceForm(dtype)
    return sam


def read_decoder(source: str | Path | LocalWeights) -> Mapping[str, Tensor]:
    """The weights of micro-sam's instance decoder, in a file by itself or of a model.

    Parameters
    ----------
    source
        The path of a `*_decoder.pt` or of a checkpoint with `decoder_state`, or what
        `fetch` returned.

    Raises
    ------
    CheckpointError
        As of `read_checkpoint`.
    """
    checkpoint = read_checkpoint(source)
    return checkpoint.state if checkpoint.decoder is None else checkpoint.decoder


def _with_decoder(
    checkpoint: Checkpoint, row: ModelRow, progress: Progress | None
) -> Checkpoint:
    """The checkpoint with what the registry has beside it.

    Without a connection the model still answers prompts, as it does without one.
    """
    if row.decoder is None:
        return checkpoint
    try:
        decoder = fetch(row.decoder, progress=progress, policy=RetryPolicy(attempts=1))
    except DownloadError as error:
        logger.warning("%s is used without its instance decoder: %s", row.name, error)
        return checkpoint
    metadata = checkpoint.metadata
    both = f"{metadata.fingerprint}-{decoder.fingerprint}"
    return replace(
        checkpoint,
        decoder=read_decoder(decoder),
        metadata=replace(metadata, maps_fingerprint=both),
    )


def read_checkpoint(
    source: str | Path | LocalWeights, name: str | None = None
) -> Checkpoint:
    """Read a file of weights, in torch's zip format or safetensors.

    Parameters
    ----------
    source
        A path, or what `fetch` returned.
    name
        How to call the model; None: what the file says, else the file's stem.

    Returns
    -------
    Checkpoint
        Checked as far as it can be without a network.

    Raises
    ------
    CheckpointError
        The file is not there, damaged, something else, or would run code.
    """
    try:
        if not isinstance(source, LocalWeights):
            digests = file_digests(Path(source), [FINGERPRINT_ALGORITHM])
            source = LocalWeights(Path(source), digests[FINGERPRINT_ALGORITHM])
        path = source.path
        content, fields = _read(path)
    except OSError as error:
        raise CheckpointError(
            f"Weights need a file that can be read, and that failed: {error}."
        ) from error
    state = _usable_state(path, content)
    decoder = None
    if isinstance(content, Mapping) and isinstance(content.get(DECODER), Mapping):
        decoder = _usable_state(path, content[DECODER])
    return Checkpoint(state, metadata_of(source, fields, name), decoder)


def _existing(name_or_path: str | Path) -> Path:
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise CheckpointError(f"Weights are one file, and {path} is a folder.")
    looks_like_name = isinstance(name_or_path, str) and not path.suffix
    if looks_like_name and len(path.parts) == 1:
        raise CheckpointError(
            f"{unknown_name(str(name_or_path))} There is no file of that name either."
        )
    raise CheckpointError(
        f"There is no file of weights at {path.absolute()}. Give the path of one, or "
        f"a name from `napari-sam models`, such as {DEFAULT_MODEL!r}."
    )


def _read(path: Path) -> tuple[Any, dict[str, str]]:
    """What is in the file, and what it says about itself."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise CheckpointError(f"{path} is empty. Download or export the weights again.")
    if head.startswith(ZIP_MAGIC):
        return _read_torch(path), {}
    if len(head) > 8 and head[8:9] == b"{":
        header_size = int.from_bytes(head[:8], "little")
        if header_size <= LARGEST_SAFETENSORS_HEADER:
            if 8 + header_size > size:
                raise CheckpointError(_truncated(path, size))
            return _read_safetensors(path)
    if head.startswith(PICKLE_MAGIC) or TEXT_PICKLE.search(head) or _is_tar(head):
        raise CheckpointError(
            f"{path} was refused: it is a bare pickle or torch's format from before "
            f"1.6, and reading that could run code from the file. {EXPORT_RECIPE}"
        )
    raise CheckpointError(
        f"{path} is no file of weights: needed is one written by torch.save or "
        f"safetensors, this one begins with {head[:12]!r}."
    )


def _is_tar(head: bytes) -> bool:
    return head[TAR_MAGIC_AT:].startswith(TAR_MAGIC)


def _truncated(path: Path, size: int) -> str:
    return (
        f"{path} is damaged: it ends before its contents do, after {size} bytes. "
        "Download or copy it again."
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is damaged: it begins like safetensors, but {error}. Download or "
            "copy it again."
        ) from error


def _read_torch(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        # A zip's table of contents is at its end.
        raise CheckpointError(_truncated(path, path.stat().st_size))
    try:
        with zipfile.ZipFile(path) as archive:
            names = [Path(name).name for name in archive.namelist()]
        if "constants.pkl" in names:
            raise CheckpointError(_refusal(path, "it is a TorchScript program"))
        if "data.pkl" not in names:
            raise CheckpointError(
                f"{path} is a zip file without weights in it. Unpack it if the weights "
                "are inside, or save them with torch.save or safetensors."
            )
        # Given a path, torch would go by the file's ending.
        with path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it names the Python object {found[1]}" if found else _UNKNOWN_PICKLE
        raise CheckpointError(_refusal(path, what)) from error
    except _UNREADABLE as error:
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise CheckpointError(
            f"{path} is damaged, or no file of weights: {reason[:200]}. Download or "
            "copy it again."
        ) from error


def _refusal(path: Path, what: str) -> str:
    return (
        f"{path} was refused: {what}, and reading that would run code from the file. "
        f"Only plain tensors are read. {EXPORT_RECIPE}"
    )


def _usable_state(path: Path, content: Any) -> dict[str, Tensor]:
    return {key: _usable(path, key, x) for key, x in _state(path, content).items()}


def _state(path: Path, content: Any, depth: int = 2) -> dict[str, Tensor]:
    """The tensors by their published keys, without what training programs add."""
    if not isinstance(content, Mapping) or not content:
        what = type(content).__name__ if not isinstance(content, Mapping) else "nothing"
        raise CheckpointError(
            f"{path} holds {what} where SAM's weights are needed: a dict from names "
            "such as 'mask_decoder.iou_token.weight' to tensors."
        )
    for wrapper in WRAPPERS:
        if depth and isinstance(content.get(wrapper), Mapping):
            return _state(path, content[wrapper], depth - 1)
    odd = [key for key, v in content.items() if not isinstance(v, Tensor)]
    if odd:
        raise CheckpointError(
            f"{path} holds {type(content[odd[0]]).__name__} under {odd[0]!r} where "
            "SAM's weights need a tensor. Save the model's state_dict() by itself."
        )
    state = {str(key): value for key, value in content.items()}
    while prefix := next((p for p in KEY_PREFIXES if _all_begin(state, p)), ""):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _all_begin(state: Mapping[str, Tensor], prefix: str) -> bool:
    return all(key.startswith(prefix) for key in state)


def _usable(path: Path, key: str, tensor: Tensor) -> Tensor:
    """The tensor, floats as float32; a CheckpointError if it has no plain values."""
    plain = tensor.layout is torch.strided and not tensor.is_quantized
    if not plain or tensor.is_meta:
        raise CheckpointError(
            f"{path} holds {key!r} as a sparse, quantised or empty tensor. Needed are "
            "dense ones: save the weights before they are converted."
        )
    # A view can claim to be far larger than what is stored, and would be filled in.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"{path} is damaged: {key!r} claims the shape {tuple(tensor.shape)}, more "
            "than the file holds. Download or copy it again."
        )
    return tensor.float() if tensor.is_floating_point() else tensor
