"""What is known about published weights: where they are, and how to recognise them.

Two kinds of checksum are kept. sha256, where its publisher or many independent
users agree on it, proves a download. xxh128 (XXH3, 128 bits) is fast enough to be
computed at each start and is also the fingerprint that cache keys use.

The six digits in the names of Meta's files begin the file's md5, not its sha256.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

import platformdirs

from napari_sam.errors import CheckpointError

ALGORITHMS = ("sha256", "xxh128")
DEFAULT_MODEL = "default"
CACHE_VARIABLE = "NAPARI_SAM_CACHE"

MICRO_SAM_FILES = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a hash function makes of a file, as far as it is published.

    Parameters
    ----------
    algorithm
        "sha256", or "xxh128" for XXH3 with 128 bits.
    hex_digits
        Lower case; the whole digest, or its first digits.
    """

    algorithm: str
    hex_digits: str

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise CheckpointError(
                f"A checksum needs one of {', '.join(ALGORITHMS)}, got "
                f"{self.algorithm!r}."
            )
        if not self.hex_digits or set(self.hex_digits) - set("0123456789abcdef"):
            raise CheckpointError(
                "A checksum needs lower-case hexadecimal digits, got "
                f"{self.hex_digits!r}."
            )

    def matches(self, digests: Mapping[str, str]) -> bool:
        """Whether a file with these digests (algorithm -> hex) can be the one."""
        return digests[self.algorithm].startswith(self.hex_digits)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex_digits}"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One set of weights.

    Parameters
    ----------
    name
        What a user types.
    family
        Who made it, and for what images.
    licence
        SPDX expression, or where to look it up.
    file_name
        In the cache folder; unique among the rows.
    url
        Where to download it; None: it comes with the package.
    page
        Where people read about it.
    checksums
        All have to match. Empty: none is published.
    size_bytes
        None: not published.
    decoder
        The file of an instance decoder beside the weights; None: there is none.
    holds_decoder
        Whether there is one in the weights' own file.
    """

    name: str
    family: str
    licence: str
    file_name: str
    url: str | None
    page: str
    checksums: tuple[Checksum, ...] = ()
    size_bytes: int | None = None
    decoder: ModelRow | None = None
    holds_decoder: bool = False

    @property
    def finds_instances(self) -> bool:
        """Whether all objects of a window are found without a prompt."""
        return self.holds_decoder or self.decoder is not None

    @property
    def is_embedded(self) -> bool:
        """Whether the weights are part of the package."""
        return self.url is None

    def mismatch(self, digests: Mapping[str, str]) -> str:
        """What is wrong with a file's digests (algorithm -> hex); empty if nothing."""
        return "; ".join(
            f"expected {checksum}, computed {digests[checksum.algorithm]}"
            for checksum in self.checksums
            if checksum.algorithm in digests and not checksum.matches(digests)
        )


@dataclass(frozen=True, slots=True)
class ModelListing:
    """A registry row, and where its weights are or will be on this machine."""

    row: ModelRow
    path: Path
    in_cache: bool  # also true for weights that come with the package


def list_models(folder: Path | None = None) -> tuple[ModelListing, ...]:
    """Every row of the registry, with its path on this machine; reads no file."""
    paths = [(row, weights_path(row, folder)) for row in REGISTRY]
    return tuple(ModelListing(row, path, path.is_file()) for row, path in paths)


def cache_folder() -> Path:
    """Where downloaded weights are kept; `NAPARI_SAM_CACHE` moves it."""
    root = os.environ.get(CACHE_VARIABLE)
    parent = Path(root).expanduser() if root else None
    return (parent or Path(platformdirs.user_cache_dir("napari-sam"))) / "models"


def weights_path(row: ModelRow, folder: Path | None = None) -> Path:
    """Where the row's file is, or will be once it is downloaded."""
    if row.is_embedded:
        return Path(str(files("napari_sam.model") / "weights" / row.file_name))
    return (folder or cache_folder()) / row.file_name


def find_row(name: str) -> ModelRow | None:
    """The row of that name, or None."""
    return next((row for row in REGISTRY if row.name == name), None)


