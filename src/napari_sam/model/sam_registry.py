"""The published models under the names that scripts for segment_anything use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from napari_sam.model.checkpoints import load_model
from napari_sam.model.sam import Sam

PUBLISHED_VARIANTS = ("vit_h", "vit_l", "vit_b", "vit_t")


def _published(name: str, checkpoint: str | Path | None = None) -> Sam:
    """The model of that name, or the one in the file `checkpoint`, on the CPU."""
    return load_model(name if checkpoint is None else Path(checkpoint), "cpu")


sam_model_registry: Mapping[str, Callable[..., Sam]] = MappingProxyType(
    {name: partial(_published, name) for name in ("default", *PUBLISHED_VARIANTS)}
)
"""For scripts that say `sam_model_registry["vit_b"](checkpoint=path)`.

The variant is read off the file, whatever the key. Without a file, the weights of
that name are downloaded, where segment_anything would leave the network random;
"default" is the model that comes with this package.
"""
