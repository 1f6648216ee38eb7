"""All objects of an image, of any size: planned once, computed anywhere, settled once.

`run` is the whole of it: `segment_image`. A `plan` says all that the labels depend on,
and lists the tiles; `run_folder` keeps it, and what was found, so that the same call
continues. `estimate` settles what a plan needs to know of an image, `window` finds the
objects of one window, `tiles` computes groups of windows here or on a cluster, `seams`
decides which objects of neighbouring windows are one and writes the labels, and
`remote_labels` brings them into an object store.

The names here are loaded on first use, as some of them need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam.automatic.plan import Plane as Plane
    from napari_sam.automatic.plan import RunPlan as RunPlan
    from napari_sam.automatic.plan import RunRequest as RunRequest
    from napari_sam.automatic.plan import Tile as Tile
    from napari_sam.automatic.run import RunProgress as RunProgress
    from napari_sam.automatic.run import segment_image as segment_image
    from napari_sam.automatic.run_folder import AutomaticReport as AutomaticReport
    from napari_sam.automatic.run_folder import RunFolder as RunFolder
    from napari_sam.automatic.tiles.allocator import keep_memory as keep_memory
    from napari_sam.automatic.tiles.tile import TileFailure as TileFailure
    from napari_sam.automatic.tiles.tile_files import TileFiles as TileFiles
    from napari_sam.automatic.window.mask_generator import (
        SamAutomaticMaskGenerator as SamAutomaticMaskGenerator,
    )
    from napari_sam.automatic.window.options import AutomaticMode as AutomaticMode
    from napari_sam.automatic.window.options import AutomaticOptions as AutomaticOptions
    from napari_sam.automatic.window.window_objects import WindowResult as WindowResult

_HOMES = {
    "AutomaticMode": "window.options",
    "AutomaticOptions": "window.options",
    "AutomaticReport": "run_folder",
    "Plane": "plan",
    "RunFolder": "run_folder",
    "RunPlan": "plan",
    "RunProgress": "run",
    "RunRequest": "plan",
    "SamAutomaticMaskGenerator": "window.mask_generator",
    "Tile": "plan",
    "TileFailure": "tiles.tile",
    "TileFiles": "tiles.tile_files",
    "WindowResult": "window.window_objects",
    "keep_memory": "tiles.allocator",
    "segment_image": "run",
}

__all__ = [
    "AutomaticMode",
    "AutomaticOptions",
    "AutomaticReport",
    "Plane",
    "RunFolder",
    "RunPlan",
    "RunProgress",
    "RunRequest",
    "SamAutomaticMaskGenerator",
    "Tile",
    "TileFailure",
    "TileFiles",
    "WindowResult",
    "keep_memory",
    "segment_image",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