def get_row(name: str) -> ModelRow:
    """The row of that name; a CheckpointError that lists the names if there is none."""
    row = find_row(name)
    if row is None:
        raise CheckpointError(unknown_name(name))
    return row


def unknown_name(name: str) -> str:
    """Sentence for a name that is no model: which ones there are, the closest first."""
    names = [row.name for row in REGISTRY]
    close = get_close_matches(name, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"There is no model named {name!r}.{hint} Known are: {', '.join(names)}."


def _meta(
    name: str, digits: str, size_bytes: int, sha256: str, xxh128: str
) -> ModelRow:
    file_name = f"sam_{name}_{digits}.pth"
    return ModelRow(
        name=name,
        family="SAM",
        licence="Apache-2.0",
        file_name=file_name,
        url=f"https://dl.fbaipublicfiles.com/segment_anything/{file_name}",
        page="https://github.com/facebookresearch/segment-anything",
        checksums=(Checksum("sha256", sha256), Checksum("xxh128", xxh128)),
        size_bytes=size_bytes,
    )


def _micro_sam(name: str, model_id: str, version: str, xxh128: str) -> ModelRow:
    architecture, kind = name[:5], name[6:]
    images = {"lm": "light microscopy", "em_organelles": "electron microscopy"}
    files = f"{MICRO_SAM_FILES}/{model_id}/{version}/files"
    row = ModelRow(
        name=name,
        family=f"micro-sam, {images[kind]}",
        licence="MIT or CC-BY-4.0, see its page",
        # The published name is the same for several models.
        file_name=f"micro_sam_{name}_{version}.pt",
        url=f"{files}/{architecture}.pt",
        page=f"https://bioimage.io/#/?id={model_id}",
        checksums=(Checksum("xxh128", xxh128),),
    )
    decoder = replace(
        row,
        name=f"{name} (instance decoder)",
        file_name=f"micro_sam_{name}_{version}_decoder.pt",
        url=f"{files}/{architecture}_decoder.pt",
        checksums=(),
    )
    return replace(row, decoder=decoder)


REGISTRY: tuple[ModelRow, ...] = (
    ModelRow(
        name=DEFAULT_MODEL,
        family="napari-sam, microscopy",
        licence="BSD-3-Clause",
        file_name="vit_t_default.safetensors",
        url=None,
        page="the model card in the package, napari_sam/model/weights",
        holds_decoder=True,
    ),
    ModelRow(
        name="vit_t",
        family="MobileSAM",
        licence="Apache-2.0",
        file_name="mobile_sam.pt",
        url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        page="https://github.com/ChaoningZhang/MobileSAM",
        checksums=(
            Checksum(
                "sha256",
                "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            ),
            Checksum("xxh128", "8eadbc88aeb9d8c7e0b4b60c3db48bd0"),
        ),
        size_bytes=40_728_226,
    ),
    _meta(
        "vit_b",
        "01ec64",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        "6923c33df3637b6a922d7682bfc9a86b",
    ),
    _meta(
        "vit_l",
        "0b3195",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        "a82beb3c660661e3dd38d999cc860e9a",
    ),
    _meta(
        "vit_h",
        "4b8939",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        "97698fac30bd929c2e6d8d8cc15933c2",
    ),
    _micro_sam(
        "vit_t_lm", "faithful-chicken", "1.1", "72ec5074774761a6e5c05a08942f981e"
    ),
    _micro_sam("vit_b_lm", "diplomatic-bug", "1.2", "fe9252a29f3f4ea53c15a06de471e186"),
    _micro_sam("vit_l_lm", "idealistic-rat", "1.2", "017f20677997d628426dec80a8018f9d"),
    _micro_sam(
        "vit_t_em_organelles", "greedy-whale", "1", "253474720c497cce605e57c9b1d18fd9"
    ),
    _micro_sam(
        "vit_b_em_organelles", "noisy-ox", "1.2", "f3bf2ed83d691456bae2c3f9a05fb438"
    ),
    _micro_sam(
        "vit_l_em_organelles",
        "humorous-crab",
        "1.2",
        "810b084b6e51acdbf760a993d8619f2d",
    ),
)
