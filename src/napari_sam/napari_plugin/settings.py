"""The plugin's settings, which napari keeps and shows in its preferences.

They are declared in `napari.yaml`, with their defaults and bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari.settings import get_plugin_settings

from napari_sam.model import cache_folder
from napari_sam.napari_plugin.signalling_cache import SignallingCache

PLUGIN = "napari-sam-zarr"
"""The plugin's name in its manifest, which has to be the distribution's."""

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user has set."""

    model: str  # name in the registry, or path of a checkpoint
    device: str  # as of `load_model`
    memory_mb: int  # most embeddings in memory
    disk_mb: int  # most embeddings on disk; 0: none are kept there
    prefetch: bool  # encode the windows in view while nobody waits

    def cache(self) -> SignallingCache:
        """An embedding cache of these sizes."""
        folder = embeddings_folder() if self.disk_mb else None
        return SignallingCache(self.memory_mb * MIB, folder, self.disk_mb * MIB)


def read_settings() -> Settings:
    """The settings as they are now."""
    groups = get_plugin_settings(PLUGIN)
    return Settings(
        model=groups.model.name,
        device=groups.model.device,
        memory_mb=groups.cache.memory_mb,
        disk_mb=groups.cache.disk_mb,
        prefetch=groups.cache.prefetch,
    )


def embeddings_folder() -> Path:
    """Where embeddings are kept for later sessions, beside downloaded weights."""
    return cache_folder().with_name("embeddings")
